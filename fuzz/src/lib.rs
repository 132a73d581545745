//! What must hold for any bytes: one function for each target, which panics where it does not.
//!
//! `fuzz_targets` hands them to libFuzzer, and `tests/replay.rs` gives them the committed corpora on stable. See `README.md`.
#![forbid(unsafe_code)]

mod answer;
mod connection;
mod deflate;
mod extension;
mod fields;
mod handshake;
mod head;
mod oracle;
mod origin;

pub use self::{answer::answer, connection::connection, fields::fields, head::head, origin::origin};

pub type Target = fn(&[u8]);

/// Each target by its name, which is that of its corpus too.
pub const TARGETS: [(&str, Target); 5] =
    [("answer", answer), ("connection", connection), ("fields", fields), ("head", head), ("origin", origin)];
