//! One request: its bytes to the router, and the response to the client.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use h3::{
    error::StreamError,
    quic::{RecvStream, SendStream},
    server::RequestStream,
};
use http::{Request, Response};
use tokio::time::timeout;

use super::BoxError;

/// Lets the router answer a request, and copies bytes both ways until both ways have ended.
///
/// # Errors
///
/// Returns an error if one way was reset, or its connection was lost. The router's side has then been reset.
pub(super) async fn relay<S, R>(
    request: Request<()>, router: SendRequest<Bytes>, send: &mut RequestStream<S, Bytes>,
    receive: RequestStream<R, Bytes>,
) -> Result<(), BoxError>
where
    S: SendStream<Bytes>,
    R: RecvStream,
{
    let (answer, mut to_router) = router.ready().await?.send_request(request, false)?;
    let progress = AtomicUsize::new(0);
    let ended = {
        let mut down = pin!(to_client(answer, send));
        let mut up = pin!(to_server(receive, &mut to_router, &progress));
        tokio::select! {
            ended = &mut down => match ended {
                Ok(()) => linger(up, &progress).await,
                Err(error) => Err(error),
            },
            ended = &mut up => match ended {
                Ok(end) => down.await.map(|()| end),
                error => error,
            },
        }
    };
    if !matches!(ended, Ok(End::Whole)) {
        // Without this, a handler that waits for the client to read would wait forever.
        to_router.send_reset(Reason::CANCEL);
    }
    ended.map(drop)
}

/// How the client's side of a request ended.
enum End {
    Whole,
    /// The router reads no more, or the client has not reached the end in time.
    Left,
}

/// Waits for the client's side, after the response has ended, until the client sends nothing for some time.
async fn linger(
    mut up: Pin<&mut impl Future<Output = Result<End, BoxError>>>, progress: &AtomicUsize,
) -> Result<End, BoxError> {
    loop {
        let before = progress.load(Ordering::Relaxed);
        match timeout(LINGER, up.as_mut()).await {
            Ok(ended) => return ended,
            Err(_) if progress.load(Ordering::Relaxed) > before => {}
            Err(_) => return Ok(End::Left),
        }
    }
}

/// Copies what the client sends after the head of its request, and counts the bytes.
async fn to_server<R: RecvStream>(
    mut receive: RequestStream<R, Bytes>, to_router: &mut h2::SendStream<Bytes>, progress: &AtomicUsize,
) -> Result<End, BoxError> {
    let mut buffer = BytesMut::new();
    while poll_fn(|cx| gather(&mut receive, &mut buffer, cx)).await? {
        while !buffer.is_empty() {
            to_router.reserve_capacity(buffer.len());
            // If the router reads no more, it may still send a response.
            let Some(Ok(capacity)) = poll_fn(|cx| to_router.poll_capacity(cx)).await else { return Ok(End::Left) };
            // h2 ends a connection after 100 empty frames.
            let data = buffer.split_to(capacity.min(buffer.len())).freeze();
            progress.fetch_add(data.len(), Ordering::Relaxed);
            if !data.is_empty() && to_router.send_data(data, false).is_err() {
                return Ok(End::Left);
            }
        }
    }
    let trailers = receive.recv_trailers().await?;
    // This may fail if the router has ended the stream, which is fine.
    let _ = match trailers {
        Some(trailers) => to_router.send_trailers(trailers),
        None => to_router.send_data(Bytes::new(), true),
    };
    Ok(End::Whole)
}

/// Gathers the pieces that are there already; `false` at the end. h2 ends a connection on which too many small frames wait.
fn gather<R: RecvStream>(
    receive: &mut RequestStream<R, Bytes>, buffer: &mut BytesMut, cx: &mut Context<'_>,
) -> Poll<Result<bool, StreamError>> {
    while buffer.len() < CHUNK {
        match receive.poll_recv_data(cx)? {
            Poll::Ready(Some(data)) => buffer.put(data),
            Poll::Ready(None) if buffer.is_empty() => return Poll::Ready(Ok(false)),
            Poll::Pending if buffer.is_empty() => return Poll::Pending,
            _ => break,
        }
    }
    Poll::Ready(Ok(true))
}

/// Copies the response, with its body and its trailers.
async fn to_client<S: SendStream<Bytes>>(
    answer: ResponseFuture, send: &mut RequestStream<S, Bytes>,
) -> Result<(), BoxError> {
    let (parts, mut body) = answer.await?.into_parts();
    send.send_response(Response::from_parts(parts, ())).await?;
    while let Some(data) = body.data().await {
        let data = data?;
        let length = data.len();
        send.send_data(data).await?;
        body.flow_control().release_capacity(length)?;
    }
    if let Some(trailers) = body.trailers().await? {
        send.send_trailers(trailers).await?;
    }
    Ok(send.finish().await?)
}

/// How long a client may send nothing after its response has ended.
const LINGER: Duration = Duration::from_secs(10);
/// How many bytes of a request are passed on at once.
const CHUNK: usize = 16 << 10;
