//! How costs grow with what there is of something.

use serde::{Deserialize, Serialize};

use crate::measure::{handshakes, idle, instructions, instructions_offering};

/// Points of a curve: how many there are, and what one handshake or one connection costs.
pub type Curve = Vec<(f64, f64)>;

#[derive(Deserialize, Serialize)]
pub struct Growth {
    /// Instructions of a handshake, by the number of origins listed.
    pub origins: Curve,
    /// Instructions of a handshake, by the number of subprotocols offered. More than 32 are refused.
    pub subprotocols: Curve,
    /// Resident bytes of an idle connection, by their number: raw, by tungstenite, and of axum.
    pub idle: Vec<(String, Curve)>,
}

pub fn measure() -> Growth {
    let origins = [10, 1000, 100_000, 1_000_000].map(|count: u32| {
        eprintln!("growth: {count} origins");
        (f64::from(count), instructions(&format!("origins-{count}"), handshakes, 200))
    });
    let subprotocols = [1, 4, 16, 32, 33, 100, 1000].map(|count: u32| {
        eprintln!("growth: {count} subprotocols");
        (f64::from(count), instructions_offering("raw", count))
    });
    let idle = ["raw", "stream", "axum"].map(|name| {
        let curve = [10, 100, 1000, 5000, 15_000].map(|count: u32| {
            eprintln!("growth: {count} idle connections of {name}");
            (f64::from(count), idle(name, count))
        });
        (name.to_owned(), curve.to_vec())
    });
    Growth { origins: origins.to_vec(), subprotocols: subprotocols.to_vec(), idle: idle.to_vec() }
}
