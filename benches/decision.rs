//! Run with `cargo bench --bench decision`: the instructions of floor 1, counted by valgrind's callgrind.
//!
//! Each case runs twice, so that the difference is that of the additional rounds alone.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]
#![allow(clippy::cast_precision_loss, reason = "a ratio of counts is rounded anyway")]

use std::{env, hint::black_box, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
    request::Parts,
};
use hyper::body::Bytes;
use sha1::{Digest as _, Sha1};
use ws_handshake::{AllowOrigin, OriginList, Policy, Subprotocols, handshake::ClientHandshake};

/// The fields that Chromium sends.
const FIELDS: [(&str, &str); 13] = [
    ("host", "api.example.com"),
    ("connection", "Upgrade"),
    ("pragma", "no-cache"),
    ("cache-control", "no-cache"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    ),
    ("upgrade", "websocket"),
    ("origin", "https://app500.example.com"),
    ("sec-websocket-version", "13"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.9"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
    ("sec-websocket-protocol", "v1.chat, v3.chat"),
];

fn main() {
    let arguments: Vec<_> = env::args().collect();
    if let [_, case, rounds] = &arguments[..]
        && let Ok(rounds) = rounds.parse()
    {
        return run(case, rounds);
    }
    let (unchecked, lean) = (instructions("unchecked"), instructions("lean"));
    let decision = instructions("decision");
    let (ten, million) = (instructions("origins 10"), instructions("origins 1000000"));
    println!("{:<64} {:>7} {:>6} {:>5}", "instructions", "count", "ratio", "bar");
    println!("{:<64} {unchecked:>7}", "an unchecked 101, as axum's extract::ws writes it");
    println!("{:<64} {lean:>7} {:>6.2}", "the same without the builder", lean as f64 / unchecked as f64);
    let row = |name, count: u64, against: u64, bar: f64| {
        let ratio = count as f64 / against as f64;
        println!("{name:<64} {count:>7} {ratio:>6.2} {bar:>5.1}");
        ratio <= bar * TOLERANCE
    };
    let name = "read, decide (1,000 origins, 4 subprotocols), write the head";
    let whole = row(name, decision, unchecked, 1.6);
    println!("{:<64} {ten:>7}", "look an origin up among 10");
    let growth = row("look an origin up among 1,000,000", million, ten, 2.0);
    if !(whole && growth) {
        println!("a bar is missed by more than 5 %");
        std::process::exit(1);
    }
}

/// Compilers differ by a few instructions.
const TOLERANCE: f64 = 1.05;

/// The instructions of one round of a case.
fn instructions(case: &str) -> u64 {
    let count = |rounds: &str| -> u64 {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe().unwrap())
            .args([case, rounds])
            .output()
            .expect("valgrind counts the instructions: install it first");
        let text = String::from_utf8_lossy(&output.stderr);
        let collected = text.split("Collected : ").nth(1).unwrap_or_else(|| panic!("{text}"));
        collected.split_whitespace().next().unwrap().parse().unwrap()
    };
    (count("1100") - count("100")) / 1000
}

fn run(case: &str, rounds: u32) {
    let parts = parts();
    if let Some(length) = case.strip_prefix("origins ") {
        let length: u32 = length.parse().unwrap();
        let list = OriginList::new((0..length).map(|n| format!("https://app{n}.example.com"))).unwrap();
        let origin = "https://app5.example.com".parse().unwrap();
        for _ in 0..rounds {
            assert!(black_box(&list).contains(black_box(&origin)));
        }
    } else if case == "lean" {
        for _ in 0..rounds {
            black_box(unchecked_lean(black_box(&parts)));
        }
    } else if case == "unchecked" {
        for _ in 0..rounds {
            black_box(unchecked(black_box(&parts)));
        }
    } else {
        let origins = (0..1000).map(|n| format!("https://app{n}.example.com"));
        let policy = Policy::new()
            .allow_origin(AllowOrigin::list(origins).unwrap())
            .subprotocols(Subprotocols::new(["v4.chat", "v3.chat", "v2.chat", "v1.chat"]).unwrap());
        for _ in 0..rounds {
            let response = decision(&policy, black_box(&parts));
            assert_eq!(black_box(response).status(), 101);
        }
    }
}

/// The head as hyper reads it: each value is a part of the one buffer that was read.
fn parts() -> Parts {
    let mut buffer = Bytes::from(FIELDS.map(|(_, value)| value).concat());
    let mut request = Request::get("/chat").body(()).unwrap();
    for (name, value) in FIELDS {
        let value = HeaderValue::from_maybe_shared(buffer.split_to(value.len())).unwrap();
        request.headers_mut().append(HeaderName::from_static(name), value);
    }
    request.into_parts().0
}

fn decision(policy: &Policy, parts: &Parts) -> Response<()> {
    let client = ClientHandshake::from_parts(parts).unwrap().unwrap();
    policy.decide(&client, parts).into_ready().unwrap().unwrap().response()
}

/// The answer as axum's `extract::ws` writes it: it looks at nothing but the key.
fn unchecked(parts: &Parts) -> Response<()> {
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, HeaderValue::from_static("upgrade"))
        .header(UPGRADE, HeaderValue::from_static("websocket"))
        .header(SEC_WEBSOCKET_ACCEPT, accept(parts))
        .body(())
        .unwrap()
}

/// The same with the builder's moves taken out.
fn unchecked_lean(parts: &Parts) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept(parts));
    response
}

fn accept(parts: &Parts) -> HeaderValue {
    let key = parts.headers.get(SEC_WEBSOCKET_KEY).unwrap();
    let mut digest = Sha1::default();
    digest.update(key.as_bytes());
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    HeaderValue::from_maybe_shared(Bytes::from(STANDARD.encode(digest.finalize()))).unwrap()
}
