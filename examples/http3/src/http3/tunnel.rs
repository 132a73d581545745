//! The bytes of a WebSocket: DATA frames of HTTP/3 on one side, the stream of the handler on the other.

use std::{pin::pin, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use h3::{
    error::Code,
    quic::{RecvStream, SendStream},
    server::RequestStream,
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    time::timeout,
};

type Socket = TokioIo<Upgraded>;

/// One end did not come to its end: it was reset, or its connection was lost.
struct Aborted;

/// Copies both ways, each until its end, and resets both sides if one is reset.
pub(super) async fn copy<S, R>(upgraded: Upgraded, mut send: RequestStream<S, Bytes>, receive: RequestStream<R, Bytes>)
where
    S: SendStream<Bytes>,
    R: RecvStream,
{
    let (read, write) = tokio::io::split(Socket::new(upgraded));
    let copied = {
        let mut to = pin!(to_client(read, &mut send));
        let mut from = pin!(from_client(receive, write));
        tokio::select! {
            // The handler has gone, or says no more. A client has some time to end its side, too.
            ended = &mut to => match ended {
                Ok(()) => timeout(LINGER, from).await.unwrap_or(Ok(())),
                aborted => aborted,
            },
            ended = &mut from => match ended {
                Ok(()) => to.await,
                aborted => aborted,
            },
        }
    };
    if let Err(Aborted) = copied {
        // RFC 9220 §3: what is a reset for TCP is "a stream error of type H3_REQUEST_CANCELLED".
        send.stop_stream(Code::H3_REQUEST_CANCELLED);
    }
}

async fn to_client<S>(mut read: ReadHalf<Socket>, send: &mut RequestStream<S, Bytes>) -> Result<(), Aborted>
where
    S: SendStream<Bytes>,
{
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        if read.read_buf(&mut buffer).await.map_err(|_| Aborted)? == 0 {
            return send.finish().await.map_err(|_| Aborted);
        }
        send.send_data(buffer.split().freeze()).await.map_err(|_| Aborted)?;
    }
}

async fn from_client<R>(mut receive: RequestStream<R, Bytes>, mut write: WriteHalf<Socket>) -> Result<(), Aborted>
where
    R: RecvStream,
{
    while let Some(mut data) = receive.recv_data().await.map_err(|_| Aborted)? {
        if write.write_all(&data.copy_to_bytes(data.remaining())).await.is_err() {
            // The handler reads no more. It may still have something to say.
            return Ok(());
        }
    }
    let _ = write.shutdown().await;
    Ok(())
}

const LINGER: Duration = Duration::from_secs(10);
/// How much of the handler's stream is read at once.
const CHUNK: usize = 16 << 10;
