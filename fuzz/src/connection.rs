//! A connection in memory: hyper's server, the layer, and a small service behind it.

use std::{
    convert::Infallible,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use httparse::Status;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
    time::{sleep, timeout},
};
use tower::{Layer, ServiceExt};
use ws_handshake::{Rejection, WsHandshakeLayer, WsStream, WsUpgrade};

use crate::oracle::{lines, lists, parsed_lines, tempts};

/// Sends the bytes after the first byte, which says how. Bit 0 selects a server of both HTTP versions, instead of HTTP/1 only. Bit 1 sends
/// by heads, and bit 2 in small pieces, each when the server has nothing left to do. Otherwise all bytes are sent at once.
///
/// Over HTTP/1, a request that looks like a handshake and does not get a 101 is answered with `Connection: close`. No later request is
/// served or answered. Disguised handshakes never reach the service, and no handler gets a stream without an answer that accepts. The
/// connection ends after its client has ended.
pub fn connection(data: &[u8]) {
    let [mode, sent @ ..] = data else { return };
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let ended = runtime.block_on(async { timeout(Duration::from_secs(3600), exchange(*mode, sent)).await });
    let (seen, answered) = ended.expect("the connection ends once its client has");
    seen.iter().for_each(Seen::check);
    let over_http2 = serves_both(*mode) && sent.starts_with(b"PRI ");
    if !over_http2 {
        check_answers(&seen, &answered, sent);
    }
}

fn serves_both(mode: u8) -> bool {
    mode & 1 == 1
}

/// The bytes that the client sends before it waits.
fn pieces(mode: u8, sent: &[u8]) -> Vec<&[u8]> {
    match mode >> 1 & 3 {
        0 => vec![sent],
        1 => {
            let ends = (4..=sent.len()).filter(|end| sent[..*end].ends_with(b"\r\n\r\n"));
            let ends: Vec<_> = ends.chain([sent.len()]).collect();
            let starts = [0].into_iter().chain(ends.iter().copied());
            starts.zip(&ends).map(|(start, end)| &sent[start..*end]).collect()
        }
        _ => sent.chunks(7).collect(),
    }
}

/// Returns the requests that the layer has seen, and all bytes that the client has read.
async fn exchange(mode: u8, sent: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (record, layered) = (Arc::clone(&seen), WsHandshakeLayer::new().layer(tower::service_fn(serve)));
    let service = service_fn(move |mut request| {
        let (record, layered) = (Arc::clone(&record), layered.clone());
        let at = lock(&record).len();
        lock(&record).push(Seen::new(&mut request));
        async move {
            let response = layered.oneshot(request).await?;
            let by_layer = response.extensions().get::<Rejection>().is_some();
            lock(&record)[at].answer = Some(Answer { status: response.status(), by_layer });
            Ok::<_, Infallible>(response)
        }
    });
    let (client, server) = tokio::io::duplex(64 << 10);
    let serving = tokio::spawn(async move {
        let io = TokioIo::new(server);
        if serves_both(mode) {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().enable_connect_protocol();
            drop(builder.serve_connection_with_upgrades(io, service).await);
        } else {
            drop(http1::Builder::new().serve_connection(io, service).with_upgrades().await);
        }
    });
    let (mut read, mut write) = tokio::io::split(client);
    let reading = tokio::spawn(async move {
        let mut answered = Vec::new();
        read.read_to_end(&mut answered).await.map(|_| answered)
    });
    for piece in pieces(mode, sent) {
        if write.write_all(piece).await.is_err() {
            break;
        }
        // Time is paused: it goes on only when all tasks are idle.
        sleep(Duration::from_millis(1)).await;
    }
    let _ = write.shutdown().await;
    serving.await.expect("a server that does not panic");
    let answered = reading.await.expect("a reader that does not panic").expect("the end of the connection");
    (mem::take(&mut lock(&seen)), answered)
}

async fn serve(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let marks = Arc::clone(request.extensions().get::<Arc<Marks>>().expect("marks on each request"));
    marks.served.store(true, Relaxed);
    let echo = async move |mut stream: WsStream| {
        marks.opened.store(true, Relaxed);
        let (mut read, mut write) = tokio::io::split(&mut stream);
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    };
    let path = request.uri().path().to_owned();
    Ok(match (&*path, WsUpgrade::take_from(&mut request)) {
        ("/ws", Ok(ws)) => {
            if let Ok(stream) = ws.accept().await {
                echo(stream).await;
            }
            Response::default()
        }
        ("/callback", Ok(ws)) => ws.on_upgrade_into(echo),
        ("/ws" | "/callback", Err(rejection)) => rejection.response(),
        ("/page", _) if request.method() != Method::CONNECT => {
            let _ = request.into_body().collect().await;
            Response::new("a page".into())
        }
        ("/401", _) => with_status(StatusCode::UNAUTHORIZED),
        _ => with_status(StatusCode::NOT_FOUND),
    })
}

fn with_status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// A request as the layer got it, and its outcome.
struct Seen {
    method: Method,
    version: Version,
    /// Whether the request asks for a WebSocket over HTTP/1.1.
    asks: bool,
    /// Whether the request does not ask, but code that checks only the WebSocket headers could upgrade it.
    disguised: bool,
    answer: Option<Answer>,
    marks: Arc<Marks>,
}

struct Answer {
    status: StatusCode,
    by_layer: bool,
}

/// What happens behind the layer.
#[derive(Default)]
struct Marks {
    served: AtomicBool,
    opened: AtomicBool,
}

impl Seen {
    fn new(request: &mut Request<Incoming>) -> Self {
        let (method, version) = (request.method().clone(), request.version());
        let asks = version == Version::HTTP_11 && lists(&lines(request.headers(), "upgrade"), "websocket");
        let disguised = version < Version::HTTP_2 && !asks && tempts(&method, request.headers());
        let marks = Arc::<Marks>::default();
        request.extensions_mut().insert(Arc::clone(&marks));
        Self { method, version, asks, disguised, answer: None, marks }
    }

    fn check(&self) {
        let (served, opened) = (self.marks.served.load(Relaxed), self.marks.opened.load(Relaxed));
        let over_http2 = self.version == Version::HTTP_2;
        let accepts = if over_http2 { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS };
        let is_accepted = self.answer.as_ref().is_some_and(|answer| answer.status == accepts && !answer.by_layer);
        assert!(!served || !self.answer.as_ref().is_some_and(|answer| answer.by_layer), "refused and served");
        assert!(!served || !self.disguised, "disguised and served");
        assert!(!opened || is_accepted && (self.asks || over_http2 && self.method == Method::CONNECT), "a stream");
    }

    fn is_refused_by(&self, status: StatusCode) -> bool {
        (self.asks || self.disguised) && status != StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Matches the answers with their requests, in order.
fn check_answers(seen: &[Seen], answered: &[u8], sent: &[u8]) {
    let mut rest = answered;
    let mut refused = false;
    for one in seen {
        assert!(!refused, "a request served behind a refused handshake");
        // hyper may give up a connection before it answers, if the client has ended it.
        let Some(head) = Head::take(&mut rest) else { break };
        assert_eq!(Some(head.status), one.answer.as_ref().map(|answer| answer.status));
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            assert!(one.asks && sent.ends_with(rest), "no echo");
            return;
        }
        refused = one.is_refused_by(head.status);
        assert!(head.closes || !refused, "a refused handshake leaves its connection open");
        if one.method != Method::HEAD {
            rest = rest.split_at_checked(head.length).expect("a whole body").1;
        }
    }
    // hyper's own answer to bytes that are not HTTP.
    if let Some(head) = Head::take(&mut rest) {
        assert!(head.status.is_client_error() && !refused, "an answer behind a refused handshake");
    }
    assert!(rest.is_empty(), "more than answers");
}

/// The head of an answer, as a client reads it.
struct Head {
    status: StatusCode,
    closes: bool,
    length: usize,
}

impl Head {
    fn take(rest: &mut &[u8]) -> Option<Self> {
        if rest.is_empty() {
            return None;
        }
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut fields);
        let Status::Complete(end) = response.parse(rest).expect("an answer") else { panic!("half an answer") };
        *rest = &rest[end..];
        if response.code == Some(100) {
            return Self::take(rest);
        }
        let field = |name| parsed_lines(response.headers, name);
        let length = field("content-length").first().and_then(|length| str::from_utf8(length).ok()?.parse().ok());
        Some(Self {
            status: StatusCode::from_u16(response.code?).ok()?,
            closes: lists(&field("connection"), "close"),
            length: length.unwrap_or(0),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
