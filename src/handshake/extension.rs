//! What the client offers in `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use http::{HeaderMap, header::SEC_WEBSOCKET_EXTENSIONS};

use super::{
    grammar::{is_token, is_token_or_quoted_token, joined, split_unquoted, trim},
    rejection::RejectionKind,
};

/// Checks that the field, where it is sent, is a list of extensions with their parameters.
///
/// An offer that is well formed and unknown is no fault: a server declines it by leaving it out of its answer.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), RejectionKind> {
    let Some(field) = joined(headers, &SEC_WEBSOCKET_EXTENSIONS) else {
        return Ok(());
    };
    let offers = split_unquoted(field.as_bytes(), b',').filter(|offer| !offer.is_empty());
    let mut count = 0;
    for offer in offers {
        if count == MAX_OFFERS {
            return Err(RejectionKind::ExtensionsTooMany);
        }
        if !is_extension(offer) {
            return Err(RejectionKind::ExtensionInvalid);
        }
        count += 1;
    }
    // RFC 9110 §5.6.1.2: for `1#element`, "at least one non-empty element is required".
    if count == 0 { Err(RejectionKind::ExtensionInvalid) } else { Ok(()) }
}

/// `extension-token *( ";" extension-param )`.
fn is_extension(offer: &[u8]) -> bool {
    let mut parts = split_unquoted(offer, b';');
    parts.next().is_some_and(is_token) && parts.all(is_parameter)
}

/// `token [ "=" (token | quoted-string) ]`.
fn is_parameter(parameter: &[u8]) -> bool {
    match parameter.iter().position(|byte| *byte == b'=') {
        None => is_token(parameter),
        // RFC 6455 §4.3: the grammar is that of RFC 2616, "including the 'implied *LWS rule'", so `a = b` is lawful.
        Some(at) => is_token(trim(&parameter[..at])) && is_token_or_quoted_token(trim(&parameter[at + 1..])),
    }
}

/// How many offers are read before a client is refused.
const MAX_OFFERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(lines: &[&str]) -> Result<(), RejectionKind> {
        let lines = lines.iter().map(|line| HeaderValue::from_str(line).unwrap());
        check(&lines.map(|line| (SEC_WEBSOCKET_EXTENSIONS, line)).collect())
    }

    #[test]
    fn well_formed_offers_pass_known_or_not() {
        #[rustfmt::skip]
        let rows: &[(&str, &[&str])] = &[
            ("none", &[]),
            ("as browsers send it", &["permessage-deflate; client_max_window_bits"]),
            ("unknown", &["x-foo"]),
            ("several with values", &["a; b=1; c=\"2\", d;e;f=g"]),
            ("with spaces around the equals sign", &["a; b = c"]),
            ("over lines, with empty elements", &[",a,", "b;c"]),
            ("quoted and escaped", &["a;b=\"\\c\",d"]),
            ("repeated parameters, which are the extension's own affair", &["a; b=1; b=2"]),
        ];
        for (name, lines) in rows {
            assert_eq!(read(lines), Ok(()), "{name}");
        }
        assert_eq!(read(&[&vec!["a"; 32].join(",")]), Ok(()));
    }

    #[test]
    fn malformed_offers_are_refused() {
        let rows: &[(&str, &[&str])] = &[
            ("empty", &[""]),
            ("commas alone", &[",,"]),
            ("no name", &[";a=b"]),
            ("a parameter without a name", &["a;=b"]),
            ("an empty parameter", &["a;"]),
            ("an empty value", &["a;b="]),
            ("a quote that never closes", &["a;b=\"c"]),
            ("a quoted value with a space", &["a;b=\"c d\""]),
            ("a quoted value with a comma", &["a;b=\"c,d\""]),
            ("a space inside a name", &["a b"]),
            ("a value with a slash", &["a;b=c/d"]),
        ];
        for (name, lines) in rows {
            assert_eq!(read(lines), Err(RejectionKind::ExtensionInvalid), "{name}");
        }
        assert_eq!(read(&[&vec!["a"; 33].join(",")]), Err(RejectionKind::ExtensionsTooMany));
    }
}
