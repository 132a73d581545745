//! The command line.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use http::{
    HeaderName,
    uri::{Authority, Uri},
};
use ws_handshake::{AllowHost, AllowOrigin, Subprotocols};

/// A reverse proxy in front of a WebSocket server. It decides handshakes, limits connections, and copies the bytes that follow.
#[derive(Parser)]
pub(super) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(super) listen: SocketAddr,
    /// The upstream server, such as `ws://127.0.0.1:9001` (or `http://`; the default port is 80). The gateway does not use TLS to it.
    #[arg(long, value_parser = upstream)]
    pub(super) upstream: Authority,
    /// Another origin whose pages may connect, such as `https://*.example.com`. Repeatable.
    #[arg(long, value_parser = origin)]
    pub(super) allow_origin: Vec<String>,
    /// Refuse handshakes without `Origin`, which come from non-browser clients.
    #[arg(long)]
    pub(super) require_origin: bool,
    /// A host name of this server, such as `app.example.com`, for sockets and for plain HTTP. Repeatable. Default: any host.
    #[arg(long, value_parser = host)]
    pub(super) allow_host: Vec<String>,
    /// A subprotocol that the upstream speaks. Repeatable. The gateway then agrees only to these. Names that are not tokens must be listed
    /// here, such as kubectl's `SPDY/3.1+portforward.k8s.io`. Default: any token.
    #[arg(long, value_parser = subprotocol)]
    pub(super) subprotocol: Vec<String>,
    /// A request header to drop, in any spelling that becomes the same name in CGI. Repeatable. Name each header that tells the upstream
    /// who is logged in, such as `X-Auth-User`.
    #[arg(long, value_parser = header_name)]
    pub(super) drop_header: Vec<HeaderName>,
    /// The maximum number of open sockets. Plain HTTP requests are not counted: limit them in a proxy in front of this one.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
    /// The maximum number of open sockets for each IPv4 address or IPv6 /64 network. Plain HTTP requests are not counted.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit_per_peer: u32,
    /// Use the last address in `X-Forwarded-For` as the peer, and refuse requests without one (400). Only for gateways where every request
    /// comes through your own proxy, which adds the address.
    #[arg(long)]
    pub(super) behind_proxy: bool,
    /// The scheme that clients use, for the upstream to know. Use `https` behind a proxy that terminates TLS.
    #[arg(long, default_value = "http", value_parser = ["http", "https"])]
    pub(super) proto: String,
    /// How long a client may take to send the head of a request, in seconds. For the first request, the time starts when the client
    /// connects.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub(super) head_timeout: Duration,
    /// How long the upstream may take to connect, and to answer after it has the request, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub(super) upstream_timeout: Duration,
    /// How long the body of a request or a response may stand still on its way to the gateway, in seconds.
    #[arg(long, default_value = "60", value_parser = seconds)]
    pub(super) body_timeout: Duration,
    /// The idle timeout of a socket, in seconds: let one side ping more often. A half-closed socket has a minute.
    #[arg(long, default_value = "3600", value_parser = seconds)]
    pub(super) idle_timeout: Duration,
    /// The address to serve Prometheus metrics on, at `/metrics`.
    #[arg(long)]
    pub(super) metrics: Option<SocketAddr>,
    /// The time over which sockets are ended on SIGTERM, one after the other, in seconds.
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
    // An invalid port is not parsed as a port.
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

/// The headers that the gateway writes into each request.
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
