//! Requests and lists, parsed a second time: as simply as possible, and sharing no code with the crate.

use base64::{
    Engine as _, alphabet,
    engine::{
        GeneralPurpose,
        general_purpose::{GeneralPurposeConfig, STANDARD},
    },
};
use http::{HeaderMap, Method};

/// Whether a server could upgrade the request, and code that checks only the WebSocket headers would do so.
pub(crate) fn tempts(method: &Method, headers: &HeaderMap) -> bool {
    let can_upgrade = method == Method::CONNECT || headers.contains_key("upgrade");
    can_upgrade && (headers.contains_key("sec-websocket-version") || headers.contains_key("sec-websocket-key"))
}

/// RFC 6455 §4.2.1 5: whether a key decodes to 16 bytes, whatever its spare bits are.
pub(crate) fn is_key(key: &[u8]) -> bool {
    let spare_bits = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet::STANDARD, spare_bits).decode(key).is_ok_and(|nonce| nonce.len() == 16)
}

/// RFC 6455 §4.2.2 5: the accept value for a key.
pub(crate) fn accept(key: &[u8]) -> String {
    let proof = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    STANDARD.encode(sha1_smol::Sha1::from(proof).digest().bytes())
}

/// All lines of a header, as httparse reads them.
pub(crate) fn parsed_lines<'a>(fields: &[httparse::Header<'a>], name: &str) -> Vec<&'a [u8]> {
    fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value).collect()
}

/// All lines of a header.
pub(crate) fn lines<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect()
}

/// The elements of a list of tokens on several lines, except empty ones.
pub(crate) fn elements<'a>(lines: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let elements = lines.iter().flat_map(|line| line.split(|byte| *byte == b',')).map(trim);
    elements.filter(|element| !element.is_empty()).collect()
}

/// Whether a list has at most 32 elements over all its lines, each valid.
pub(crate) fn is_list(list: &[&[u8]], right: impl Fn(&[u8]) -> bool) -> bool {
    list.len() <= 32 && list.iter().all(|element| right(element))
}

/// Whether a list on several lines contains `token`, ignoring case.
pub(crate) fn lists(lines: &[&[u8]], token: &str) -> bool {
    elements(lines).iter().any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The parts between delimiters outside of quoted strings, without surrounding whitespace.
pub(crate) fn split(text: &[u8], delimiter: u8) -> Vec<&[u8]> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == delimiter && !quoted => {
                parts.push(trim(&text[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(trim(&text[start..]));
    parts
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &[u8]) -> bool {
    let tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(tchar)
}

fn trim(text: &[u8]) -> &[u8] {
    let inside = |byte: &u8| !matches!(byte, b' ' | b'\t');
    match (text.iter().position(inside), text.iter().rposition(inside)) {
        (Some(start), Some(end)) => &text[start..=end],
        _ => &[],
    }
}
