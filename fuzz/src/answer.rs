//! The client side: a client that gets any answer.

use httparse::Status;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::Builder,
};
use ws_handshake::{ClientErrorKind, WsRequest, WsStream};

use crate::{
    deflate::Params,
    extension::{extensions, is_extension},
    oracle::{accept, is_list, lists, parsed_lines, split},
};

/// Takes the offered extensions and, after a line feed, a server's answer. `ACCEPT` in the answer stands for the correct accept value.
///
/// A client gets a stream exactly if the answer follows RFC 6455 §4.1 and HTTP: what was selected was offered, and permessage-deflate
/// stays within an offer. The stream begins with the bytes that the server sent after its answer.
pub fn answer(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (Ok(offered), answer) = (str::from_utf8(&data[..end]), &data[end + 1..]) else { return };
    let mut request = WsRequest::new("ws://a.com/ws").subprotocols(OFFERED);
    if !offered.is_empty() {
        request = request.extensions(offered);
    }
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let (client, server) = tokio::io::duplex(64 << 10);
        let serving = tokio::spawn(serve(server, answer.to_vec()));
        let connected = request.connect(client).await;
        if connected.as_ref().is_err_and(|error| error.kind() == ClientErrorKind::RequestInvalid) {
            return;
        }
        let sent = serving.await.expect("a server that does not panic");
        let expected = Expected::read(&sent, offered);
        match connected {
            Ok((stream, _)) => expected.expect("a stream behind a wrong answer").check(stream).await,
            // hyper decides what is not HTTP.
            Err(error) => assert!(expected.is_none() || error.kind() == ClientErrorKind::ConnectionFailed, "{error}"),
        }
    });
}

/// Reads a request and answers it, as far as the client allows.
async fn serve(mut server: DuplexStream, answer: Vec<u8>) -> Sent {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && server.read_exact(&mut byte).await.is_ok() {
        head.extend(byte);
    }
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    let is_whole = request.parse(&head).is_ok_and(|status| status.is_complete());
    let accept = match parsed_lines(request.headers, "sec-websocket-key")[..] {
        [key] if is_whole => accept(key),
        _ => panic!("no handshake is sent"),
    };
    let placeholder = answer.windows(PLACEHOLDER.len()).position(|window| window == PLACEHOLDER);
    let answer = match placeholder {
        Some(at) => [&answer[..at], accept.as_bytes(), &answer[at + PLACEHOLDER.len()..]].concat(),
        None => answer,
    };
    let _ = server.write_all(&answer).await;
    let _ = server.shutdown().await;
    Sent { accept, answer }
}

/// The sent request, and the correct accept value.
struct Sent {
    accept: String,
    answer: Vec<u8>,
}

/// What a client gets from a correct answer.
struct Expected<'a> {
    subprotocol: Option<&'a [u8]>,
    deflate: bool,
    behind: &'a [u8],
}

impl<'a> Expected<'a> {
    fn read(sent: &'a Sent, offered: &str) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let (response, behind) = last_head(&sent.answer, &mut fields)?;
        let field = |name| parsed_lines(response.headers, name);
        let subprotocols = field("sec-websocket-protocol");
        let extension_lines = field("sec-websocket-extensions");
        let is_selected = |name: &[u8]| OFFERED.iter().any(|offered| offered.as_bytes() == name);
        let right = response.code == Some(101)
            && response.version == Some(1)
            && matches!(field("upgrade")[..], [name] if name.eq_ignore_ascii_case(b"websocket"))
            && lists(&field("connection"), "upgrade")
            && field("sec-websocket-accept") == [sent.accept.as_bytes()]
            && subprotocols.len() <= 1
            && subprotocols.iter().all(|name| is_selected(name))
            && agrees(&extension_lines, offered);
        let deflate = extensions(&extension_lines).iter().any(|extension| name(extension) == DEFLATE);
        right.then_some(Self { subprotocol: subprotocols.first().copied(), deflate, behind })
    }

    async fn check(&self, mut stream: WsStream) {
        assert_eq!(stream.subprotocol().map(str::as_bytes), self.subprotocol);
        assert_eq!(stream.deflate().is_some(), self.deflate);
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        assert_eq!(read, self.behind);
    }
}

/// The first head that is not an interim response, and the bytes after it.
fn last_head<'a, 'f>(
    mut rest: &'a [u8], fields: &'f mut [httparse::Header<'a>],
) -> Option<(httparse::Response<'f, 'a>, &'a [u8])> {
    loop {
        let mut skipped = [httparse::EMPTY_HEADER; 100];
        let mut response = httparse::Response::new(&mut skipped);
        let Ok(Status::Complete(end)) = response.parse(rest) else { return None };
        if !matches!(response.code, Some(100 | 102..200)) {
            let mut response = httparse::Response::new(fields);
            return response.parse(rest).is_ok().then_some((response, &rest[end..]));
        }
        rest = &rest[end..];
    }
}

/// Whether each answered extension was offered, and permessage-deflate is answered at most once and within an offer.
fn agrees(lines: &[&[u8]], offered: &str) -> bool {
    let (answered, offered) = (extensions(lines), extensions(&[offered.as_bytes()]));
    let offers: Vec<_> = offered.iter().filter_map(|offer| Params::read(offer, false)).collect();
    let within = |answer: Params| offers.iter().any(|offer| answer.stays_within(*offer));
    is_list(&answered, is_extension)
        && answered.iter().filter(|extension| name(extension) == DEFLATE).count() <= 1
        && answered.iter().all(|extension| {
            offered.iter().any(|offer| name(offer) == name(extension))
                && (name(extension) != DEFLATE || Params::read(extension, true).is_some_and(within))
        })
}

fn name(extension: &[u8]) -> &[u8] {
    split(extension, b';')[0]
}

const DEFLATE: &[u8] = b"permessage-deflate";
const OFFERED: [&str; 2] = ["v2.chat", "v1.chat"];
const PLACEHOLDER: &[u8] = b"ACCEPT";
