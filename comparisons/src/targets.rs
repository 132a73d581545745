//! The targets: ratios within one run, and whether each is met.

use crate::measure::{Measured, OURS, PEER, SETUPS};

pub struct Target {
    pub name: String,
    pub found: f64,
    pub limit: Limit,
}

#[derive(Clone, Copy)]
pub enum Limit {
    Most(f64),
    Least(f64),
}

impl Target {
    pub fn is_met(&self) -> bool {
        // A count that is the same comes out within a thousandth.
        match self.limit {
            Limit::Most(most) => self.found <= most * 1.001,
            Limit::Least(least) => self.found >= least * 0.999,
        }
    }

    pub fn line(&self) -> String {
        let Self { name, found, limit } = self;
        let limit = match limit {
            Limit::Most(most) => format!("at most {most:.2}"),
            Limit::Least(least) => format!("at least {least:.2}"),
        };
        format!("{}: {name}: {found:.2}, target {limit}", if self.is_met() { "met" } else { "**missed**" })
    }
}

pub fn targets(measured: &Measured) -> Vec<Target> {
    let (row, mut targets) = (|name| measured.row(name), Vec::new());
    let mut target = |name: String, found: f64, limit| targets.push(Target { name, found, limit });
    for (ours, peer, names) in [
        (OURS, PEER, "ws-handshake + tungstenite / axum, 4 KiB buffers, checks by hand"),
        (
            "stream-fastwebsockets",
            "fastwebsockets-checked",
            "ws-handshake + fastwebsockets / fastwebsockets, checks by hand",
        ),
        ("stream-yawc", "yawc-checked", "ws-handshake + yawc / yawc, checks by hand"),
    ] {
        let ratio = row(ours).instructions / row(peer).instructions;
        target(format!("instructions of a connection, {names}"), ratio, Limit::Most(1.0));
    }
    let observed = SETUPS.iter().position(|setup| setup.options == "+tracing+metrics").expect("a set-up");
    let ratio = measured.setups[observed].ours.instructions / row(OURS).instructions;
    target("instructions of a connection, `tracing` at `info` and `metrics` / neither".into(), ratio, Limit::Most(1.1));
    let [without, with, _] = measured.setups[0].page;
    target(
        "instructions that the layer adds to a page, as a tower layer".into(),
        with[0] - without[0],
        Limit::Most(150.0),
    );
    target(
        "allocations that the layer adds to a page, as a tower layer".into(),
        with[1] - without[1],
        Limit::Most(0.0),
    );
    if row(OURS).rate > 0.0 {
        let name = "handshakes a second, ws-handshake + tungstenite / axum, 4 KiB buffers, checks by hand";
        target(name.into(), row(OURS).rate_ratio / row(PEER).rate_ratio, Limit::Least(1.0));
        let name = "memory of an idle socket, ws-handshake, byte stream / hyper, no checks, byte stream";
        target(name.into(), row("raw").idle / row("hyper").idle, Limit::Most(1.25));
        let name = "memory of an idle socket, ws-handshake + tungstenite / axum, default (128 KiB buffers)";
        target(name.into(), row(OURS).idle / row("axum").idle, Limit::Most(0.05));
    }
    if let Some([small, large]) = measured.stream {
        target("64 bytes echoed a second, `WsStream` / `TcpStream`".into(), small, Limit::Least(0.95));
        target("64 KiB echoed a second, `WsStream` / `TcpStream`".into(), large, Limit::Least(0.95));
    }
    targets
}
