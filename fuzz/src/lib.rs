//! Properties that hold for any bytes: one function for each target, which panics if a property fails.
//!
//! `fuzz_targets` passes libFuzzer's bytes to these functions, and `tests/replay.rs` passes the committed corpora on stable. See
//! `README.md`.
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

/// Each target by its name, which is also the name of its corpus.
pub const TARGETS: [(&str, Target); 5] =
    [("answer", answer), ("connection", connection), ("fields", fields), ("head", head), ("origin", origin)];
