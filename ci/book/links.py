"""Run as `links.py DIRECTORY`: every link within a built book leads to a page, and to an element of that page."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        for name in ("href", "src"):
            if attributes.get(name):
                self.links.append(attributes[name])


def main():
    root = Path(sys.argv[1]).resolve()
    pages = {path.resolve(): Page(path.read_text()) for path in root.rglob("*.html") if path.name != "404.html"}
    broken, checked = [], 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            # Files of the repository, such as examples, are not in the book.
            if not target.is_relative_to(root):
                continue
            checked += 1
            there = target.exists() and (not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].ids)
            if not there:
                broken.append(f"{path.relative_to(root)}: {link}")
    print(f"{len(pages)} pages, {checked} links, {len(broken)} broken")
    if broken:
        sys.exit("\n".join(broken))


if __name__ == "__main__":
    main()
