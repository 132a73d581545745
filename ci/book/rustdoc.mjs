// Run as `rustdoc.mjs DIRECTORY`, of the crate's documentation: in the pages of the guide, every link leads to a page and to an element of
// that page, as Chromium sees them.

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import path from "node:path";
import { chromium } from "../interop/node/node_modules/playwright-core/index.mjs";

const guide = path.resolve(process.argv[2], "ws_handshake/guide");
const folders = (await readdir(guide, { withFileTypes: true })).filter((entry) => entry.isDirectory());
const pages = ["index.html", ...folders.map(({ name }) => `${name}/index.html`)].map((page) => pathToFileURL(path.join(guide, page)).href);
assert.ok(pages.length > 20, `${pages.length} pages`);

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const tab = await browser.newPage();
const found = new Map();
for (const page of pages) {
  await tab.goto(page);
  const links = await tab.$$eval(".docblock a[href]", (links) => links.map((link) => link.href));
  const ids = await tab.$$eval("[id]", (elements) => elements.map(({ id }) => id));
  found.set(page, { links, ids: new Set(ids) });
}
await browser.close();

let checked = 0;
const broken = [];
for (const [page, { links }] of found) {
  for (const link of links.filter((link) => link.startsWith("file:"))) {
    const [target, id] = link.split("#");
    const there = found.get(target);
    checked += 1;
    if (!there || (id && !there.ids.has(decodeURIComponent(id)))) broken.push(`${page}: ${link}`);
  }
}
console.log(`${pages.length} pages, ${checked} links, ${broken.length} broken`);
assert.deepEqual(broken, []);
assert.ok(checked > 50);
