//! What is fuzzed: each target takes any bytes and must come back without a panic.
//!
//! One list, used by the test that runs the corpus (`main.rs`) and by libFuzzer (`libfuzzer/`).

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
