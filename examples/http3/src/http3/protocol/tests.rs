use proptest::{collection::vec, prelude::*};

use super::*;

/// A block of these lines, after the prefix for no dynamic table.
fn block(lines: &[&[u8]]) -> Bytes {
    [&b"\0\0"[..], &lines.concat()].concat().into()
}

/// A string whose length fits into its prefix.
fn text(flags: u8, prefix: u32, (is_huffman, bytes): Text<'_>) -> Vec<u8> {
    let most = usize::from(u8::MAX >> (8 - prefix));
    let first = flags | u8::from(is_huffman) << prefix;
    let mut written = Vec::new();
    if let Some(length) = u8::try_from(bytes.len()).ok().filter(|length| usize::from(*length) < most) {
        written.push(first | length);
    } else {
        written.push(first | u8::try_from(most).unwrap());
        let mut rest = bytes.len() - most;
        while rest >= 0x80 {
            written.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        written.push(u8::try_from(rest).unwrap());
    }
    written.extend(bytes);
    written
}

fn literal(name: Text<'_>, value: Text<'_>) -> Vec<u8> {
    [text(0x20, 3, name), text(0, 7, value)].concat()
}

const METHOD: &[u8] = &[0x80 | 0x40 | 15]; // `:method: CONNECT`
const PATH: &[u8] = b"\x51\x03/ws"; // `:path`, by its number in the table

#[test]
fn the_line_is_taken_out_wherever_it_stands_and_however_it_is_written() {
    for (name, value) in PROTOCOL.into_iter().flat_map(|name| WEBSOCKET.map(|value| (name, value))) {
        let line = literal(name, value);
        for lines in [[&line[..], METHOD, PATH], [METHOD, &line, PATH], [METHOD, PATH, &line]] {
            assert_eq!(without_websocket(&block(&lines)), Some(block(&[METHOD, PATH])), "{lines:?}");
        }
    }
}

#[test]
fn other_blocks_are_left_to_h3() {
    let websocket = literal(PROTOCOL[1], WEBSOCKET[1]);
    let other = literal(PROTOCOL[0], (false, b"webtransport"));
    let upper = literal(PROTOCOL[0], (false, b"WebSocket"));
    let longer = literal((false, b":protocols"), WEBSOCKET[0]);
    let rows: [(&str, Bytes); 10] = [
        ("without the line", block(&[METHOD, PATH])),
        ("with the line twice", block(&[METHOD, &websocket, &websocket])),
        ("with another protocol", block(&[METHOD, &other])),
        ("with two protocols", block(&[METHOD, &websocket, &other])),
        ("in other letters", block(&[METHOD, &upper])),
        ("with another name", block(&[METHOD, &longer])),
        ("empty", Bytes::new()),
        ("cut off", block(&[METHOD, &websocket[..websocket.len() - 1]])),
        ("of a dynamic table", [&b"\x02\x80"[..], METHOD, &websocket].concat().into()),
        ("with a line of a dynamic table", block(&[METHOD, &websocket, &[0x10]])),
    ];
    for (name, block) in rows {
        assert_eq!(without_websocket(&block), None, "{name}");
    }
    let endless = [&b"\0\0\x27"[..], &[0xff; 40]].concat();
    assert_eq!(without_websocket(&endless.into()), None, "with a length that has no end");
}

fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let name =
        prop_oneof![Just(b":method".to_vec()), "[a-z-]{1,200}".prop_map(String::into_bytes), vec(any::<u8>(), 0..20)];
    let named = (any::<bool>(), name, any::<bool>(), vec(any::<u8>(), 0..300))
        .prop_map(|(name_is, name, value_is, value)| literal((name_is, &name), (value_is, &value)));
    let indexed = (0_u8..62).prop_map(|index| vec![0xc0 | index]);
    let referred = (0_u8..14, vec(any::<u8>(), 0..100))
        .prop_map(|(index, value)| [vec![0x50 | index], text(0, 7, (false, &value))].concat());
    vec(prop_oneof![named, indexed, referred], 0..12).prop_filter("another `:protocol`", |lines| {
        PROTOCOL.iter().all(|(_, name)| !lines.concat().windows(name.len()).any(|part| part == *name))
    })
}

proptest! {
    #[test]
    fn any_other_lines_stay_as_they_are(lines in lines(), at in any::<prop::sample::Index>(), huffman in any::<[bool; 2]>()) {
        let written: Vec<&[u8]> = lines.iter().map(|line| &line[..]).collect();
        prop_assert_eq!(without_websocket(&block(&written)), None);
        let line = literal(PROTOCOL[usize::from(huffman[0])], WEBSOCKET[usize::from(huffman[1])]);
        let mut with = written.clone();
        with.insert(at.index(lines.len() + 1), &line);
        prop_assert_eq!(without_websocket(&block(&with)), Some(block(&written)));
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        if let Some(rest) = without_websocket(&bytes) {
            prop_assert!(rest.len() < bytes.len());
            prop_assert_eq!(without_websocket(&rest), None);
        }
    }
}
