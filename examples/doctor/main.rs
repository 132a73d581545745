//! Run with `cargo run --example doctor -- http://127.0.0.1:3000/ws`, with any WebSocket server at that address.
//!
//! It asks the server what an attacker would, and prints who can connect, why that matters, and what to do.

mod examination;
mod report;
mod server;

use std::{io::Write, process::ExitCode};

use clap::Parser;

use self::{examination::Examination, server::Server};

/// Asks a running WebSocket server what an attacker would.
///
/// The exit status is 0 if pages of other origins cannot connect, 1 if they can, and 2 if nothing can be told.
#[derive(Parser)]
struct Args {
    /// The WebSocket, as in `https://app.example.com/ws`; `http`, `https`, `ws` and `wss` are all right.
    url: String,
    /// Where your own pages are. The default is the origin of the URL.
    #[arg(long)]
    origin: Option<String>,
    /// A header to send, as in `Cookie: session=1`; may be given several times.
    #[arg(long)]
    header: Vec<String>,
    /// A subprotocol to offer; may be given several times.
    #[arg(long)]
    subprotocol: Vec<String>,
    /// Accept every certificate, such as a self-signed one.
    #[arg(long)]
    insecure: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let server = match Server::new(&Args::parse()) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let (text, status) = report::write(&server, Examination::of(&server).await);
    // Nobody may be there to read it.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(status)
}
