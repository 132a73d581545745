//! What the programs share.

/// The message to be echoed: 1 MiB.
pub fn message() -> Vec<u8> {
    (0..1 << 20).map(|i| (i % 251) as u8).collect()
}

/// The arguments: the URL, and an Origin or nothing.
pub fn arguments() -> (String, String) {
    let mut arguments = std::env::args().skip(1);
    (arguments.next().expect("a URL"), arguments.next().unwrap_or_default())
}

/// HOST:PORT and the path of `ws://HOST:PORT/PATH`.
pub fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("ws://").expect("a ws:// URL");
    rest.split_at(rest.find('/').expect("a path"))
}
