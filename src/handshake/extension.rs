//! What the client offers in `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use http::HeaderValue;

use super::{grammar::Cursor, rejection::RejectionKind};

/// Checks that the field, all of its lines, is a list of extensions with their parameters.
///
/// An offer that is well formed and unknown is no fault: a server declines it by leaving it out of its answer.
pub(super) fn check(field: &HeaderValue) -> Result<(), RejectionKind> {
    let mut cursor = Cursor::new(field.as_bytes());
    let mut count = 0;
    loop {
        cursor.skip_empty_elements();
        if cursor.is_at_end() {
            break;
        }
        if count == MAX_OFFERS {
            return Err(RejectionKind::ExtensionsTooMany);
        }
        let well_formed = extension(&mut cursor) && (cursor.is_at_end() || cursor.take(b','));
        if !well_formed {
            return Err(RejectionKind::ExtensionInvalid);
        }
        count += 1;
    }
    // RFC 9110 §5.6.1.2: for `1#element`, "at least one non-empty element is required".
    if count == 0 { Err(RejectionKind::ExtensionInvalid) } else { Ok(()) }
}

/// `extension-token *( ";" extension-param )`, where a parameter is `token [ "=" (token | quoted-string) ]`.
///
/// RFC 6455 §4.3: the grammar is that of RFC 2616, "including the 'implied *LWS rule'", so that `a = b` is lawful.
fn extension(cursor: &mut Cursor<'_>) -> bool {
    let mut well_formed = cursor.token().is_some();
    while well_formed && cursor.take(b';') {
        well_formed = cursor.token().is_some() && (!cursor.take(b'=') || cursor.token_or_quoted_token());
    }
    well_formed
}

/// How many offers are read before a client is refused.
const MAX_OFFERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str) -> Result<(), RejectionKind> {
        check(&HeaderValue::from_str(field).unwrap())
    }

    #[test]
    fn well_formed_offers_pass_known_or_not() {
        #[rustfmt::skip]
        let rows = [
            ("as browsers send it", "permessage-deflate; client_max_window_bits"),
            ("unknown", "x-foo"),
            ("several with values", "a; b=1; c=\"2\", d;e;f=g"),
            ("with spaces around the equals sign", "a; b = c"),
            ("with empty elements", ",a,, b;c"),
            ("quoted and escaped", "a;b=\"\\c\",d"),
            ("repeated parameters, which are the extension's own affair", "a; b=1; b=2"),
        ];
        for (name, field) in rows {
            assert_eq!(read(field), Ok(()), "{name}");
        }
        assert_eq!(read(&["a"; 32].join(",")), Ok(()));
    }

    #[test]
    fn malformed_offers_are_refused() {
        let rows = [
            ("empty", ""),
            ("commas alone", ",,"),
            ("no name", ";a=b"),
            ("a parameter without a name", "a;=b"),
            ("an empty parameter", "a;"),
            ("an empty value", "a;b="),
            ("a quote that never closes", "a;b=\"c"),
            ("a quoted value with a space", "a;b=\"c d\""),
            ("a quoted value with a comma", "a;b=\"c,d\""),
            ("a space inside a name", "a b"),
            ("a value with a slash", "a;b=c/d"),
        ];
        for (name, field) in rows {
            assert_eq!(read(field), Err(RejectionKind::ExtensionInvalid), "{name}");
        }
        assert_eq!(read(&["a"; 33].join(",")), Err(RejectionKind::ExtensionsTooMany));
    }
}
