//! What is fuzzed: each target takes any bytes and must come back without a panic.
//!
//! One list, used by the test that runs the corpus (`main.rs`) and by libFuzzer (`libfuzzer/`).

use ringkeeper::config::key::Tried;
use ringkeeper::config::members::Member;
use ringkeeper::config::{Config, keys, properties};
use ringkeeper::types::Zxid;
use ringkeeper::wire::connect::{ConnectRequest, ConnectResponse};
use ringkeeper::wire::frame::Frames;
use ringkeeper::wire::jute::{Reader, Record, Writer};
use ringkeeper::wire::multi;
use ringkeeper::wire::op::Request;
use ringkeeper::wire::reply::ReplyHeader;
use ringkeeper::wire::txn::LoggedTxn;

/// A target's name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("frames", frames),
    ("requests", requests),
    ("replies", replies),
    ("handshakes", handshakes),
    ("transactions", transactions),
    ("settings", settings),
];

/// A byte stream in two pieces, cut into frames: the same frames wherever it is split.
fn frames(data: &[u8]) {
    let Some((at, stream)) = data.split_first() else { return };
    let at = usize::from(*at).min(stream.len());
    let cut = |pieces: &[&[u8]]| {
        let mut frames = Frames::new(1 << 10);
        let mut found = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                match frames.next(&mut input) {
                    Ok(Some(frame)) => found.push(frame.to_vec()),
                    Ok(None) => break,
                    Err(bad) => return (found, Some(bad.0)),
                }
            }
            assert!(frames.held() <= (1 << 10) + 4, "a partial frame is bounded");
        }
        (found, None)
    };
    assert_eq!(cut(&[stream]), cut(&[&stream[..at], &stream[at..]]));
}

/// A request with its header. What decodes encodes, and that decodes to the same.
fn requests(data: &[u8]) {
    let Some((header, body)) = data.split_at_checked(8) else { return };
    let op = i32::from_be_bytes(header[4..].try_into().expect("four bytes"));
    for op in [op, op.rem_euclid(23), 100 + op.rem_euclid(8)] {
        let Ok(request) = Request::decode(op, &mut Reader::new(body)) else { continue };
        let mut again = Vec::new();
        request.encode(&mut Writer::new(&mut again));
        let second = Request::decode(op, &mut Reader::new(&again)).expect("we wrote it");
        assert_eq!(request, second);
        match request {
            Request::Multi(multi) => assert_eq!(multi.iter().count(), multi.len()),
            Request::MultiRead(reads) => assert_eq!(reads.iter().count(), reads.len()),
            _ => {}
        }
    }
}

/// What a client reads: for the load generator's sake.
fn replies(data: &[u8]) {
    let mut input = Reader::new(data);
    if ReplyHeader::decode(&mut input).is_ok() {
        let results = multi::Results::new(input.rest()).count();
        // Nine bytes a result, and one error at the end.
        assert!(results <= input.rest().len() / 9 + 1);
    }
}

fn handshakes(data: &[u8]) {
    if let Ok(request) = ConnectRequest::decode(&mut Reader::new(data)) {
        let mut again = Vec::new();
        request.encode(&mut Writer::new(&mut again));
        let second = ConnectRequest::decode(&mut Reader::new(&again)).expect("we wrote it");
        assert_eq!(request, second);
    }
    let _ = ConnectResponse::decode(&mut Reader::new(data));
}

/// An entry of the log; whatever decodes can be applied to a tree.
fn transactions(data: &[u8]) {
    let Ok(logged) = LoggedTxn::decode(data) else { return };
    let mut again = Vec::new();
    logged.encode(&mut again);
    assert_eq!(LoggedTxn::decode(&again).expect("we wrote it"), logged);
    assert!(logged.header.zxid >= Zxid(i64::MIN));
}

/// A configuration: every key that the table knows takes or refuses its value, and a member that
/// was read is written as what reads the same.
fn settings(data: &[u8]) {
    let Ok(properties) = properties::parse(data) else { return };
    for properties::Property { key, value, .. } in properties {
        // A name of a host would be looked up.
        if key != "clientPortAddress"
            && let Some(row) = keys::rows().find(|row| row.is_named(&key))
        {
            let mut config = Config::default();
            if let Tried::Wrong(why) = row.set.put(&mut config, row.kind, &key, &value) {
                assert!(!why.is_empty(), "{key}={value}");
            }
        }
        if let Ok(member) = Member::parse(&value) {
            let shown = member.to_string();
            let again = Member::parse(&shown).expect("we wrote it");
            assert_eq!(again.to_string(), shown);
        }
    }
}
