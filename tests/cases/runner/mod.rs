//! Holds a server against the cases of this directory. Their format is described in `README.md`.
#![allow(dead_code, reason = "each program that compiles this uses a part of it")]

pub(crate) mod answer;
pub(crate) mod format;
pub(crate) mod judge;
pub(crate) mod score;
