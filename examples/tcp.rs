//! Run with `cargo run --example tcp`, and connect to the address that it prints.
//!
//! The handshake without a framework: a plain `TcpListener`, `httparse`, and the pure functions of this crate. No HTTP library, no
//! runtime, one thread for each connection.

use std::{
    error::Error,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use http::{Request, Response, Version, request::Parts};
use tokio_tungstenite::tungstenite::{WebSocket, protocol::Role};
use ws_handshake::{AllowHost, Policy, handshake::ClientHandshake};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    let policy = Policy::new().allow_host(AllowHost::loopback());
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Not `?`: without free file descriptors, this fails until some connections have ended.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        let policy = policy.clone();
        let serving = move || serve(stream, &policy).unwrap_or_else(|error| eprintln!("connection ended: {error}"));
        if let Err(error) = thread::Builder::new().spawn(serving) {
            eprintln!("connection dropped: {error}");
        }
    }
    Ok(())
}

fn serve(mut stream: TcpStream, policy: &Policy) -> Result<(), Box<dyn Error>> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (parts, early) = match read_head(&mut stream) {
        Ok(head) => head,
        Err(error) => {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")?;
            return Err(error);
        }
    };
    let answer = match ClientHandshake::from_parts(&parts) {
        Ok(None) => return write(&mut stream, &page()),
        // No predicate of this policy is asynchronous, so its decisions are ready at once.
        Ok(Some(client)) => policy.decide(&client, &parts).now().ok_or("undecided")?,
        Err(rejection) => Err(rejection),
    };
    match answer {
        Err(rejection) => write(&mut stream, &rejection.response()),
        Ok(server) => {
            write(&mut stream, &server.response())?;
            stream.set_read_timeout(None)?;
            echo(WebSocket::from_partially_read(stream, early, Role::Server, None))
        }
    }
}

fn page() -> Response<&'static str> {
    let mut response = Response::new("This port speaks WebSocket.\n");
    response.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
    response
}

/// Reads up to the empty line after the headers, and keeps the bytes that the client sent after it.
fn read_head(stream: &mut TcpStream) -> Result<(Parts, Vec<u8>), Box<dyn Error>> {
    let mut bytes = Vec::new();
    while bytes.len() < 16 * 1024 {
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        bytes.extend_from_slice(&chunk[..read]);
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut fields);
        if let httparse::Status::Complete(end) = head.parse(&bytes)? {
            let version = if head.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
            let request = Request::builder().version(version);
            let request = request.method(head.method.unwrap_or_default()).uri(head.path.unwrap_or_default());
            let request = head.headers.iter().fold(request, |request, field| request.header(field.name, field.value));
            return Ok((request.body(())?.into_parts().0, bytes.split_off(end)));
        }
    }
    Err("the head of the request is too long".into())
}

fn write(stream: &mut TcpStream, response: &Response<&str>) -> Result<(), Box<dyn Error>> {
    let mut head = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    if response.status() != 101 {
        head.extend_from_slice(format!("content-length: {}\r\n", response.body().len()).as_bytes());
    }
    stream.write_all(&[&head[..], b"\r\n", response.body().as_bytes()].concat())?;
    Ok(())
}

fn echo(mut socket: WebSocket<TcpStream>) -> Result<(), Box<dyn Error>> {
    loop {
        let message = socket.read()?;
        if message.is_text() || message.is_binary() {
            socket.send(message)?;
        }
    }
}
