//! Reads, decides and answers the opening handshake, as pure functions over the `http` crate's types: no runtime, no hyper, no tower.
//!
//! ```
//! use ws_handshake::{Policy, handshake::ClientHandshake};
//!
//! let (parts, ()) = http::Request::get("/chat")
//!     .header("host", "server.example.com")
//!     .header("upgrade", "websocket")
//!     .header("connection", "Upgrade")
//!     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
//!     .header("origin", "http://server.example.com")
//!     .header("sec-websocket-version", "13")
//!     .body(())?
//!     .into_parts();
//!
//! let policy = Policy::new();
//! if let Some(client) = ClientHandshake::from_parts(&parts)? {
//!     // No predicate of this policy is asynchronous, so the decision is ready at once.
//!     let server = policy.decide(&client, &parts).now().expect("decided")?;
//!     let response = server.response::<()>();
//!     assert_eq!(response.status(), 101);
//!     assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
//! }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Conformance
//!
//! The requirements of RFC 6455 for a server's handshake, with the code that implements each and the test that checks it. Tests are named
//! by file. The tests of `refusals`, `gate` and `unaccepted` are in `tests/server`, over real sockets.
//!
//! | RFC 6455 | Requirement | Where | Test |
//! |---|---|---|---|
//! | §4.2.1 | a `GET` over HTTP/1.1 or higher | [`ClientHandshake`] | `client::tests::each_fault_has_its_own_kind` |
//! | §4.2.1 | a `Host` header with the server's authority | [`Authority`] | `client::tests::the_authority_is_one_well_formed_host` |
//! | §4.2.1 | `Upgrade` with `websocket`, in any case | [`ClientHandshake`] | `client::tests::what_asks_for_a_websocket` |
//! | §4.2.1 | `Connection` with the token `Upgrade`, in any case | `grammar::lists` | `grammar::tests::lists_finds_whole_tokens` |
//! | §4.2.1 | `Sec-WebSocket-Key`: base64 of 16 bytes | [`Key`] | `key::tests::only_base64_of_16_bytes_is_a_key` |
//! | §4.2.1 | `Sec-WebSocket-Version` of 13 | [`ClientHandshake`] | `client::tests::each_fault_has_its_own_kind` |
//! | §4.2.1 | a request that does not match MUST be stopped with an error such as 400 | [`Rejection`] | `refusals::each_fault_is_refused_with_its_status_and_headers` |
//! | §4.2.1 | unknown headers are ignored | [`ClientHandshake`] | `client::tests::unknown_fields_are_ignored` |
//! | §4.2.2 1 | TLS comes first, on a TLS port | outside: the server's listener | |
//! | §4.2.2 2 | further authentication: 401, redirects | `WsUpgrade`: a handler can send any answer | `unaccepted::a_handler_may_refuse_by_any_answer` |
//! | §4.2.2 3 | the redirect status codes | as above | `unaccepted::a_handler_may_refuse_by_any_answer` |
//! | §4.2.2 4, §10.2 | an unwanted `Origin`: SHOULD answer 403 | [`AllowOrigin`](crate::AllowOrigin) | `refusals::each_fault_is_refused_with_its_status_and_headers` |
//! | §4.2.2 4 | a request without `Origin` MUST NOT count as a browser's | [`Policy`](crate::Policy) | `decide::tests::no_origin_is_no_browser` |
//! | §4.2.2 4, §4.4 | an unknown version: MUST abort with an error such as 426, and the known versions | [`Rejection`] | `refusals::each_fault_is_refused_with_its_status_and_headers` |
//! | §4.2.2 4 | an unknown resource: SHOULD answer with an error such as 404 | the router; the layer closes the connection | `unaccepted::a_second_request_is_never_served` |
//! | §4.2.2 4 | only an offered subprotocol, else no header | [`Subprotocols`](crate::Subprotocols) | `decide::tests::subprotocols_are_selected_by_preference` |
//! | §4.2.2 4 | only offered extensions | [`PermessageDeflate`](crate::PermessageDeflate), off by default | `decide::tests::no_extension_is_answered_by_default` |
//! | §4.2.2 5 | status 101, `Upgrade`, `Connection`, `Sec-WebSocket-Accept` | [`ServerHandshake`] | `decide::tests::the_answer_is_the_one_of_the_rfc` |
//! | §4.2.2 5 | `Sec-WebSocket-Accept` with SHA-1 and base64 | [`Key::accept`] | its doc example, from §1.3 |
//! | §4.2.2 5 | when the answer is sent, the connection is open | `WsStream` | `gate::the_stream_is_there_once_the_answer_is_sent` |
//! | §4.4 | MAY list several versions in the header | only 13 exists | |
//! | §10.2 | servers not meant for any page SHOULD verify `Origin` | [`AllowOrigin::same_origin`](crate::AllowOrigin::same_origin), the default | `decide::tests::same_origin_is_the_default` |
//! | §11.3.1, §11.3.5 | key and version MUST NOT appear twice | [`RejectionKind`] | `client::tests::each_fault_has_its_own_kind` |
//!
//! The requirements of RFC 8441 for an extended `CONNECT` over HTTP/2. The tests of `http2` are in `tests/server`.
//!
//! | RFC 8441 | Requirement | Where | Test |
//! |---|---|---|---|
//! | §3 | the server announces extended `CONNECT` | outside: the server's settings | |
//! | §4 | `:scheme`, `:path` and `:authority` are those of the target | [`Authority`] | `client::tests::extended_connect::faults_are_400_and_name_no_connection` |
//! | §5 | `:protocol` is `websocket` | [`ClientHandshake::from_extended_connect`] | `http2::the_protocol_is_known_in_any_case_and_a_key_is_ignored` |
//! | §5 | no `Connection` and no `Upgrade`, in request and answer | [`ServerHandshake`], [`Rejection`] | `refusals::each_fault_is_refused_with_its_status_and_headers` |
//! | §5 | the host is in `:authority` | [`Authority`] | `refusals::each_fault_is_refused_with_its_status_and_headers` |
//! | §5 | neither `Sec-WebSocket-Key` nor `-Accept` is processed | [`ClientHandshake`] | `http2::the_protocol_is_known_in_any_case_and_a_key_is_ignored` |
//! | §5 | `Origin`, `Sec-WebSocket-Version`, `-Protocol` and `-Extensions` are used as in RFC 6455 | [`Policy`](crate::Policy) | `refusals::each_fault_is_refused_with_its_status_and_headers` |
//! | §5 | the stream is the connection: the end or reset of one is that of the other | `WsStream` | `http2::resets_and_ends_reach_the_handler` |
//!
//! RFC 9220 requires the same over HTTP/3, and one thing more. hyper does not speak HTTP/3, but the example `http3` and proxies do.
//!
//! | RFC 9220 | Requirement | Where | Test |
//! |---|---|---|---|
//! | §3 | the server announces extended `CONNECT` | outside: the server's settings | |
//! | §3 | a handshake is the extended `CONNECT` of RFC 8441 | [`ClientHandshake::from_extended_connect`] | `client::tests::over_http3_a_handshake_is_read_as_over_http2` |
//! | §3 | the answer to another `:protocol` is 501 | [`RejectionKind::ProtocolUnsupported`] | `client::tests::over_http3_another_protocol_is_not_implemented` |
//! | §3 | the end of the stream is the end of the connection; a reset is a reset of the stream | outside: `examples/http3/src/tunnel.rs` | |
//!
//! The requirements of RFC 6455 for a client, with the feature `client`. The tests of `request` and `answers` are in `tests/client`.
//!
//! | RFC 6455 | Requirement | Where | Test |
//! |---|---|---|---|
//! | §4.1 | the request: `GET`, `Host`, `Upgrade`, `Connection`, version 13, offers, everything else as HTTP allows | `WsRequest` | `request::the_request_is_that_of_the_rfc` |
//! | §4.1 7 | a key that is random in each handshake | `WsRequest` | `request::keys_differ_from_handshake_to_handshake` |
//! | §4.1 10 | subprotocols that are tokens, and unique | `WsRequest` | `request::mistakes_in_the_request_say_how_to_write_it_right` |
//! | §4.1 1 | a status other than 101 is handled as in HTTP | `ClientError` | `answers::a_refusal_can_be_read` |
//! | §4.1 2, 3, 4 | `Upgrade`, `Connection` and the accept value, or the connection fails | `client::answer` | `answers::every_lie_of_the_list_fails_the_connection` |
//! | §4.1 5, 6 | only offered extensions and subprotocols, or the connection fails | `client::answer` | `answers::every_lie_of_the_list_fails_the_connection` |
//!
//! The requirements of RFC 7692 for a server that agrees on permessage-deflate. The test of §7.2 is in `tests/server`.
//!
//! | RFC 7692 | Requirement | Where | Test |
//! |---|---|---|---|
//! | §5.1 | the answer corresponds to one offer, and the first acceptable offer is preferred | [`PermessageDeflate`](crate::PermessageDeflate) | `permessage_deflate::tests::offers_are_answered_within_their_terms` |
//! | §7, §7.1 | an offer with an unknown, repeated or invalid parameter is declined, and the next one is checked | `deflate::DeflateOffer` | `permessage_deflate::tests::invalid_offers_are_declined` |
//! | §7.1.1 | if the client declines context takeover, so does the answer | [`PermessageDeflate`](crate::PermessageDeflate) | `permessage_deflate::tests::offers_are_answered_within_their_terms` |
//! | §7.1.2 | windows of the same size or smaller; the client's window only if the client offers that | [`PermessageDeflate`](crate::PermessageDeflate) | `permessage_deflate::tests::offers_are_answered_within_their_terms` |
//! | §7.1 | a client accepts no answer that goes beyond its offers | `extension::agreed` | `extension::tests::answers_stay_within_the_offers` |
//! | §7.2 | compression itself | the framing library | `permessage_deflate::what_is_agreed_on_is_inflated` |

pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod deflate;
pub(crate) mod extension;
#[cfg(feature = "tower")]
pub(crate) mod header;
#[cfg(feature = "tower")]
pub(crate) mod http_version;
pub(crate) mod key;
pub(crate) mod origin;
pub(crate) mod rejection;
pub(crate) mod server;
pub(crate) mod subprotocol;

pub use self::{
    authority::Authority,
    client::{ClientHandshake, request_authority},
    deflate::DeflateParams,
    key::{InvalidKey, Key},
    origin::{InvalidOrigin, Origin},
    rejection::{Rejection, RejectionKind, ReportedRejection},
    server::ServerHandshake,
    subprotocol::OfferedSubprotocols,
};
