//! One request: its bytes to the router, and the response to the client.

use std::{future::poll_fn, pin::pin, time::Duration};

use bytes::{Buf, Bytes};
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use h3::{
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
    let ended = {
        let mut down = pin!(to_client(answer, send));
        let mut up = pin!(to_server(receive, &mut to_router));
        tokio::select! {
            // The client has some time to end its side, too.
            ended = &mut down => match ended {
                Ok(()) => timeout(LINGER, up).await.unwrap_or(Ok(End::Left)),
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

/// Copies what the client sends after the head of its request.
async fn to_server<R: RecvStream>(
    mut receive: RequestStream<R, Bytes>, to_router: &mut h2::SendStream<Bytes>,
) -> Result<End, BoxError> {
    while let Some(mut data) = receive.recv_data().await? {
        let mut data = data.copy_to_bytes(data.remaining());
        while !data.is_empty() {
            to_router.reserve_capacity(data.len());
            // If the router reads no more, it may still send a response.
            let Some(Ok(capacity)) = poll_fn(|cx| to_router.poll_capacity(cx)).await else { return Ok(End::Left) };
            to_router.send_data(data.split_to(capacity.min(data.len())), false)?;
        }
    }
    // This may fail if the router has ended the stream, which is fine.
    let _ = to_router.send_data(Bytes::new(), true);
    Ok(End::Whole)
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

const LINGER: Duration = Duration::from_secs(10);
