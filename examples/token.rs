//! Run with `cargo run --example token`, and open the address that it prints.
//!
//! A page cannot send an `Authorization` header with its handshake, and a token in the URL ends up in logs. In this example, the token
//! comes as a subprotocol, which the layer removes before other code sees it. There are two forms:
//!
//! - `bearer.` with the key itself
//! - `ticket.` with a ticket that the page got for the key, which is better: a ticket works once, within 30 seconds, for one user and on
//!   one origin
//!
//! The first argument is another address to listen on.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    response::{Html, IntoResponse, Response},
    routing::{any, get, post},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::{SinkExt, TryStreamExt};
use http::{HeaderMap, StatusCode, header};
use tokio::net::TcpListener;
use ws_handshake::{AllowHost, Origin, Subprotocols, WsHandshakeLayer, WsStream, WsUpgrade};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let subprotocols = Subprotocols::new(["v1.chat"])?.secret_prefix("bearer.")?.secret_prefix("ticket.")?;
    let layer = WsHandshakeLayer::new().allow_host(AllowHost::loopback()).subprotocols(subprotocols);
    let app = Router::new()
        .route("/", get(async || Html(include_str!("token.html"))))
        .route("/ticket", post(mint))
        .route("/ws", any(socket).layer(layer))
        .with_state(Arc::<Memory>::default());
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Returns the owner of a key. A real application looks in its user database here.
fn user_of(key: &str) -> Option<&'static str> {
    match key {
        "YWxpY2UncyBrZXk" => Some("alice"),
        "Ym9iJ3Mga2V5" => Some("bob"),
        _ => None,
    }
}

/// Exchanges a key for a ticket. The page asks with `fetch`, which can send a header.
async fn mint(State(tickets): State<Arc<Memory>>, headers: HeaderMap) -> Result<Response, StatusCode> {
    let field = |name| headers.get(name)?.to_str().ok();
    let key = field(header::AUTHORIZATION).and_then(|field| field.strip_prefix("Bearer "));
    let user = key.and_then(user_of).ok_or(StatusCode::UNAUTHORIZED)?;
    // The ticket is valid on the page that asks for it. Browsers send the page's origin with every `POST`.
    let origin = field(header::ORIGIN).and_then(|origin| origin.parse().ok()).ok_or(StatusCode::FORBIDDEN)?;
    let mut ticket = [0; 16];
    getrandom::fill(&mut ticket).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let grant = Grant { user, origin, until: Instant::now() + LIFETIME };
    tickets.put(ticket, grant).map_err(|Full| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], BASE64_URL_SAFE_NO_PAD.encode(ticket)).into_response())
}

/// Accepts a key or a ticket, greets the user, and echoes.
async fn socket(State(tickets): State<Arc<Memory>>, ws: WsUpgrade) -> Result<Response, StatusCode> {
    let by_key = ws.secret_subprotocol("bearer.").and_then(user_of);
    // Every ticket in the handshake is spent, even next to a key or another ticket, so all of them are redeemed.
    let by_ticket =
        ws.secret_subprotocols("ticket.").filter_map(|ticket| redeem(&*tickets, ticket, ws.origin())).last();
    let user = by_key.or(by_ticket).ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(ws.on_upgrade(move |stream| async move {
        if let Err(error) = greet(user, stream).await {
            eprintln!("the socket of {user} ended: {error}");
        }
    }))
}

async fn greet(user: &str, stream: WsStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = stream.into_tungstenite(None).await?;
    socket.send(format!("hello {user}").into()).await?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Returns the ticket's user, if the ticket is valid for a handshake from `origin`. The ticket is spent, valid or not.
fn redeem(tickets: &impl Tickets, ticket: &str, origin: Option<&Origin>) -> Option<&'static str> {
    let ticket = BASE64_URL_SAFE_NO_PAD.decode(ticket).ok()?;
    let grant = tickets.take(&ticket.try_into().ok()?)?;
    // A client without an origin is not the page that asked for the ticket.
    (grant.until > Instant::now() && origin == Some(&grant.origin)).then_some(grant.user)
}

/// How long a ticket is valid: long enough for a page to connect.
const LIFETIME: Duration = Duration::from_secs(30);

/// 128 random bits from the system.
type Ticket = [u8; 16];

/// What a ticket is valid for.
struct Grant {
    user: &'static str,
    origin: Origin,
    until: Instant,
}

struct Full;

/// The store of tickets. Several servers need a shared store whose `take` is one operation, such as `GETDEL` in Redis.
trait Tickets {
    fn put(&self, ticket: Ticket, grant: Grant) -> Result<(), Full>;

    /// Takes a ticket out. If two clients ask for the same ticket, one gets it.
    fn take(&self, ticket: &Ticket) -> Option<Grant>;
}

#[derive(Default)]
struct Memory(Mutex<HashMap<Ticket, Grant>>);

impl Tickets for Memory {
    fn put(&self, ticket: Ticket, grant: Grant) -> Result<(), Full> {
        const MOST: usize = 10_000;
        const MOST_EACH: usize = 20;
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= MOST {
            tickets.retain(|_, grant| grant.until > Instant::now());
        }
        // No user takes the room of others.
        let own = tickets.values().filter(|other| other.user == grant.user && other.until > Instant::now()).count();
        if tickets.len() >= MOST || own >= MOST_EACH {
            return Err(Full);
        }
        tickets.insert(ticket, grant);
        Ok(())
    }

    fn take(&self, ticket: &Ticket) -> Option<Grant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(ticket)
    }
}
