//! Run with `cargo run --example doctor -- http://127.0.0.1:3000/ws`, with any WebSocket server at that address.
//!
//! Tests the server as an attacker would. Prints which pages can connect, why that matters, and what to do.

mod examination;
mod report;
mod server;

use std::{io::Write, process::ExitCode};

use clap::Parser;

use self::{examination::Examination, server::Server};

/// Tests a running WebSocket server as an attacker would.
///
/// The exit status is 0 if pages of other origins cannot connect, 1 if they can, and 2 if the doctor cannot tell.
#[derive(Parser)]
struct Args {
    /// The URL of the WebSocket, such as `https://app.example.com/ws`. `http`, `https`, `ws` and `wss` all work.
    url: String,
    /// The origin of your own pages. Default: the origin of the URL.
    #[arg(long)]
    origin: Option<String>,
    /// A header to send, such as `Cookie: session=1`. Repeatable.
    #[arg(long)]
    header: Vec<String>,
    /// A subprotocol to offer. Repeatable.
    #[arg(long)]
    subprotocol: Vec<String>,
    /// Accept every certificate, for example a self-signed one.
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
    // The reader may have closed the pipe.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(status)
}
