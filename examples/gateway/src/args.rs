//! The command line.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use http::{
    HeaderName,
    uri::{Authority, Uri},
};
use ws_handshake::{AllowHost, AllowOrigin, Subprotocols};

/// A reverse proxy in front of a WebSocket server: it decides handshakes, limits connections, and copies what follows.
#[derive(Parser)]
pub(super) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(super) listen: SocketAddr,
    /// The server behind, as in `ws://127.0.0.1:9001` (or `http://`; the port is 80 by default). There is no TLS to it.
    #[arg(long, value_parser = upstream)]
    pub(super) upstream: Authority,
    /// An origin whose pages may connect beside those of the same origin, as in `https://*.example.com`; may be given
    /// several times.
    #[arg(long, value_parser = origin)]
    pub(super) allow_origin: Vec<String>,
    /// Refuse handshakes without `Origin`: those of no browser.
    #[arg(long)]
    pub(super) require_origin: bool,
    /// A host by which this server is known, as in `app.example.com`, for sockets and for plain HTTP; may be given several
    /// times. Without one, any is.
    #[arg(long, value_parser = host)]
    pub(super) allow_host: Vec<String>,
    /// A subprotocol that the server behind speaks; may be given several times. Only these are agreed on then. Names that
    /// are no tokens have to be listed here, such as kubectl's `SPDY/3.1+portforward.k8s.io`. Without one, any token is.
    #[arg(long, value_parser = subprotocol)]
    pub(super) subprotocol: Vec<String>,
    /// A request header that is dropped, in any spelling that becomes the same name in CGI; may be given several times. Name
    /// each header by which the server behind learns who is logged in: `X-Auth-User`.
    #[arg(long, value_parser = header_name)]
    pub(super) drop_header: Vec<HeaderName>,
    /// How many sockets may be open. Plain HTTP requests are not counted: limit those in a proxy in front of this one.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
    /// How many sockets each IPv4 address or IPv6 network of /64 may have open. Plain HTTP requests are not counted.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit_per_peer: u32,
    /// Take the last address in `X-Forwarded-For` for the peer, and refuse what has none (400): only where every request
    /// comes through a proxy of yours that adds it.
    #[arg(long)]
    pub(super) behind_proxy: bool,
    /// The scheme that clients use, to be told to the upstream: `https` behind a proxy that ends TLS.
    #[arg(long, default_value = "http", value_parser = ["http", "https"])]
    pub(super) proto: String,
    /// How long a client may take to send the head of a request, in seconds, and the first one from when it connects.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub(super) head_timeout: Duration,
    /// How long the upstream may take to connect, and to answer once it has the request, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub(super) upstream_timeout: Duration,
    /// How long a body may stand still that comes to the gateway, of a request or an answer, in seconds.
    #[arg(long, default_value = "60", value_parser = seconds)]
    pub(super) body_timeout: Duration,
    /// How long a socket may be idle, in seconds: have one side ping more often. One that is half closed has a minute.
    #[arg(long, default_value = "3600", value_parser = seconds)]
    pub(super) idle_timeout: Duration,
    /// Where to serve metrics for Prometheus, at `/metrics`.
    #[arg(long)]
    pub(super) metrics: Option<SocketAddr>,
    /// Over how long the sockets are ended on SIGTERM, one after the other, in seconds.
    #[arg(long, default_value = "5", value_parser = seconds)]
    pub(super) drain_over: Duration,
}

fn upstream(url: &str) -> Result<Authority, String> {
    let wrong = || "write it as `ws://host:port`, without a path".to_owned();
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    match uri.scheme_str().map(str::to_ascii_lowercase).as_deref() {
        Some("ws" | "http") => {}
        Some("wss" | "https") => return Err("there is no TLS to the upstream: write `ws://host:port`".into()),
        _ => return Err(wrong()),
    }
    let authority = uri.authority().filter(|_| uri.path() == "/" && uri.query().is_none()).ok_or_else(wrong)?;
    // A port that is none is not seen as one.
    let port = authority.port_u16().filter(|port| *port != 0);
    let named = authority.as_str().strip_prefix(authority.host()).ok_or_else(wrong)?;
    match (named, port) {
        ("", _) => format!("{authority}:80").parse().map_err(|_| wrong()),
        (_, Some(_)) => Ok(authority.clone()),
        _ => Err("write a port from 1 to 65535".into()),
    }
}

fn origin(text: &str) -> Result<String, String> {
    AllowOrigin::list([text]).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn subprotocol(text: &str) -> Result<String, String> {
    Subprotocols::new([text]).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn header_name(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName = text.parse().map_err(|_| "write the name of a header, as in `X-Auth-User`")?;
    if name.as_str().starts_with("sec-websocket-") || WRITTEN.contains(&name.as_str()) {
        return Err("the gateway writes this header itself: a client's never reaches the server behind".into());
    }
    Ok(name)
}

/// What the gateway writes into each request.
const WRITTEN: [&str; 7] =
    ["connection", "host", "upgrade", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

fn host(text: &str) -> Result<String, String> {
    AllowHost::list([text]).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number of seconds, more than 0 and up to a day".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    if seconds > 0.0 && seconds <= 86_400.0 { Ok(Duration::from_secs_f64(seconds)) } else { Err(wrong()) }
}
