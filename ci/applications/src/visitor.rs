//! The client of the tests: it opens sockets like a page, and sends plain requests. The client waits at most 10 seconds for
//! each answer.

pub(crate) mod graphql;

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, RequestBuilder};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};
use ws_handshake::{Connections, WsRequest, WsStream, connect_http2};

pub(crate) type Socket = WebSocketStream<TcpStream>;

pub(crate) const FOREIGN_ORIGIN: &str = "https://evil.example";

/// An application that listens until this value is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start<F, Served>(serve: F) -> Self
    where
        F: FnOnce(TcpListener) -> Served,
        Served: Future<Output: Send> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = serve(listener);
        Self { address, task: tokio::spawn(async move { drop(served.await) }) }
    }

    /// Like [`start`](Self::start), with a limit of one connection.
    pub(crate) async fn start_with_room_for_one<F, Served>(serve: F) -> (Self, Connections)
    where
        F: FnOnce(TcpListener, Connections) -> Served,
        Served: Future<Output: Send> + Send + 'static,
    {
        let connections = Connections::new().limit(1);
        let ours = connections.clone();
        (Self::start(|listener| serve(listener, ours)).await, connections)
    }

    /// The origin of this server's own pages.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Opens a socket from a page of this server.
    pub(crate) async fn open(&self, path: &str) -> Socket {
        self.handshake(path, &self.origin(), None).await.unwrap()
    }

    pub(crate) async fn open_with_subprotocol(&self, path: &str, subprotocol: &str) -> Socket {
        self.handshake(path, &self.origin(), Some(subprotocol)).await.unwrap()
    }

    /// Refuses pages of another site with 403, whether or not they offer a subprotocol.
    pub(crate) async fn refuses_foreign_pages(&self, path: &str) {
        for subprotocol in [None, Some("graphql-transport-ws")] {
            let status = self.handshake(path, FOREIGN_ORIGIN, subprotocol).await.unwrap_err();
            assert_eq!(status, 403, "{path}, {subprotocol:?}");
        }
        // tungstenite does not read the body of a refusal to its end.
        let handshake = Client::new()
            .get(self.url(path))
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("origin", FOREIGN_ORIGIN);
        assert_eq!(answer(handshake).await, (403, "pages of this origin may not connect".to_owned()), "{path}");
    }

    /// The socket, or the status of the refusal.
    pub(crate) async fn handshake(&self, path: &str, origin: &str, subprotocol: Option<&str>) -> Result<Socket, u16> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        if let Some(subprotocol) = subprotocol {
            request.headers_mut().insert("sec-websocket-protocol", subprotocol.parse().unwrap());
        }
        let connection = TcpStream::connect(self.address).await.unwrap();
        match within(client_async(request, connection)).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens a socket over HTTP/2 from a page of this server. Before that, asserts that a page of another site is refused.
    pub(crate) async fn open_over_http2(&self, path: &str, subprotocols: &[&str]) -> WebSocketStream<WsStream> {
        let refusal = self.handshake_over_http2(path, FOREIGN_ORIGIN, subprotocols).await.unwrap_err();
        assert_eq!(refusal, 403, "{path} over HTTP/2");
        self.handshake_over_http2(path, &self.origin(), subprotocols).await.unwrap()
    }

    /// The socket, or the status of the refusal.
    async fn handshake_over_http2(
        &self, path: &str, origin: &str, subprotocols: &[&str],
    ) -> Result<WebSocketStream<WsStream>, u16> {
        let connection = TcpStream::connect(self.address).await.unwrap();
        let mut connection = connect_http2::<_, String>(connection).await.unwrap();
        let url = format!("ws://{}{path}", self.address);
        let request = WsRequest::new(url).origin(origin).subprotocols(subprotocols);
        match request.connect_over_http2(&mut connection).await {
            Ok((stream, _)) => Ok(stream.into_tungstenite(None).await.unwrap()),
            Err(error) => Err(error.response().expect("an answer").status().as_u16()),
        }
    }

    /// The status and the body of a plain GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        answer(Client::new().get(self.url(path))).await
    }

    /// Asserts that a second connection is refused while `socket` is open, and that a drain closes `socket` with 1001.
    pub(crate) async fn limits_and_drains(
        &self, connections: &Connections, path: &str, subprotocol: Option<&str>, socket: &mut Socket,
    ) {
        assert_eq!(self.handshake(path, &self.origin(), subprotocol).await.unwrap_err(), 503);
        let drain = connections.drain().over(Duration::ZERO).deadline(Duration::from_secs(4));
        let (drained, code) = tokio::join!(within(drain), close_code(socket));
        assert_eq!((drained.closed, drained.aborted, code), (1, 0, 1001));
    }

    /// Waits until the application has stopped.
    pub(crate) async fn stopped(mut self) {
        (&mut self.task).await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The status and the body.
pub(crate) async fn answer(request: RequestBuilder) -> (u16, String) {
    let response = within(request.send()).await.unwrap();
    (response.status().as_u16(), within(response.text()).await.unwrap())
}

pub(crate) async fn say<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, text: &str) {
    within(socket.send(text.into())).await.unwrap();
}

/// The next text, without pings.
pub(crate) async fn hear<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> String {
    loop {
        match within(socket.next()).await.unwrap().unwrap() {
            Message::Ping(_) => {}
            message => return message.into_text().unwrap().to_string(),
        }
    }
}

/// Closes, and reads until the server has answered and closed too.
pub(crate) async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    within(socket.close(None)).await.unwrap();
    while let Some(message) = within(socket.next()).await {
        message.expect("a close, and not a reset");
    }
}

/// Sends a text, hears it again, and closes.
pub(crate) async fn echoes<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    say(&mut socket, "hello").await;
    assert_eq!(hear(&mut socket).await, "hello");
    close(socket).await;
}

/// Reads until the server closes, answers the close, and gives the server's code.
pub(crate) async fn close_code(socket: &mut Socket) -> u16 {
    let mut code = None;
    // The end of file that follows says that the server has read the answer: a reset would be an error.
    while let Some(message) = within(socket.next()).await {
        if let Message::Close(close) = message.unwrap() {
            code = close.map(|close| close.code.into());
        }
    }
    code.expect("a close code")
}

/// The output of a future. Panics after 10 seconds.
pub(crate) async fn within<F: IntoFuture>(future: F) -> F::Output {
    timeout(Duration::from_secs(10), future).await.expect("an answer within 10 s")
}
