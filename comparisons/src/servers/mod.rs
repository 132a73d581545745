//! The servers: each accepts handshakes in its own way, and sends back what it gets.

mod axums;
mod bare;
mod checks;
mod echo;
mod others;
mod ours;
mod setup;

use tokio::net::TcpListener;
use tower::Layer;

use self::setup::Setup;

/// A server, by the name under which it is run and the one under which it is reported.
pub struct Mode {
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
}

/// What a server does, so that like is compared with like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Decides by 1,000 origins and 4 subprotocols, and echoes messages.
    Checked,
    /// Checks no page and selects no subprotocol, and echoes messages.
    Unchecked,
    /// Echoes bytes as they come.
    Raw,
}

impl Mode {
    pub fn is_ours(&self) -> bool {
        self.title.starts_with("ws-handshake")
    }
}

const fn mode(name: &'static str, title: &'static str, kind: Kind) -> Mode {
    Mode { name, title, kind }
}

/// All of them. The second is what the others are compared with.
pub const MODES: [Mode; 25] = [
    mode("axum", "axum, default", Kind::Unchecked),
    mode("axum-lean", "axum, 4 KiB buffers", Kind::Unchecked),
    mode("fastwebsockets", "fastwebsockets", Kind::Unchecked),
    mode("yawc", "yawc", Kind::Unchecked),
    mode("tokio-websockets", "tokio-websockets on TCP", Kind::Unchecked),
    mode("tungstenite", "tokio-tungstenite on TCP", Kind::Unchecked),
    mode("tungstenite-lean", "tokio-tungstenite on TCP, 4 KiB buffers", Kind::Unchecked),
    mode("axum-checked", "axum, 4 KiB buffers, checks by hand", Kind::Checked),
    mode("axum-checked-headers", "axum, 4 KiB buffers, checks by hand with `HeaderMap`", Kind::Checked),
    mode("fastwebsockets-checked", "fastwebsockets, checks by hand", Kind::Checked),
    mode("yawc-checked", "yawc, checks by hand", Kind::Checked),
    mode("yawc-checked-small", "yawc, 1 KiB buffers, checks by hand", Kind::Checked),
    mode("stream", "ws-handshake + tungstenite", Kind::Checked),
    mode("accept", "ws-handshake + tungstenite, `accept`", Kind::Checked),
    mode("callback", "ws-handshake + tungstenite, `on_upgrade`", Kind::Checked),
    mode("stream-fastwebsockets", "ws-handshake + fastwebsockets", Kind::Checked),
    mode("stream-yawc", "ws-handshake + yawc", Kind::Checked),
    mode("stream-yawc-small", "ws-handshake + yawc, 1 KiB buffers", Kind::Checked),
    mode("stream-tokio-websockets", "ws-handshake + tokio-websockets", Kind::Checked),
    mode("behind", "ws-handshake + axum, 4 KiB buffers", Kind::Checked),
    mode("raw", "ws-handshake, byte stream", Kind::Raw),
    mode("tower", "ws-handshake on hyper, byte stream", Kind::Raw),
    mode("hyper", "hyper, no checks, byte stream", Kind::Raw),
    mode("httparse", "httparse on TCP, no checks, byte stream", Kind::Raw),
    mode("tcp", "TCP, head not read, byte stream", Kind::Raw),
];

/// What the others are compared with.
pub const REFERENCE: &str = "axum-lean";

pub fn at(name: &str) -> usize {
    MODES.iter().position(|mode| mode.name == name).expect("a mode")
}

/// Serves until the process is ended, as a mode or one of its own, in a set-up: as in `stream+tls+metrics`.
pub async fn run(name: &str, listener: TcpListener) {
    let (name, options) = name.split_once('+').unwrap_or((name, ""));
    let Some(listener) = bare::serve(name, listener).await else { return };
    let setup = Setup::new(options);
    let listed = name.strip_prefix("origins-").and_then(|count| count.parse().ok());
    let layer = || setup.configure(ours::layer(listed.unwrap_or(1000)));
    // As axum's documentation says: a router with its state is not built anew for each connection.
    let page = || axums::router(REFERENCE).expect("a router").with_state(());
    match name {
        "page" => return setup.serve(listener, page()).await,
        // Around the whole application, as a tower layer: `Router::layer` also boxes and clones, for any layer.
        "page-router" => {
            let app = axums::router(REFERENCE).expect("a router");
            return setup.serve(listener, app.layer(layer()).with_state(())).await;
        }
        "page-behind" => return setup.serve(listener, layer().layer(page())).await,
        _ => {}
    }
    let name = if listed.is_some() { "raw" } else { name };
    let app = axums::router(name).or_else(|| others::router(name)).or_else(|| ours::router(name, layer()));
    setup.serve(listener, app.unwrap_or_else(|| panic!("no server {name}")).with_state(())).await;
}
