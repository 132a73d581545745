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
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, client::conn::http2::SendRequest, ext::Protocol};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{io::DuplexStream, time::sleep};

use crate::{body::RequestBody, frames::Bounded, protocol, tunnel};

/// How many streams a client may have at once.
pub(crate) const STREAMS: u32 = 256;
/// How many bytes of a stream may be under way, in each direction and on each of the two connections.
pub(crate) const WINDOW: u32 = 64 << 10;
/// How large the head of a request may be.
const HEAD: u64 = 16 << 10;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, StreamError>;
type Requests = SendRequest<Body>;

/// Serves all requests of a client until its connection ends.
pub(crate) async fn serve(quic: quinn::Connection, router: Router) -> Result<(), BoxError> {
    // What the router would see if it were asked without a pipe between.
    let router = router.layer(Extension(ConnectInfo(quic.remote_address()))).layer(map_request(as_http3));
    let inner = connect(router, quic.clone()).await?;
    let mut builder = h3::server::builder();
    builder.max_field_section_size(HEAD).enable_extended_connect(true);
    let mut client = builder.build::<_, Bytes>(Bounded::new(h3_quinn::Connection::new(quic))).await?;
    while let Some(resolver) = client.accept().await? {
        let inner = inner.clone();
        tokio::spawn(async move {
            if let Err(error) = answer(resolver, inner).await {
                // A client can cause as many of these as it likes.
                tracing::debug!(error, "request ended");
            }
        });
    }
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
        quic.close(u32::try_from(Code::H3_NO_ERROR.value()).unwrap_or_default().into(), b"");
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
