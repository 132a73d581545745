//! One QUIC connection: HTTP/3 to the client, and HTTP/2 in memory to the router.
//!
//! hyper does not support HTTP/3. So hyper's HTTP/2 server runs the router, at the other side of a pipe, and each HTTP/3 stream becomes an
//! HTTP/2 stream. A WebSocket is an extended `CONNECT` on both sides (RFC 9220, RFC 8441).

use std::{future::poll_fn, time::Duration};

use axum::{Extension, Router, extract::ConnectInfo, middleware::map_request};
use bytes::Bytes;
use h2::{client::SendRequest, ext::Protocol};
use h3::{
    error::Code,
    frame::FrameStreamError,
    proto::frame::Frame,
    quic::{SendStream as _, StreamErrorIncoming},
    server::RequestResolver,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header::COOKIE};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use quinn::VarInt;
use tokio::{
    io::DuplexStream,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{BoxError, STREAMS, WINDOW, frames::Framed, protocol, relay::relay};

/// Serves all requests of a client until its connection ends. After `stopping` has changed, serves until all requests have been answered.
pub(super) async fn serve(
    quic: quinn::Connection, router: Router, mut stopping: watch::Receiver<()>,
) -> Result<(), BoxError> {
    // Gives the router what it would see without the pipe.
    let router = router.layer(Extension(ConnectInfo(quic.remote_address()))).layer(map_request(as_http3));
    let inner = connect(router, quic.clone()).await?;
    let mut builder = h3::server::builder();
    builder.max_field_section_size(HEAD).enable_extended_connect(true);
    let mut client = builder.build::<_, Bytes>(Framed::new(h3_quinn::Connection::new(quic.clone()))).await?;
    let mut requests = JoinSet::new();
    let mut is_stopping = false;
    while !(is_stopping && requests.is_empty()) {
        tokio::select! {
            accepted = client.accept() => {
                let Some(mut resolver) = accepted? else { break };
                if is_stopping {
                    // GOAWAY says that this request is not processed. h3 accepts one that crosses it.
                    resolver.frame_stream.reset(Code::H3_REQUEST_REJECTED.value());
                    continue;
                }
                let inner = inner.clone();
                requests.spawn(async move {
                    if let Err(error) = answer(resolver, inner).await {
                        tracing::debug!(error, "request ended");
                    }
                });
            }
            Some(_) = requests.join_next() => {}
            Err(_) = stopping.changed(), if !is_stopping => {
                is_stopping = true;
                // RFC 9114 §5.2: GOAWAY names the first request that is not answered. h3 counts from the last one that is.
                client.shutdown(1).await?;
            }
        }
    }
    // The last bytes are still on their way. Most clients close the connection when they have them.
    let _ = timeout(LINGER, quic.closed()).await;
    quic.close(NO_ERROR, b"");
    Ok(())
}

async fn as_http3(mut request: axum::extract::Request) -> axum::extract::Request {
    *request.version_mut() = Version::HTTP_3;
    request
}

/// Runs the router behind a pipe, and returns the sender for requests. When this connection or the client's connection ends, so does the
/// other.
async fn connect(router: Router, quic: quinn::Connection) -> Result<SendRequest<Bytes>, BoxError> {
    let (near, far) = tokio::io::duplex(WINDOW as usize);
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(STREAMS * WINDOW)
        .max_send_buffer_size(BUFFER)
        // Handlers may write small messages to clients that do not read. The windows bound what waits.
        .data_frame_budget(usize::MAX / 2);
    let handshake = builder.handshake(near);
    let server = tokio::spawn(run(router, far));
    let (inner, connection) = handshake.await?;
    let client = quic.clone();
    tokio::spawn(async move {
        let code = tokio::select! {
            Err(_) = connection => INTERNAL_ERROR,
            _ = client.closed() => NO_ERROR,
            else => NO_ERROR,
        };
        server.abort();
        client.close(code, b"");
    });
    // RFC 8441 §3: no extended CONNECT before the settings have come. There is no event for that, so poll.
    while !inner.is_extended_connect_protocol_enabled() {
        if let Some(closed) = quic.close_reason() {
            return Err(closed.into());
        }
        sleep(Duration::from_micros(100)).await;
    }
    Ok(inner)
}

async fn run(router: Router, pipe: DuplexStream) {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let server = builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS)
        // A client that cancels many requests at once should not lose its connection.
        .max_pending_accept_reset_streams(STREAMS as usize)
        .max_send_buf_size(BUFFER)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(STREAMS * WINDOW);
    let _ = server.serve_connection(TokioIo::new(pipe), TowerToHyperService::new(router)).await;
}

/// Lets the router answer a request.
async fn answer(
    mut resolver: RequestResolver<Framed<h3_quinn::Connection>, Bytes>, inner: SendRequest<Bytes>,
) -> Result<(), BoxError> {
    let mut frame = poll_fn(|cx| resolver.frame_stream.poll_next(cx)).await;
    let mut is_websocket = false;
    match &mut frame {
        Ok(Some(Frame::Headers(block))) => {
            if let Some(rest) = protocol::without_websocket(block) {
                *block = rest;
                is_websocket = true;
            }
        }
        Err(FrameStreamError::Quic(StreamErrorIncoming::StreamTerminated { error_code })) => {
            resolver.frame_stream.reset(*error_code);
        }
        _ => {}
    }
    let (mut request, mut stream) = resolver.accept_with_frame(frame)?.resolve().await?;
    if is_websocket && request.method() != Method::CONNECT {
        // RFC 9114 §4.1.2: a malformed request.
        stream.stop_stream(Code::H3_MESSAGE_ERROR);
        return Ok(());
    }
    if request.extensions().get::<h3::ext::Protocol>().is_some() {
        // RFC 9220 §3: "SHOULD respond to the request with a 501 (Not Implemented) status code".
        stream.send_response(Response::builder().status(StatusCode::NOT_IMPLEMENTED).body(())?).await?;
        return Ok(stream.finish().await?);
    }

    let (mut send, receive) = stream.split();
    *request.version_mut() = Version::HTTP_2;
    join_cookies(request.headers_mut());
    if is_websocket {
        request.extensions_mut().insert(Protocol::from_static("websocket"));
    }
    let relayed = relay(request, inner, &mut send, receive).await;
    if relayed.is_err() {
        // RFC 9220 §3: what is a reset for TCP is "a stream error of type H3_REQUEST_CANCELLED". A stream that is dropped would end as if
        // it were whole.
        send.stop_stream(if is_websocket { Code::H3_REQUEST_CANCELLED } else { Code::H3_INTERNAL_ERROR });
    }
    relayed
}

/// Joins the cookies, because browsers send each cookie in its own header.
fn join_cookies(headers: &mut HeaderMap) {
    // RFC 9114 §4.2.1: they "MUST be concatenated into a single byte string using the two-byte delimiter of "; "".
    let lines: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

/// How many bytes of a response may wait for room in the pipe.
const BUFFER: usize = 16 << 10;
/// The maximum size of a request's head, in bytes.
const HEAD: u64 = 16 << 10;
/// How long a client may take to receive the last bytes, once the server stops.
const LINGER: Duration = Duration::from_secs(5);
/// `H3_INTERNAL_ERROR` (RFC 9114 §8.1).
const INTERNAL_ERROR: VarInt = VarInt::from_u32(0x102);
/// `H3_NO_ERROR` (RFC 9114 §8.1).
const NO_ERROR: VarInt = VarInt::from_u32(0x100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_one_header() {
        let rows: [(&[&str], &[&str]); 4] = [
            (&[], &[]),
            (&["a=1; b=2"], &["a=1; b=2"]),
            (&["a=1", "b=2"], &["a=1; b=2"]),
            (&["a=1", "b=2; c=3", "d=4"], &["a=1; b=2; c=3; d=4"]),
        ];
        for (sent, joined) in rows {
            let mut headers: HeaderMap = sent.iter().map(|line| (COOKIE, line.parse().unwrap())).collect();
            join_cookies(&mut headers);
            assert!(headers.get_all(COOKIE).iter().eq(joined), "{sent:?}: {headers:?}");
        }
    }
}
