//! The path of a request in the log.

use std::fmt;

/// A path that cannot forge a log line: printable ASCII, and at most 256 bytes.
pub(crate) struct EscapedPath<'a>(pub(super) &'a str);

impl fmt::Display for EscapedPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut escaped = self.0.chars().flat_map(char::escape_default);
        escaped.by_ref().take(256).try_for_each(|c| fmt::Write::write_char(f, c))?;
        if escaped.next().is_some() { f.write_str("...") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_and_cut() {
        assert_eq!(EscapedPath("/chat").to_string(), "/chat");
        assert_eq!(EscapedPath("/\u{202e}\r\n\u{1b}").to_string(), "/\\u{202e}\\r\\n\\u{1b}");
        assert_eq!(EscapedPath(&"a".repeat(256)).to_string(), "a".repeat(256));
        assert_eq!(EscapedPath(&"a".repeat(257)).to_string(), "a".repeat(256) + "...");
    }
}
