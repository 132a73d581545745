//! Tokens, lists and parameters over all lines of a field (RFC 9110 §5.6).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{GetAll, ValueIter},
};

/// Whether `bytes` is a `token`: one or more `tchar` (RFC 9110 §5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TCHAR[usize::from(*byte)])
}

/// Whether any line of the field lists `token`, without regard to case.
pub(crate) fn lists(lines: GetAll<'_, HeaderValue>, token: &str) -> bool {
    elements(lines.iter()).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The elements of a comma-separated list that may span several lines of a field.
///
/// Elements come without the whitespace around them, and empty ones are skipped. Commas inside a quoted string separate
/// too: for lists of tokens a quote is a fault whichever way it is read. Where quotes are lawful, use [`split_unquoted`].
pub(super) fn elements<'a>(lines: ValueIter<'a, HeaderValue>) -> impl Iterator<Item = &'a [u8]> {
    // RFC 9110 §5.3: several lines of a field "combine" into one list, in order.
    lines.flat_map(|line| list(line.as_bytes()))
}

/// The elements of one line of a list of tokens.
pub(super) fn list(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',')
        .map(trim)
        // RFC 9110 §5.6.1.2: "MUST parse and ignore a reasonable number of empty list elements".
        .filter(|element| !element.is_empty())
}

/// The one line of a field, or all its lines joined by commas; `None` if there is none.
///
/// One line is shared with the request, so that only a field on several lines costs an allocation.
pub(super) fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    let Some(second) = lines.next() else {
        return Some(first.clone());
    };
    let mut bytes = first.as_bytes().to_vec();
    for line in std::iter::once(second).chain(lines) {
        bytes.extend_from_slice(b", ");
        bytes.extend_from_slice(line.as_bytes());
    }
    // Lines that were field values each are one when commas stand between them.
    HeaderValue::try_from(bytes).ok()
}

/// Splits at every `separator` that stands outside a quoted string (RFC 9110 §5.6.4).
///
/// A quoted string that is never closed runs to the end, where the reader of the piece finds the fault.
pub(super) fn split_unquoted(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.iter().position(|&byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => return byte == separator && !quoted,
            }
            false
        });
        let (piece, after) = match end {
            Some(end) => (&text[..end], Some(&text[end + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(trim(piece))
    })
}

/// Whether `value` is a token, or a quoted string that holds one once it is unescaped.
pub(super) fn is_token_or_quoted_token(value: &[u8]) -> bool {
    // RFC 6455 §9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF".
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return is_token(value);
    };
    let Some(inner) = quoted.strip_suffix(b"\"") else {
        return false;
    };
    // No `tchar` needs escaping, but any of them may be escaped.
    let (mut escaped, mut length) = (false, 0);
    for &byte in inner {
        if byte == b'\\' && !escaped {
            escaped = true;
            continue;
        }
        if !TCHAR[usize::from(byte)] {
            return false;
        }
        escaped = false;
        length += 1;
    }
    length > 0 && !escaped
}

/// Takes optional whitespace off both ends: spaces and tabs, nothing else (RFC 9110 §5.6.3).
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
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
    use http::header::{CONNECTION, HeaderMap};

    fn lines(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (CONNECTION, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn lists_finds_whole_tokens_over_all_lines() {
        #[rustfmt::skip]
        let rows: &[(&str, &[&str], bool)] = &[
            ("alone", &["Upgrade"], true),
            ("as Firefox sends it", &["keep-alive, Upgrade"], true),
            ("the same on two lines", &["keep-alive", "Upgrade"], true),
            ("any case", &["uPGRADE"], true),
            ("spaces and tabs around", &[" \t upgrade\t, x"], true),
            ("empty elements skipped", &[",, ,upgrade,,"], true),
            ("part of a longer token", &["no-upgrade-please"], false),
            ("a prefix of a token", &["Upgradeaaaa"], false),
            ("two words", &["upgrade now"], false),
            ("quoted", &["\"upgrade\""], false),
            ("empty", &[""], false),
            ("no line at all", &[], false),
        ];
        for (name, values, expected) in rows {
            assert_eq!(lists(lines(values).get_all(CONNECTION), "upgrade"), *expected, "{name}");
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
        for good in ["15", "\"15\"", "\"1\\5\""] {
            assert!(is_token_or_quoted_token(good.as_bytes()), "{good}");
        }
        for bad in ["", "\"\"", "\"", "\"15", "15\"", "\"1 5\"", "\"15\\\"", "\"1\\\\5\"", "\"a\"b\""] {
            assert!(!is_token_or_quoted_token(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn separators_inside_quotes_do_not_split() {
        let pieces: Vec<_> = split_unquoted(br#"a; b="x;y" ;c="\";" ; "#, b';').collect();
        assert_eq!(pieces, [&b"a"[..], br#"b="x;y""#, br#"c="\";""#, b""]);
    }

    #[test]
    fn joined_lines_are_one_list() {
        let headers = lines(&["a", "b, c"]);
        assert_eq!(joined(&headers, &CONNECTION).unwrap(), "a, b, c");
        assert_eq!(joined(&HeaderMap::new(), &CONNECTION), None);
    }
}
