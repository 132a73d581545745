use proptest::{collection::vec, prelude::*};

use super::*;

/// A frame with an announced length, and its payload.
fn frame(kind: u64, announced: u64, payload: &[u8]) -> Vec<u8> {
    [&numbers(&[kind, announced])[..], payload].concat()
}

fn full(kind: u64, payload: &[u8]) -> Vec<u8> {
    frame(kind, payload.len() as u64, payload)
}

/// The bytes that h3 gets of a stream that comes in these pieces.
fn read(next: Next, pieces: &[&[u8]]) -> Result<Vec<Bytes>, Code> {
    let mut frames = Framed::at((), next).frames;
    let mut read = Vec::new();
    for piece in pieces {
        frames.unread = Bytes::copy_from_slice(piece);
        while let Some(piece) = frames.next_piece()? {
            read.push(piece);
        }
    }
    frames.end().map(|()| read)
}

const SETTINGS: u64 = 4;
const UNKNOWN: u64 = 0x21;

#[test]
fn frames_are_handed_on_one_by_one() {
    type Row = (&'static str, Vec<u8>, Vec<Vec<u8>>);
    let rows: [Row; 6] = [
        ("headers", full(HEADERS, b"abc"), vec![full(HEADERS, b"abc")]),
        ("empty headers", full(HEADERS, b""), vec![full(HEADERS, b"")]),
        ("data", full(DATA, b"abc"), vec![frame(DATA, 3, b""), b"abc".to_vec()]),
        (
            "empty data between others",
            [full(DATA, b""), full(DATA, b"a"), full(DATA, b"")].concat(),
            vec![frame(DATA, 1, b""), b"a".to_vec()],
        ),
        (
            "an unknown frame, however long",
            [full(UNKNOWN, &vec![0; 100_000]), full(HEADERS, b"a")].concat(),
            vec![full(HEADERS, b"a")],
        ),
        ("a number", full(GOAWAY, b"\x40\x04"), vec![full(GOAWAY, b"\x40\x04")]),
    ];
    for (name, sent, expected) in rows {
        assert_eq!(read(Next::Type, &[&sent]).unwrap(), expected, "{name}");
    }
}

#[test]
fn what_h3_would_wait_for_or_keep_is_refused() {
    let long = LONGEST + 1;
    let rows = [
        ("long headers", frame(HEADERS, long, b""), Code::H3_EXCESSIVE_LOAD),
        ("long trailers", [full(DATA, b"abc"), frame(HEADERS, 1 << 30, b"")].concat(), Code::H3_EXCESSIVE_LOAD),
        ("long settings", frame(SETTINGS, long, b""), Code::H3_EXCESSIVE_LOAD),
        ("an id that is missing", full(MAX_PUSH_ID, b""), Code::H3_FRAME_ERROR),
        ("an id that is cut off", full(GOAWAY, b"\x40"), Code::H3_FRAME_ERROR),
        ("an id with something behind it", full(CANCEL_PUSH, b"\x00\x00"), Code::H3_FRAME_ERROR),
        ("a push without an id", full(PUSH_PROMISE, b""), Code::H3_FRAME_ERROR),
        ("an end within a number", b"\x40".to_vec(), Code::H3_FRAME_ERROR),
        ("an end behind a type", b"\x01".to_vec(), Code::H3_FRAME_ERROR),
        ("an end within headers", frame(HEADERS, 3, b"ab"), Code::H3_FRAME_ERROR),
        ("an end within data", frame(DATA, 3, b"ab"), Code::H3_FRAME_ERROR),
        ("an end within an unknown frame", frame(UNKNOWN, 3, b"ab"), Code::H3_FRAME_ERROR),
    ];
    for (name, sent, code) in rows {
        assert_eq!(read(Next::Type, &[&sent]), Err(code), "{name}");
    }
    assert!(read(Next::Type, &[&full(HEADERS, &vec![0; usize::try_from(LONGEST).unwrap()])]).is_ok());
}

#[test]
fn only_the_control_stream_has_frames() {
    let long = frame(SETTINGS, 1 << 30, b"");
    let of = |kind: u8| read(Next::StreamType, &[&[&[kind][..], &long[..]].concat()]);
    assert_eq!(of(0), Err(Code::H3_EXCESSIVE_LOAD));
    assert_eq!(of(2).unwrap().concat(), [&numbers(&[2])[..], &long].concat(), "instructions of QPACK");
}

proptest! {
    #[test]
    fn pieces_are_read_like_the_whole(
        frames in vec((0..4_u64, 0..300_usize), 0..6),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let sent = frames.iter().flat_map(|&(kind, length)| full(if kind == 3 { UNKNOWN } else { kind }, &vec![7; length])).collect::<Vec<_>>();
        let expected = frames.iter().filter(|&&(kind, length)| kind != 3 && (kind != DATA || length > 0));
        let expected = expected.flat_map(|&(kind, length)| full(kind, &vec![7; length])).collect::<Vec<_>>();
        let mut cuts = cuts.iter().map(|cut| cut.index(sent.len() + 1)).collect::<Vec<_>>();
        cuts.extend([0, sent.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &sent[cut[0]..cut[1]]).collect::<Vec<_>>();
        prop_assert_eq!(read(Next::Type, &pieces).unwrap().concat(), expected);
    }
}
