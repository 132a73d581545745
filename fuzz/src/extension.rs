//! `Sec-WebSocket-Extensions`, parsed a second time (RFC 6455 §9.1).

use crate::oracle::{is_token, split};

/// The extensions on several lines, except empty elements.
pub(crate) fn extensions<'a>(lines: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let extensions = lines.iter().flat_map(|line| split(line, b','));
    extensions.filter(|extension| !extension.is_empty()).collect()
}

/// Whether an extension is well formed, known or not.
pub(crate) fn is_extension(element: &[u8]) -> bool {
    let [name, parameters @ ..] = &split(element, b';')[..] else { return false };
    is_token(name) && parameters.iter().all(|parameter| name_and_value(parameter).is_some())
}

/// A parameter, if it is well formed, with its value unquoted.
pub(crate) fn name_and_value(parameter: &[u8]) -> Option<(&[u8], Option<Vec<u8>>)> {
    let (name, value) = match split(parameter, b'=')[..] {
        [name] => (name, None),
        [name, [b'"', quoted @ .., b'"']] => (name, Some(unescape(quoted)?)),
        [name, value] => (name, Some(value.to_vec())),
        _ => return None,
    };
    (is_token(name) && value.as_deref().is_none_or(is_token)).then_some((name, value))
}

fn unescape(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        text.push(*if *byte == b'\\' { bytes.next()? } else { byte });
    }
    Some(text)
}
