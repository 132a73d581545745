//! What a careful user of another extractor checks by hand: whether the page may connect, and which subprotocol is spoken.

use std::{collections::HashSet, sync::LazyLock};

use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL},
        request::Parts,
    },
};

/// The origins that may connect, besides the server's own.
pub fn origins(count: u32) -> impl Iterator<Item = String> {
    // The clients' is among them, however few they are.
    (0..count).map(|n| format!("https://app{}.example.com", 500 + n))
}

pub const SUBPROTOCOLS: [&str; 4] = ["v4.chat", "v3.chat", "v2.chat", "v1.chat"];

/// The page may connect.
pub struct MayConnect;

impl<S: Sync> FromRequestParts<S> for MayConnect {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        may_connect(&parts.headers).then_some(Self).ok_or(StatusCode::FORBIDDEN)
    }
}

/// Whether the page is the server's own, or of a listed origin. A client that names no origin is no browser.
pub fn may_connect(headers: &HeaderMap) -> bool {
    static LISTED: LazyLock<HashSet<String>> = LazyLock::new(|| origins(1000).collect());
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let page = origin.split_once("://").map(|(_, page)| page.as_bytes());
    let is_own = page.is_some() && page == headers.get(HOST).map(HeaderValue::as_bytes);
    is_own || LISTED.contains(origin)
}

/// The first of [`SUBPROTOCOLS`] that the client offers, for extractors that select none.
pub struct Subprotocol(Option<&'static str>);

impl<S: Sync> FromRequestParts<S> for Subprotocol {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let Some(offered) = parts.headers.get(SEC_WEBSOCKET_PROTOCOL) else { return Ok(Self(None)) };
        let offered = offered.to_str().map_err(|_| StatusCode::BAD_REQUEST)?;
        let is_offered = |name: &&str| offered.split(',').any(|offered| offered.trim() == *name);
        Ok(Self(SUBPROTOCOLS.into_iter().find(is_offered)))
    }
}

impl Subprotocol {
    pub fn answer(self, headers: &mut HeaderMap) {
        if let Self(Some(name)) = self {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        }
    }
}
