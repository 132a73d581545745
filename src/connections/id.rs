//! IDs of connections, for logs.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// A short ID of a connection, such as `5f3a91c0`. The handshake, every event and the connection's span have the same ID.
///
/// IDs are unique among 4 billion connections of a process. Each process starts at a random number, so that two nodes seldom log the same
/// ID.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(u32);

impl ConnectionId {
    pub(crate) fn next() -> Self {
        static FIRST: OnceLock<u32> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let first = FIRST.get_or_init(|| {
            let [.., a, b, c, d] = RandomState::new().hash_one(()).to_ne_bytes();
            u32::from_ne_bytes([a, b, c, d])
        });
        Self(scattered(first.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed))))
    }
}

/// Maps each number to a different number, so that neighbours do not look alike: the last steps of `MurmurHash3`.
fn scattered(number: u32) -> u32 {
    let number = (number ^ number >> 16).wrapping_mul(0x85eb_ca6b);
    let number = (number ^ number >> 13).wrapping_mul(0xc2b2_ae35);
    number ^ number >> 16
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_short_and_differ() {
        let ids: HashSet<_> = (0..10_000).map(|_| ConnectionId::next()).collect();
        assert_eq!(ids.len(), 10_000);
        assert_eq!(ConnectionId(0xab).to_string(), "000000ab");
        assert_eq!(format!("{:?}", ConnectionId(0xab)), "ConnectionId(000000ab)");
    }

    #[test]
    fn numbers_are_scattered_without_meeting() {
        // Values of MurmurHash3 itself.
        let rows = [(0, 0), (1, 0x514e_28b7), (2, 0x30f4_c306), (u32::MAX, 0x81f1_6f39)];
        for (number, expected) in rows {
            assert_eq!(scattered(number), expected, "{number}");
        }
    }
}
