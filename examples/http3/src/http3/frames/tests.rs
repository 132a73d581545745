use proptest::{collection::vec, prelude::*};

use super::*;

/// A number in a form of so many bytes (RFC 9000 §16): 1, 2, 4 or 8.
fn number(value: u64, bytes: usize) -> Vec<u8> {
    let mut written = value.to_be_bytes()[8 - bytes..].to_vec();
    written[0] |= u8::try_from(bytes.trailing_zeros()).unwrap() << 6;
    written
}

fn frame(kind: u64, announced: u64, payload: usize) -> Vec<u8> {
    [number(kind, 4), number(announced, 8), vec![0xff; payload]].concat()
}

fn follow(next: Next, bytes: &[u8]) -> Result<(), TooLong> {
    Bounded::at((), next).frames.follow(bytes)
}

const HEADERS: u64 = 1;
const UNKNOWN: u64 = 0x21;

#[test]
fn only_data_may_be_long() {
    let rows = [
        ("headers of the longest length", frame(HEADERS, LONGEST, 0), Ok(())),
        ("longer headers", frame(HEADERS, LONGEST + 1, 0), Err(TooLong)),
        ("a longer unknown frame", frame(UNKNOWN, LONGEST + 1, 0), Err(TooLong)),
        ("the longest data", frame(DATA, (1 << 62) - 1, 1000), Ok(())),
        ("long trailers", [frame(DATA, 3, 3), frame(HEADERS, 1 << 30, 0)].concat(), Err(TooLong)),
        ("long headers behind empty ones", [frame(HEADERS, 0, 0), frame(HEADERS, 1 << 30, 0)].concat(), Err(TooLong)),
        ("many short frames", frame(UNKNOWN, 1000, 1000).repeat(100), Ok(())),
    ];
    for (name, bytes, followed) in rows {
        assert_eq!(follow(Next::Type, &bytes), followed, "{name}");
    }
}

#[test]
fn only_the_control_stream_has_frames() {
    let long = frame(UNKNOWN, 1 << 30, 0);
    assert_eq!(follow(Next::StreamType, &[number(CONTROL, 1), long.clone()].concat()), Err(TooLong));
    assert_eq!(follow(Next::StreamType, &[number(2, 1), long].concat()), Ok(()), "instructions of QPACK");
}

proptest! {
    #[test]
    fn pieces_are_followed_like_the_whole(
        frames in vec((0..4_u64, prop_oneof![0..9_u64, LONGEST - 1..LONGEST + 2], prop_oneof![Just(4_usize), Just(8)]), 1..4),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut bytes = Vec::new();
        for &(kind, length, form) in &frames {
            bytes.extend([number(kind, 1), number(length, form), vec![0; usize::try_from(length).unwrap()]].concat());
        }
        let expected = if frames.iter().any(|&(kind, length, _)| kind != DATA && length > LONGEST) { Err(TooLong) } else { Ok(()) };
        prop_assert_eq!(follow(Next::Type, &bytes), expected);

        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut pieces = Bounded::at((), Next::Type);
        let followed = cuts.windows(2).try_for_each(|cut| pieces.frames.follow(&bytes[cut[0]..cut[1]]));
        prop_assert_eq!(followed, expected);
    }
}
