//! The programs of the guide's pages for those who come from elsewhere, before and after.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]
#![allow(unreachable_pub, reason = "the programs are as the guide shows them")]

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, client::IntoClientRequest},
};

macro_rules! from {
    ($from:ident, $page:literal) => {
        mod $from {
            mod after;
            mod before;

            #[tokio::test]
            async fn both_work_and_one_refuses_pages_of_others() {
                for (origin, refused) in
                    [(None, 101), (Some("http://example.com"), 101), (Some("https://evil.example"), 403)]
                {
                    assert_eq!(crate::visit(before::serve, origin).await, 101, "before: {origin:?}");
                    assert_eq!(crate::visit(after::serve, origin).await, refused, "after: {origin:?}");
                }
            }

            #[test]
            fn the_page_shows_them() {
                let programs = [
                    include_str!(concat!(stringify!($from), "/before.rs")),
                    include_str!(concat!(stringify!($from), "/after.rs")),
                ];
                assert_eq!(crate::programs(include_str!(concat!("../../../docs/guide/", $page))), programs);
            }
        }
    };
}

from!(from_axum, "from-axum.md");
from!(from_fastwebsockets, "from-fastwebsockets.md");
from!(from_tokio_tungstenite, "from-tokio-tungstenite.md");
from!(from_yawc, "from-yawc.md");

/// What the page's `diff` has before, and what it has after.
fn programs(page: &str) -> [String; 2] {
    let diff = page.split("```diff\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a diff");
    ['-', '+'].map(|side| {
        let lines = diff.lines().filter_map(|line| line.strip_prefix([' ', side]));
        lines.flat_map(|line| [line, "\n"]).collect()
    })
}

/// The status of a handshake for `/ws` by a page of that origin, or by no page; what is let in has to echo.
async fn visit<F>(serve: fn(TcpListener) -> F, origin: Option<&str>) -> u16
where
    F: Future<Output = Result<(), Box<dyn Error>>> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let visiting = async {
        let mut request = "ws://example.com/ws".into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        match client_async(request, TcpStream::connect(address).await.unwrap()).await {
            Err(tungstenite::Error::Http(refusal)) => refusal.status().as_u16(),
            Err(error) => panic!("{error}"),
            Ok((mut socket, response)) => {
                socket.send("hello".into()).await.unwrap();
                assert_eq!(socket.next().await.unwrap().unwrap(), "hello".into());
                response.status().as_u16()
            }
        }
    };
    tokio::select! {
        served = serve(listener) => panic!("it ended: {served:?}"),
        status = visiting => status,
    }
}
