//! A client's offers: subprotocols and extensions, each over several lines.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, request::Parts};
use ws_handshake::{
    PermessageDeflate, Policy, Subprotocols,
    handshake::{ClientHandshake, ServerHandshake},
};

use crate::{
    deflate::Params,
    extension::{extensions, is_extension},
    handshake::handshake,
    oracle::{elements, is_list, is_token, lines},
};

/// Takes a byte of flags and one of window sizes, and then lines. Each line begins with a letter: `n` for a subprotocol that the server
/// speaks, `s` for a prefix of secrets, `a` for a name before secrets, `p` and `e` for lines of `Sec-WebSocket-Protocol` and
/// `-Extensions`.
///
/// A handshake is refused exactly if a header is malformed or no required subprotocol is shared. The selected subprotocol was offered, is
/// spoken, and is not a secret. permessage-deflate is answered if an offer is acceptable, and never beyond one.
pub fn fields(data: &[u8]) {
    let [flags, windows, rest @ ..] = data else { return };
    let [server_forgets, client_forgets, prefer_client, required, over_http2] =
        [0, 1, 2, 3, 4].map(|bit| flags >> bit & 1 == 1);
    let window = |shift: u8| 9 + (windows >> shift & 7).min(6);
    let terms = Params { server_forgets, client_forgets, server_bits: Some(window(0)), client_bits: Some(window(3)) };

    let (mut spoken, mut secret, mut before) = (Vec::new(), Vec::new(), Vec::new());
    let mut parts = request(over_http2);
    for line in rest.split(|byte| *byte == b'\n') {
        match line {
            [b'n', b' ', name @ ..] => spoken.extend(str::from_utf8(name)),
            [b's', b' ', prefix @ ..] => secret.extend(str::from_utf8(prefix)),
            [b'a', b' ', name @ ..] => before.extend(str::from_utf8(name)),
            [b'p', b' ', line @ ..] => append(&mut parts.headers, "sec-websocket-protocol", line),
            [b'e', b' ', line @ ..] => append(&mut parts.headers, "sec-websocket-extensions", line),
            _ => {}
        }
    }
    let speaks = Speaks::new(spoken, secret, before, prefer_client, required);
    let mut policy = Policy::new().permessage_deflate(terms.policy());
    if let Some(subprotocols) = speaks.policy() {
        policy = policy.subprotocols(subprotocols);
    }

    let name_lines = lines(&parts.headers, "sec-websocket-protocol");
    let names = elements(&name_lines);
    let is_listed = |name: &[u8]| speaks.spoken.iter().any(|spoken| spoken.as_bytes() == name);
    let names_right = is_list(&names, |name| is_token(name) || is_listed(name)) && unique(&names);
    let extension_lines = lines(&parts.headers, "sec-websocket-extensions");
    let extensions = extensions(&extension_lines);
    let extensions_right = is_list(&extensions, is_extension);
    let names: Vec<_> = names.iter().filter_map(|name| str::from_utf8(name).ok()).collect();
    let selected = speaks.select(&names);
    let shared = selected.is_some() || !speaks.required;

    let client = if over_http2 {
        ClientHandshake::from_extended_connect(&parts, "websocket")
    } else {
        ClientHandshake::from_parts(&parts)
    };
    let client = client.expect("nothing else is wrong").expect("it asks for a WebSocket");
    let decision = policy.decide(&client, &parts).now().expect("no predicate is asynchronous");
    assert_eq!(decision.is_ok(), names_right && extensions_right && shared, "{:?}", decision.err());
    if let Ok(server) = decision {
        speaks.check(&server, &names, selected);
        terms.check(&server, &extensions);
    }
}

/// The subprotocols of a server.
struct Speaks<'a> {
    spoken: Vec<&'a str>,
    secret: Vec<&'a str>,
    /// The names before a secret.
    before: Vec<&'a str>,
    prefer_client: bool,
    required: bool,
}

impl<'a> Speaks<'a> {
    /// Leaves out names that the crate has to refuse.
    fn new(
        spoken: Vec<&'a str>, secret: Vec<&'a str>, before: Vec<&'a str>, prefer_client: bool, required: bool,
    ) -> Self {
        let right = !spoken.is_empty() && unique(&spoken) && spoken.iter().all(|name| is_listable(name));
        let subprotocols = Subprotocols::new(&spoken);
        assert_eq!(subprotocols.is_ok(), right, "{spoken:?}");
        let Ok(subprotocols) = subprotocols else {
            return Self { spoken: Vec::new(), secret: Vec::new(), before: Vec::new(), prefer_client, required: false };
        };
        let takes = |prefix: &&str| {
            let right = is_token(prefix.as_bytes()) && !spoken.iter().any(|name| begins(name, prefix));
            assert_eq!(subprotocols.clone().secret_prefix(prefix).is_ok(), right, "{prefix:?}");
            right
        };
        let secret: Vec<_> = secret.into_iter().filter(takes).collect();
        let follows = |name: &&str| {
            let right = is_token(name.as_bytes()) && !secret.iter().any(|prefix| begins(name, prefix));
            let subprotocols =
                secret.iter().try_fold(subprotocols.clone(), Subprotocols::secret_prefix).expect("right");
            assert_eq!(subprotocols.secret_after(name).is_ok(), right, "{name:?}");
            right
        };
        let before = before.into_iter().filter(follows).collect();
        Self { spoken, secret, before, prefer_client, required }
    }

    fn policy(&self) -> Option<Subprotocols> {
        let subprotocols = Subprotocols::new(&self.spoken).ok()?;
        let subprotocols = subprotocols.prefer_client(self.prefer_client).required(self.required);
        let subprotocols = self.secret.iter().try_fold(subprotocols, Subprotocols::secret_prefix).ok()?;
        self.before.iter().try_fold(subprotocols, Subprotocols::secret_after).ok()
    }

    fn select(&self, offered: &[&'a str]) -> Option<&'a str> {
        let offered = &*self.others(offered);
        let (first, second) = if self.prefer_client { (offered, &*self.spoken) } else { (&*self.spoken, offered) };
        first.iter().find(|name| second.contains(name)).copied()
    }

    fn check(&self, server: &ServerHandshake, offered: &[&'a str], selected: Option<&str>) {
        assert_eq!(server.subprotocol(), selected);
        let response = server.response::<()>();
        let answer = response.headers().get("sec-websocket-protocol").map(HeaderValue::as_bytes);
        assert_eq!(answer, selected.map(str::as_bytes));

        assert_eq!(server.offered_subprotocols().iter().collect::<Vec<_>>(), self.others(offered));
        let is_mark_too = |mark: &str, others: &[&str]| others.iter().any(|other| other.eq_ignore_ascii_case(mark));
        for prefix in self.secret.iter().filter(|prefix| !is_mark_too(prefix, &self.before)) {
            let secret = offered.iter().find(|name| begins(name, prefix)).map(|name| &name[prefix.len()..]);
            assert_eq!(server.secret_subprotocol(prefix), secret);
        }
        for mark in self.before.iter().filter(|mark| !is_mark_too(mark, &self.secret)) {
            let secret = offered.windows(2).find(|pair| pair[0].eq_ignore_ascii_case(mark)).map(|pair| pair[1]);
            assert_eq!(server.secret_subprotocol(mark), secret);
        }
    }

    /// The names that are not secrets.
    fn others(&self, offered: &[&'a str]) -> Vec<&'a str> {
        let is_secret = |at: usize| {
            let follows = |mark: &&str| at > 0 && offered[at - 1].eq_ignore_ascii_case(mark);
            self.secret.iter().any(|prefix| begins(offered[at], prefix)) || self.before.iter().any(follows)
        };
        (0..offered.len()).filter(|at| !is_secret(*at)).map(|at| offered[at]).collect()
    }
}

impl Params {
    fn policy(self) -> PermessageDeflate {
        let deflate = PermessageDeflate::new()
            .server_no_context_takeover(self.server_forgets)
            .client_no_context_takeover(self.client_forgets);
        let deflate = deflate.server_max_window_bits(self.server_bits.unwrap_or(15)).expect("9 to 15");
        deflate.client_max_window_bits(self.client_bits.unwrap_or(15)).expect("9 to 15")
    }

    /// Whether a server with these terms may answer the offer. The server has no window of 8 bits, and must be able to tell the client of
    /// a window below 15.
    fn accept(self, offer: Self) -> bool {
        offer.server_bits != Some(8) && (self.client_bits == Some(15) || offer.client_bits.is_some())
    }

    fn check(self, server: &ServerHandshake, extensions: &[&[u8]]) {
        let offers: Vec<_> = extensions.iter().filter_map(|extension| Self::read(extension, false)).collect();
        let response = server.response::<()>();
        let [answer] = lines(response.headers(), "sec-websocket-extensions")[..] else {
            assert!(!offers.into_iter().any(|offer| self.accept(offer)), "an acceptable offer is declined");
            assert_eq!(server.deflate(), None);
            return;
        };
        let answer = Self::read(answer, true).expect("an answer of permessage-deflate alone");
        assert!(offers.into_iter().any(|offer| answer.stays_within(offer)), "beyond the offers: {answer:?}");
        let (server_bits, client_bits) = (answer.server_bits.unwrap_or(15), answer.client_bits.unwrap_or(15));
        assert!(answer.server_forgets || !self.server_forgets);
        assert!(answer.client_forgets || !self.client_forgets);
        assert!(server_bits >= 9 && Some(server_bits) <= self.server_bits && Some(client_bits) <= self.client_bits);

        let agreed = server.deflate().expect("what is answered");
        assert_eq!(agreed.server_no_context_takeover(), answer.server_forgets);
        assert_eq!(agreed.client_no_context_takeover(), answer.client_forgets);
        assert_eq!((agreed.server_max_window_bits(), agreed.client_max_window_bits()), (server_bits, client_bits));
    }
}

/// Whether a list can contain the name, which is visible ASCII.
fn is_listable(name: &str) -> bool {
    let plain = |byte| matches!(byte, b'\t' | b' '..=b'~') && byte != b',';
    !name.is_empty() && name.bytes().all(plain) && name.trim_matches([' ', '\t']) == name
}

fn begins(name: &str, prefix: &str) -> bool {
    name.to_ascii_lowercase().starts_with(&prefix.to_ascii_lowercase())
}

fn append(headers: &mut HeaderMap, name: &'static str, line: &[u8]) {
    headers.extend(HeaderValue::from_bytes(line).ok().map(|line| (HeaderName::from_static(name), line)));
}

fn unique<T: PartialEq>(list: &[T]) -> bool {
    (1..list.len()).all(|at| !list[..at].contains(&list[at]))
}

fn request(over_http2: bool) -> Parts {
    let builder = handshake("a.com");
    let builder = if over_http2 {
        builder.method(Method::CONNECT).uri("https://a.com/ws").version(Version::HTTP_2)
    } else {
        builder
    };
    builder.body(()).expect("a request").into_parts().0
}
