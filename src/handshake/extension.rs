//! Offers and answers in `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use http::HeaderValue;
#[cfg(any(feature = "tower", test))]
use http::{HeaderMap, header::SEC_WEBSOCKET_EXTENSIONS};

#[cfg(any(feature = "tower", test))]
use super::deflate::{self, BeyondOffer, DeflateParams};
use super::rejection::RejectionKind;
use crate::grammar::Cursor;
#[cfg(any(feature = "tower", test))]
use crate::grammar::{Lines, joined};

/// Checks that all lines of the header are a list of extensions with parameters. An empty list offers nothing.
///
/// An unknown extension is not an error if it is well formed: the server declines it by leaving it out of the answer.
pub(crate) fn check(field: &HeaderValue) -> Result<(), RejectionKind> {
    let mut cursor = Cursor::new(field.as_bytes());
    let mut count = 0;
    loop {
        cursor.skip_empty_elements();
        if cursor.is_at_end() {
            return Ok(());
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
}

/// The parameters of permessage-deflate, if the answer agrees on it.
///
/// RFC 6455 §9.1: the answer names only offered extensions, and its header has the same grammar.
#[cfg(any(feature = "tower", test))]
pub(crate) fn agreed(offered: &HeaderMap, answered: &HeaderMap) -> Result<Option<DeflateParams>, BeyondOffer> {
    let well_formed = |headers: &HeaderMap| {
        let mut lines = Lines::default();
        headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().for_each(|line| lines.add(line));
        joined(headers, &SEC_WEBSOCKET_EXTENSIONS, lines).is_none_or(|field| check(&field).is_ok())
    };
    if !well_formed(offered) || !well_formed(answered) {
        return Err(BeyondOffer);
    }
    deflate::agreed(offered, answered)
}

/// `extension-token *( ";" extension-param )`, where a parameter is `token [ "=" (token | quoted-string) ]`.
///
/// RFC 6455 §4.3: the grammar is that of RFC 2616, "including the 'implied *LWS rule'", so `a = b` is valid.
fn extension(cursor: &mut Cursor<'_>) -> bool {
    let mut well_formed = cursor.token().is_some();
    while well_formed && cursor.take(b';') {
        well_formed = cursor.token().is_some() && (!cursor.take(b'=') || cursor.token_or_quoted_token());
    }
    well_formed
}

/// The largest number of offers. A client that makes more is refused.
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
            ("empty", ""),
            ("commas alone", ", \t,"),
            ("quoted and escaped", "a;b=\"\\c\",d"),
            ("repeated parameters, which are the extension's own affair", "a; b=1; b=2"),
        ];
        for (name, field) in rows {
            assert_eq!(read(field), Ok(()), "{name}");
        }
        assert_eq!(read(&["a"; 32].join(",")), Ok(()));
    }

    /// The name, the lines of an offer, the lines of an answer, and the agreed parameters.
    type Row =
        (&'static str, &'static [&'static str], &'static [&'static str], Result<Option<&'static str>, BeyondOffer>);

    #[test]
    fn answers_stay_within_the_offers() {
        const PMD: &str = "permessage-deflate";
        const BARE: &[&str] = &["permessage-deflate; client_max_window_bits"];
        let fields = |lines: &[&str]| -> HeaderMap {
            lines.iter().map(|line| (SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(line).unwrap())).collect()
        };
        #[rustfmt::skip]
        let rows: &[Row] = &[
            ("nothing for nothing", &[], &[], Ok(None)),
            ("nothing for an offer", BARE, &[], Ok(None)),
            ("as offered", BARE, &[PMD], Ok(Some(""))),
            ("of several, one", &["x-a; b=1, permessage-deflate", "x-c"], &["x-c"], Ok(None)),
            ("of several, two lines", &["x-a; b=1, permessage-deflate", "x-c"], &["x-c", PMD], Ok(Some(""))),
            ("beside an empty line", &["", "x-c"], &["x-c", ""], Ok(None)),
            ("not offered", &[], &[PMD], Err(BeyondOffer)),
            ("another than offered", BARE, &["x-a"], Err(BeyondOffer)),
            ("twice", &["permessage-deflate, permessage-deflate"], &["permessage-deflate, permessage-deflate"], Err(BeyondOffer)),
            ("malformed", BARE, &["permessage-deflate;"], Err(BeyondOffer)),
            ("empty", BARE, &[""], Ok(None)),
            ("the client's own window, as offered", &["permessage-deflate; client_max_window_bits=10"],
                &["permessage-deflate; client_max_window_bits=10"], Ok(Some("; client_max_window_bits=10"))),
            ("an unknown parameter", BARE, &["permessage-deflate; x=1"], Err(BeyondOffer)),
            ("a repeated parameter", BARE, &["permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"], Err(BeyondOffer)),
            ("takeovers that nobody asked for", &[PMD], &["permessage-deflate; server_no_context_takeover; client_no_context_takeover"],
                Ok(Some("; server_no_context_takeover; client_no_context_takeover"))),
            ("a server's window that nobody asked for", &[PMD], &["permessage-deflate; server_max_window_bits=9"], Ok(Some("; server_max_window_bits=9"))),
            ("a server's window as asked for", &["permessage-deflate; server_max_window_bits=10"], &["permessage-deflate; server_max_window_bits=10"], Ok(Some("; server_max_window_bits=10"))),
            ("a server's window larger than asked for", &["permessage-deflate; server_max_window_bits=10"], &["permessage-deflate; server_max_window_bits=11"], Err(BeyondOffer)),
            ("a demand for a server's window unanswered", &["permessage-deflate; server_max_window_bits=10"], &[PMD], Err(BeyondOffer)),
            ("a demand for a server's takeover unanswered", &["permessage-deflate; server_no_context_takeover"], &[PMD], Err(BeyondOffer)),
            ("a client that is told its window", BARE, &["permessage-deflate; client_max_window_bits=12"], Ok(Some("; client_max_window_bits=12"))),
            ("a client that is told no number", BARE, &["permessage-deflate; client_max_window_bits"], Err(BeyondOffer)),
            ("a client that cannot be told", &[PMD], &["permessage-deflate; client_max_window_bits=12"], Err(BeyondOffer)),
            ("a client told more than it offers", &["permessage-deflate; client_max_window_bits=10"], &["permessage-deflate; client_max_window_bits=11"], Err(BeyondOffer)),
            ("a client's own hints hold unanswered", &["permessage-deflate; client_no_context_takeover; client_max_window_bits=10"], &[PMD],
                Ok(Some("; client_no_context_takeover; client_max_window_bits=10"))),
            ("the second offer", &["permessage-deflate; server_max_window_bits=9, permessage-deflate"], &[PMD], Ok(Some(""))),
        ];
        for (name, offered, answered, expected) in rows {
            let agreed =
                agreed(&fields(offered), &fields(answered)).map(|params| params.map(|params| params.to_string()));
            let agreed =
                agreed.as_ref().map(|params| params.as_deref().map(|params| params.strip_prefix(PMD).unwrap()));
            assert_eq!(agreed, expected.as_ref().copied(), "{name}");
        }
    }

    #[test]
    fn malformed_offers_are_refused() {
        let rows = [
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
