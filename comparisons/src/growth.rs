//! How costs grow with what there is of something.

use crate::measure::{each, idle, instructions, instructions_of, offering};

/// Points of a curve: how many there are, and what one handshake or one connection costs.
pub type Curve = Vec<(f64, f64)>;

pub struct Growth {
    /// Instructions of a handshake, by the number of origins listed.
    pub origins: Curve,
    /// Instructions of a handshake, by the number of subprotocols offered. More than 32 are refused.
    pub subprotocols: Curve,
    /// Resident bytes of an idle connection, by their number: raw, by tungstenite, and of axum.
    pub idle: [(&'static str, Curve); 3],
}

pub fn measure() -> Growth {
    let origins = [10, 1000, 100_000, 1_000_000].map(|count: u32| {
        eprintln!("growth: {count} origins");
        let one = |handshakes| {
            instructions(&format!("origins-{count}"), |server| {
                for _ in 0..handshakes {
                    drop(server.open());
                }
            })
        };
        (f64::from(count), each(one, 20, 220))
    });
    let subprotocols = [1, 4, 16, 32, 33, 100, 1000].map(|count: u32| {
        eprintln!("growth: {count} subprotocols");
        let status = if count > 32 { "HTTP/1.1 400" } else { "HTTP/1.1 101" };
        (f64::from(count), instructions_of("raw", &offering(count), status))
    });
    let idle = [("raw", false), ("stream", true), ("axum", true)].map(|(name, frames)| {
        let curve = [10, 100, 1000, 5000, 15_000].map(|count: u32| {
            eprintln!("growth: {count} idle connections of {name}");
            (f64::from(count), idle(name, frames, count))
        });
        (name, curve.to_vec())
    });
    Growth { origins: origins.to_vec(), subprotocols: subprotocols.to_vec(), idle }
}
