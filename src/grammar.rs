//! Reads tokens, lists and parameters from all lines of a header (RFC 9110 §5.6).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether `bytes` is a `token`: one or more `tchar` (RFC 9110 §5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TCHAR[usize::from(*byte)])
}

/// Whether one line of a token list contains `token`, in upper or lower case.
#[inline]
pub(crate) fn lists(line: &HeaderValue, token: &str) -> bool {
    let (line, token) = (line.as_bytes(), token.as_bytes());
    // Most clients send only this token, spelled as in the RFC.
    line == token || line.split(|byte| *byte == b',').any(|element| trim(element).eq_ignore_ascii_case(token))
}

/// Joins all lines of a header into one list.
///
/// RFC 9110 §5.3: several lines of a field "combine" into one list, in order. A single line is shared with the request, so only a header on
/// several lines costs an allocation.
pub(crate) fn joined<'a>(headers: &HeaderMap, name: &HeaderName, lines: Lines<'a>) -> Option<Cow<'a, HeaderValue>> {
    match lines {
        Lines::None => None,
        Lines::One(line) => Some(Cow::Borrowed(line)),
        Lines::More => {
            let lines: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            // Each line is a valid header value, so the lines are one too when commas join them.
            HeaderValue::try_from(lines.join(&b", "[..])).ok().map(Cow::Owned)
        }
    }
}

/// Whether a header has no line, one line or more lines.
#[derive(Clone, Copy, Default)]
pub(crate) enum Lines<'a> {
    #[default]
    None,
    One(&'a HeaderValue),
    More,
}

impl<'a> Lines<'a> {
    pub(crate) fn add(&mut self, line: &'a HeaderValue) {
        *self = if let Self::None = self { Self::One(line) } else { Self::More };
    }
}

/// The elements of a list, without the whitespace around them.
#[inline]
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    // RFC 9110 §5.6.1.2: "MUST parse and ignore a reasonable number of empty list elements".
    list.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Whether `value` is ASCII and can be an element of a list.
pub(crate) fn is_element(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| elements(text.as_bytes()).eq([text.as_bytes()]))
}

/// Reads the tokens of a header from left to right, and skips the whitespace after each.
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(field: &'a [u8]) -> Self {
        Self { rest: trim(field) }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Skips `delimiter`, if it comes next.
    #[inline]
    pub(crate) fn take(&mut self, delimiter: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == delimiter => {
                self.rest = trim_start(rest);
                true
            }
            _ => false,
        }
    }

    /// Skips the commas between elements of a list.
    pub(crate) fn skip_empty_elements(&mut self) {
        // RFC 9110 §5.6.1.2: "MUST parse and ignore a reasonable number of empty list elements".
        while self.take(b',') {}
    }

    /// Reads a token, if one comes next.
    #[inline]
    pub(crate) fn token(&mut self) -> Option<&'a [u8]> {
        let (token, rest) = split_token(self.rest)?;
        self.rest = trim_start(rest);
        Some(token)
    }

    /// Reads a token or a quoted string, and returns it as written.
    pub(crate) fn value(&mut self) -> &'a [u8] {
        let before = self.rest;
        self.token_or_quoted_token();
        trim(&before[..before.len() - self.rest.len()])
    }

    /// Skips a token, or a quoted string that is a token after unescaping.
    pub(crate) fn token_or_quoted_token(&mut self) -> bool {
        // RFC 6455 §9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF".
        let [b'"', quoted @ ..] = self.rest else {
            return self.token().is_some();
        };
        let (mut escaped, mut length) = (false, 0);
        for (at, &byte) in quoted.iter().enumerate() {
            match byte {
                b'\\' if !escaped => escaped = true,
                b'"' if !escaped => {
                    self.rest = trim_start(&quoted[at + 1..]);
                    return length > 0;
                }
                // No `tchar` needs escaping, but any of them may be escaped.
                _ if TCHAR[usize::from(byte)] => (escaped, length) = (false, length + 1),
                _ => return false,
            }
        }
        false
    }
}

/// Splits a text into the token at its start and the rest.
#[inline]
fn split_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = text.iter().position(|byte| !TCHAR[usize::from(*byte)]).unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}

/// Removes optional whitespace at both ends: only spaces and tabs (RFC 9110 §5.6.3).
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let mut bytes = trim_start(bytes);
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[inline]
fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// `tchar` of RFC 9110 §5.6.2.
const TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0x21;
    while byte < 0x7f {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CONNECTION;

    #[test]
    fn lists_finds_whole_tokens() {
        #[rustfmt::skip]
        let rows = [
            ("alone", "Upgrade", true),
            ("as Firefox sends it", "keep-alive, Upgrade", true),
            ("any case", "uPGRADE", true),
            ("spaces and tabs around", " \t upgrade\t, x", true),
            ("empty elements skipped", ",, ,upgrade,,", true),
            ("part of a longer token", "no-upgrade-please", false),
            ("a prefix of a token", "Upgradeaaaa", false),
            ("two words", "upgrade now", false),
            ("quoted", "\"upgrade\"", false),
            ("empty", "", false),
        ];
        for (name, value, expected) in rows {
            assert_eq!(lists(&HeaderValue::from_static(value), "upgrade"), expected, "{name}");
        }
    }

    #[test]
    fn only_space_and_tab_are_whitespace() {
        assert_eq!(trim(b" \t a b \t"), b"a b");
        assert_eq!(trim(b"\x0ba\x0c"), b"\x0ba\x0c");
        assert_eq!(trim(b"\xc2\xa0a"), b"\xc2\xa0a");
        assert_eq!(trim(b" \t "), b"");
    }

    #[test]
    fn tokens_are_of_tchars_alone() {
        for good in ["a", "permessage-deflate", "v2.chat", "!#$%&'*+-.^_`|~09AZaz"] {
            assert!(is_token(good.as_bytes()), "{good}");
        }
        for bad in ["", "a b", "a,b", "a/b", "a\"", "(a)", "a=b", "a;b", "ä", "a\x7f", "a\0"] {
            assert!(!is_token(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn quoted_values_hold_a_token_once_unescaped() {
        let whole = |text: &str| {
            let mut cursor = Cursor::new(text.as_bytes());
            cursor.token_or_quoted_token() && cursor.is_at_end()
        };
        for good in ["15", "\"15\"", "\"1\\5\"", " 15\t"] {
            assert!(whole(good), "{good}");
        }
        for bad in ["", "\"\"", "\"", "\"15", "15\"", "\"1 5\"", "\"15\\\"", "\"1\\\\5\"", "\"a\"b\""] {
            assert!(!whole(bad), "{bad}");
        }
    }

    #[test]
    fn elements_stand_between_commas() {
        #[rustfmt::skip]
        let rows: [(&str, &[&str]); 7] = [
            ("a", &["a"]),
            (" a ,b\t, c", &["a", "b", "c"]),
            (",, a,,b ,", &["a", "b"]),
            ("", &[]),
            (", \t,", &[]),
            ("a, b c, d", &["a", "b c", "d"]),
            ("SPDY/3.1+portforward.k8s.io,\"b\"", &["SPDY/3.1+portforward.k8s.io", "\"b\""]),
        ];
        for (list, expected) in rows {
            let read: Vec<_> = elements(list.as_bytes()).map(|element| str::from_utf8(element).unwrap()).collect();
            assert_eq!(read, expected, "{list}");
        }
        for (value, is_one) in
            [("a", true), ("a/b c", true), ("", false), (",", false), ("a,b", false), (" a", false), ("a,", false)]
        {
            assert_eq!(is_element(&HeaderValue::from_static(value)), is_one, "{value}");
        }
    }

    #[test]
    fn lines_are_joined_to_one_list() {
        let values = ["a", "b, c"].map(HeaderValue::from_static);
        let headers: HeaderMap = values.iter().map(|value| (CONNECTION, value.clone())).collect();
        let mut lines = Lines::default();
        assert_eq!(joined(&headers, &CONNECTION, lines), None);
        lines.add(&values[0]);
        assert_eq!(joined(&headers, &CONNECTION, lines).unwrap().as_ref(), "a");
        lines.add(&values[1]);
        assert_eq!(joined(&headers, &CONNECTION, lines).unwrap().as_ref(), "a, b, c");
    }
}
