//! The `:protocol` of an extended `CONNECT`, which h3 0.0.8 does not accept.
//!
//! h3 knows `webtransport` and `connect-udp`, and resets a stream with another `:protocol` before the application sees it. So this module
//! removes the line `:protocol: websocket` from the header block. After h3, the request becomes an extended `CONNECT` again. The next
//! release of h3 accepts the line, and then this file can go.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// Returns the header block without its line `:protocol: websocket`. `None` if there is not exactly one such line. h3 refuses malformed
/// blocks.
pub(super) fn without_websocket(block: &Bytes) -> Option<Bytes> {
    let mut lines = Lines::new(block)?;
    let mut websocket = None;
    while lines.at < block.len() {
        let (line, name, value) = lines.next()?;
        let is_protocol = name.is_some_and(|name| PROTOCOL.contains(&name));
        if is_protocol && (!WEBSOCKET.contains(&value) || websocket.replace(line).is_some()) {
            return None;
        }
    }
    let line = websocket?;
    let mut rest = BytesMut::with_capacity(block.len());
    rest.extend_from_slice(&block[..line.start]);
    rest.extend_from_slice(&block[line.end..]);
    Some(rest.freeze())
}

/// A string as it is, and in the Huffman code of RFC 7541. Each string has one code.
const PROTOCOL: [Text<'_>; 2] = [(false, b":protocol"), (true, b"\xb9\x5d\x87\x49\xc8\x7a\x3f")];
const WEBSOCKET: [Text<'_>; 2] = [(false, b"websocket"), (true, b"\xf0\x58\xd0\x72\x75\x2a\x7f")];

/// Whether the string is in the Huffman code, and the string.
type Text<'a> = (bool, &'a [u8]);

/// The field lines of a block (RFC 9204 §4.5). Lines cannot use a dynamic table, because h3 grants none.
struct Lines<'a> {
    block: &'a [u8],
    at: usize,
}

/// The position of a line, its name if that is a literal, and its value.
type Line<'a> = (Range<usize>, Option<Text<'a>>, Text<'a>);

impl<'a> Lines<'a> {
    fn new(block: &'a [u8]) -> Option<Self> {
        let mut lines = Self { block, at: 0 };
        let (_, required) = lines.integer(8)?;
        let (_, base) = lines.integer(7)?;
        (required == 0 && base == 0).then_some(lines)
    }

    /// The next line. `None` if the block is malformed.
    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.at;
        let (name, value) = match self.block.get(start)? {
            // Indexed (§4.5.2): the name and the value are in the static table, which has no `:protocol`.
            0x80.. => {
                self.integer(6)?;
                (None, (false, &[][..]))
            }
            // Literal with a name of the table (§4.5.4).
            0x40.. => {
                self.integer(4)?;
                (None, self.text(7)?)
            }
            // Literal with its own name (§4.5.6).
            0x20.. => (Some(self.text(3)?), self.text(7)?),
            // Lines that use the dynamic table.
            _ => return None,
        };
        Some((start..self.at, name, value))
    }

    /// A string (RFC 9204 §4.1.2): a flag, a length with a `prefix` in bits, and the bytes.
    fn text(&mut self, prefix: u32) -> Option<Text<'a>> {
        let (flags, length) = self.integer(prefix)?;
        let end = self.at.checked_add(length)?;
        let text = self.block.get(self.at..end)?;
        self.at = end;
        Some((flags >> prefix & 1 == 1, text))
    }

    /// An integer (RFC 7541 §5.1), and its first byte.
    fn integer(&mut self, prefix: u32) -> Option<(u8, usize)> {
        let first = *self.block.get(self.at)?;
        self.at += 1;
        let most = usize::from(u8::MAX >> (8 - prefix));
        let mut number = usize::from(first) & most;
        if number < most {
            return Some((first, number));
        }
        for shift in [0, 7, 14] {
            let byte = *self.block.get(self.at)?;
            self.at += 1;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((first, number));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
