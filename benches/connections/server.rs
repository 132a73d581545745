//! The server: handlers that end in every possible way.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    routing::{any, get},
};
use peak_alloc::PeakAlloc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
};
use ws_handshake::{Connections, WsHandshakeLayer, WsStream, WsUpgrade};

use super::{
    drain::{DEADLINE, OVER},
    silence::{IDLE, PING, PING_FRAME},
    support::discard,
};

/// Counts bytes that are allocated and not freed. The system's allocator keeps freed memory, so resident memory does not show whether
/// memory is in use.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The highest number of connections that a handler has seen.
static MOST: AtomicUsize = AtomicUsize::new(0);

/// Serves until drained. `what` is the limit of connections, `lifetimes`, or `none`.
pub(super) async fn run(what: &str) {
    // Handlers panic thousands of times here.
    std::panic::set_hook(Box::new(|_| ()));
    let connections = match what {
        "none" => Connections::new(),
        "lifetimes" => Connections::new().max_age(Duration::from_secs(3600)).idle_timeout(IDLE),
        limit => Connections::new().limit(limit.parse().expect("a limit")),
    };
    let layer = match what {
        "none" => WsHandshakeLayer::new(),
        _ => WsHandshakeLayer::new().connections(connections.clone()),
    };
    let (stop, mut stopped) = watch::channel(false);
    let app = Router::new()
        .route("/straight", any(straight))
        .route("/callback", any(async |state, ws: WsUpgrade| ws.on_upgrade(|stream| straight(state, stream))))
        .route("/never", any(async |_ws: WsUpgrade| std::future::pending::<()>().await))
        .route("/pings", any(pings))
        .route("/polite", any(polite))
        .route("/stubborn", any(stubborn))
        .layer(layer)
        .route(
            "/len",
            get(async |State(open): State<Connections>| format!("{} {}", open.len(), MOST.load(Ordering::Relaxed))),
        )
        .route("/heap", get(async || HEAP.current_usage().to_string()))
        .route("/drain", get(async move || stop.send_replace(true).to_string()))
        .with_state(connections.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let signal = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
    let shutdown = connections.graceful_shutdown(signal).over(OVER).deadline(DEADLINE);
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.signal());
    let drained = shutdown.serve(server).await.unwrap();
    println!("{} {}", drained.closed, drained.aborted);
}

/// Sends a byte, and then ends as the client says: `p` panics, `r` or the end of the stream returns.
async fn straight(State(open): State<Connections>, mut stream: WsStream) {
    MOST.fetch_max(open.len(), Ordering::Relaxed);
    let told = async { stream.write_all(b"!").await.and(stream.read_u8().await) };
    assert!(!matches!(told.await, Ok(b'p')), "as it was told");
}

/// Sends every message of eight bytes back. When asked to close, tells the client, and answers what the client sent until then.
async fn polite(mut stream: WsStream) {
    let mut closing = stream.closing();
    let mut message = [0; 8];
    let mut read = 0;
    let mut asked = false;
    loop {
        let more = tokio::select! {
            more = stream.read(&mut message[read..]) => more,
            () = &mut closing, if !asked => {
                asked = true;
                stream.write_all(b"goodbye!").await.unwrap();
                continue;
            }
        };
        match more {
            Ok(0) | Err(_) => return,
            Ok(more) => read += more,
        }
        if read == message.len() {
            read = 0;
            if stream.write_all(&message).await.is_err() {
                return;
            }
        }
    }
}

/// Sends pings, and ends when asked to close.
async fn pings(stream: WsStream) {
    let closing = stream.closing();
    let (mut read, mut write) = tokio::io::split(stream);
    let pings = async {
        while write.write_all(&PING_FRAME).await.is_ok() {
            tokio::time::sleep(PING).await;
        }
    };
    tokio::select! {
        () = discard(&mut read) => {}
        () = pings => {}
        () = closing => {}
    }
}

/// Ignores the signal, and reads until the end.
async fn stubborn(mut stream: WsStream) {
    discard(&mut stream).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
}
