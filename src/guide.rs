#![doc = include_str!("../docs/guide/index.md")]

macro_rules! pages {
    ($($name:ident $file:literal)*) => {$(
        #[doc = include_str!(concat!("../docs/guide/", $file))]
        pub mod $name {}
    )*};
}

pages! {
    guard "guard.md"
    why "why.md"
    frameworks "frameworks.md"
    policy "policy.md"
    subprotocols "subprotocols.md"
    handlers "handlers.md"
    framing "framing.md"
    connections "connections.md"
    proxies "proxies.md"
    hardening "hardening.md"
    authentication "authentication.md"
    keepalive "keepalive.md"
    observing "observing.md"
    http2 "http2.md"
    http3 "http3.md"
    testing "testing.md"
    cluster "cluster.md"
    client "client.md"
    troubleshooting "troubleshooting.md"
    faq "faq.md"
    checks "checks.md"
    costs "costs.md"
    examples "examples.md"
    glossary "glossary.md"
    from_axum "from-axum.md"
    from_fastwebsockets "from-fastwebsockets.md"
    from_tokio_tungstenite "from-tokio-tungstenite.md"
    from_yawc "from-yawc.md"
}

/// The code of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
