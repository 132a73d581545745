//! One QUIC connection: HTTP/3 to the client, and HTTP/2 in memory to the router.
//!
//! hyper does not speak HTTP/3. So hyper's server of HTTP/2 runs the router, at the other end of a pipe, and each stream of HTTP/3 is a
//! stream of HTTP/2 there. A WebSocket is an extended `CONNECT` on both sides (RFC 9220, RFC 8441).

use std::{error::Error, future::poll_fn, pin::pin, task::Poll, time::Duration};

use axum::{Extension, Router, extract::ConnectInfo, middleware::map_request};
use bytes::Bytes;
use h3::{
    error::{Code, StreamError},
    proto::frame::Frame,
    quic::SendStream as _,
    server::{RequestResolver, RequestStream},
};
use h3_quinn::SendStream;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header::COOKIE};
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, client::conn::http2::SendRequest, ext::Protocol};
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

use super::{STREAMS, WINDOW, body::RequestBody, frames::Bounded, protocol, tunnel};

type BoxError = Box<dyn Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, StreamError>;
type Requests = SendRequest<Body>;

/// Serves all requests of a client until its connection ends; or, once `stopping` has changed, until they have been answered.
pub(super) async fn serve(
    quic: quinn::Connection, router: Router, mut stopping: watch::Receiver<()>,
) -> Result<(), BoxError> {
    // What the router would see if it were asked without a pipe between.
    let router = router.layer(Extension(ConnectInfo(quic.remote_address()))).layer(map_request(as_http3));
    let inner = connect(router, quic.clone()).await?;
    let mut builder = h3::server::builder();
    builder.max_field_section_size(HEAD).enable_extended_connect(true);
    let mut client = builder.build::<_, Bytes>(Bounded::new(h3_quinn::Connection::new(quic.clone()))).await?;
    let mut requests = JoinSet::new();
    let mut is_stopping = false;
    while !(is_stopping && requests.is_empty()) {
        tokio::select! {
            accepted = client.accept() => {
                let Some(resolver) = accepted? else { break };
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
    // What has been sent last is still on its way. Most clients close the connection once they have it.
    let _ = timeout(LINGER, quic.closed()).await;
    quic.close(NO_ERROR, b"");
    Ok(())
}

async fn as_http3(mut request: axum::extract::Request) -> axum::extract::Request {
    *request.version_mut() = Version::HTTP_3;
    request
}

/// Runs the router behind a pipe, and gives the end to ask it by. With this connection, that of the client ends.
async fn connect(router: Router, quic: quinn::Connection) -> Result<Requests, BoxError> {
    let (near, far) = tokio::io::duplex(WINDOW as usize);
    tokio::spawn(run(router, far));
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(WINDOW).initial_connection_window_size(STREAMS * WINDOW);
    let (requests, connection) = builder.timer(TokioTimer::new()).handshake(TokioIo::new(near)).await?;
    let mut connection = Box::pin(connection);
    // RFC 8441 §3: no extended CONNECT before the settings have come, and nobody is told when they come.
    while !connection.is_extended_connect_protocol_enabled() {
        let mut tick = pin!(sleep(Duration::from_micros(100)));
        poll_fn(|cx| match connection.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(ended),
            Poll::Pending => tick.as_mut().poll(cx).map(Ok),
        })
        .await?;
    }
    tokio::spawn(async move {
        let _ = connection.await;
        quic.close(NO_ERROR, b"");
    });
    Ok(requests)
}

async fn run(router: Router, pipe: DuplexStream) {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let server = builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(16 << 10)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(STREAMS * WINDOW);
    let _ = server.serve_connection(TokioIo::new(pipe), TowerToHyperService::new(router)).await;
}

/// Has the router answer a request.
async fn answer(
    mut resolver: RequestResolver<Bounded<h3_quinn::Connection>, Bytes>, mut inner: Requests,
) -> Result<(), BoxError> {
    let mut frame = poll_fn(|cx| resolver.frame_stream.poll_next(cx)).await;
    let mut is_websocket = false;
    if let Ok(Some(Frame::Headers(block))) = &mut frame
        && let Some(rest) = protocol::without_websocket(block)
    {
        *block = rest;
        is_websocket = true;
    }
    if frame.is_err() {
        // RFC 9114 §4.1.1: "H3_REQUEST_REJECTED" tells the client that nothing was done.
        resolver.frame_stream.reset(Code::H3_REQUEST_REJECTED.value());
    }
    let (request, mut stream) = resolver.accept_with_frame(frame)?.resolve().await?;
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
    let (mut parts, ()) = request.into_parts();
    parts.version = Version::HTTP_2;
    join_cookies(&mut parts.headers);
    if is_websocket {
        parts.extensions.insert(Protocol::from_static("websocket"));
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut response = ask(&mut inner, Request::from_parts(parts, body), &mut send).await?;
        if response.status().is_success() {
            let upgrade = hyper::upgrade::on(&mut response);
            send.send_response(response.map(drop)).await?;
            tunnel::copy(upgrade.await?, send, receive).await;
            return Ok(());
        }
        return pass_on(response, send).await;
    }
    let body = RequestBody(receive).boxed_unsync();
    let response = ask(&mut inner, Request::from_parts(parts, body), &mut send).await?;
    pass_on(response, send).await
}

/// Asks the router. Without an answer the stream is reset, because a stream that is dropped would end as if it were whole.
async fn ask(
    inner: &mut Requests, request: Request<Body>, send: &mut RequestStream<SendStream<Bytes>, Bytes>,
) -> hyper::Result<Response<Incoming>> {
    let answered = async {
        inner.ready().await?;
        inner.send_request(request).await
    };
    answered.await.inspect_err(|_| send.stop_stream(Code::H3_INTERNAL_ERROR))
}

/// Sends a response to the client, with its body and its trailers.
async fn pass_on(
    response: Response<Incoming>, mut send: RequestStream<SendStream<Bytes>, Bytes>,
) -> Result<(), BoxError> {
    let (parts, mut body) = response.into_parts();
    send.send_response(Response::from_parts(parts, ())).await?;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => send.send_data(data).await?,
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        send.send_trailers(trailers).await?;
                    }
                }
            },
            Err(error) => {
                send.stop_stream(Code::H3_INTERNAL_ERROR);
                return Err(error.into());
            }
        }
    }
    Ok(send.finish().await?)
}

/// Joins the cookies, because browsers send each one in a header of its own.
fn join_cookies(headers: &mut HeaderMap) {
    // RFC 9114 §4.2.1: they "MUST be concatenated into a single byte string using the two-byte delimiter of "; "".
    let lines: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

/// How large the head of a request may be, in bytes.
const HEAD: u64 = 16 << 10;
const LINGER: Duration = Duration::from_secs(1);
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
