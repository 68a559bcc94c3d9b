//! The bytes of the wire and the log: what Apache's servers and clients really sent is decoded and
//! encoded back, cut at every byte, and disturbed; and no bytes whatever make a decoder panic.

mod alike;
mod golden;
mod multi;
mod rng;

use golden::{Direction, Golden};
use ringkeeper::types::{SessionId, WallTime, Xid, Zxid};
use ringkeeper::wire::connect::{ConnectRequest, ConnectResponse, password};
use ringkeeper::wire::frame::Frames;
use ringkeeper::wire::jute::{DecodeError, Reader, Record, Text, Writer};
use ringkeeper::wire::op::{Request, class_of, code};
use ringkeeper::wire::reply::{ReplyHeader, WatcherEvent};
use ringkeeper::wire::request::RequestHeader;
use ringkeeper::wire::txn::{
    CheckTxn, CloseSessionTxn, CreateContainerTxn, CreateSessionTxn, CreateTtlTxn, CreateTxn,
    DeleteTxn, ErrorTxn, LoggedTxn, MultiTxn, SetAclTxn, SetDataTxn, SubTxn, Txn, TxnHeader, kind,
};
use ringkeeper::wire::{Acl, Seq};
use rng::Rng;

#[test]
fn golden_bytes_are_decoded_and_encoded_back() {
    let all = golden::all();
    assert!(all.len() > 100, "only {} captures", all.len());
    for capture in &all {
        let Golden { name, bytes, .. } = capture;
        let again = capture.again(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(&again, bytes, "{name}");
    }
}

/// What is cut must not decode, with two exceptions: a handshake without its last, optional byte,
/// and nothing else.
#[test]
fn golden_bytes_cut_anywhere_are_an_error() {
    for capture in golden::all() {
        for length in 0..capture.bytes.len() {
            let cut = &capture.bytes[..length];
            let handshake_of_old =
                capture.op == code::CreateSession && length == capture.bytes.len() - 1;
            // An error's header is followed by nothing, so a cut body is all that can be missing.
            assert_eq!(
                capture.again(cut).is_ok(),
                handshake_of_old && !cut.is_empty(),
                "{} cut at {length}",
                capture.name
            );
        }
    }
}

#[test]
fn disturbed_bytes_never_panic_and_decode_to_what_they_encode_to() {
    let mut rng = Rng::new(1);
    for capture in golden::all() {
        for _ in 0..200 {
            let mut bytes = capture.bytes.clone();
            for _ in 0..=rng.below(3) {
                let at = rng.below(bytes.len());
                bytes[at] = rng.byte();
            }
            // Encoding what was decoded must be understood the same way again.
            if let Ok(again) = capture.again(&bytes) {
                assert_eq!(capture.again(&again).as_ref(), Ok(&again), "{}", capture.name);
            }
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut rng = Rng::new(2);
    let codes: Vec<i32> = (-20..120).filter(|code| class_of(*code).is_some()).collect();
    for round in 0..20_000 {
        let length = rng.below(80);
        let bytes: Vec<u8> = (0..length).map(|_| rng.likely_byte()).collect();
        let op = codes[round % codes.len()];
        let _ = Request::decode_any(op, &mut Reader::new(&bytes));
        let _ = alike::reply_body(op, &bytes);
        let _ = Txn::decode(op, &mut Reader::new(&bytes));
        let _ = LoggedTxn::decode(&bytes);
        let _ = ConnectRequest::from_bytes(&bytes);
        let _ = ConnectResponse::from_bytes(&bytes);
        let _ = WatcherEvent::from_bytes(&bytes);
        let _ = ReplyHeader::from_bytes(&bytes);
        let _ = RequestHeader::from_bytes(&bytes);
        for result in ringkeeper::wire::multi::Results::new(&bytes) {
            let _ = result;
        }
    }
}

/// A count or length that claims more than there is costs nothing: the decoder stops at the end.
#[test]
fn lying_lengths_are_an_error() {
    let huge = i32::MAX.to_be_bytes();
    let negative = (-2_i32).to_be_bytes();
    assert_eq!(Option::<&[u8]>::from_bytes(&huge), Err(DecodeError::End));
    assert_eq!(Option::<&[u8]>::from_bytes(&negative), Err(DecodeError::Length(-2)));
    assert_eq!(Option::<Text<'_>>::from_bytes(&huge), Err(DecodeError::End));
    assert_eq!(Seq::<Text<'_>>::from_bytes(&huge), Err(DecodeError::End));
    assert_eq!(Seq::<Acl<'_>>::from_bytes(&huge), Err(DecodeError::End));
    // Apache reads it as an empty vector that is not null.
    let empty = Seq::<Acl<'_>>::from_bytes(&negative).expect("Java accepts it");
    assert!(!empty.is_null());
    assert_eq!(empty.len(), 0);
    assert!(Seq::<Acl<'_>>::from_bytes(&(-1_i32).to_be_bytes()).expect("null").is_null());
}

#[test]
fn text_that_is_not_utf8_is_read_leniently() {
    let bytes = [0, 0, 0, 3, b'/', 0xff, b'a'];
    assert_eq!(Text::from_bytes(&bytes).expect("lenient"), "/\u{fffd}a");
    assert_eq!(Text::from_bytes(&[255; 4]), Err(DecodeError::Null));
    assert_eq!(Option::<Text<'_>>::from_bytes(&[255; 4]), Ok(None));
}

#[test]
fn opcodes_that_no_client_may_send_are_unknown() {
    for op in [0, 13, 20, -10, -1, 10, 23, 99, 108, 999, i32::MIN, i32::MAX] {
        let body = [0; 64];
        let result = Request::decode(op, &mut Reader::new(&body));
        assert_eq!(result, Err(DecodeError::UnknownOp(op)));
    }
}

#[test]
fn passwords_are_javas() {
    #[rustfmt::skip]
    let table: [(i64, u128); 4] = [
        (0x1,                0x054c_c74a_3732_7db2_15e7_02e2_0c73_f005),
        (0x0100_0018_a2b0_0000, 0xa247_f92f_873d_6cb5_5048_d2f0_a8f2_e215),
        // Above 0x7f in the top byte: server ids of 128 and more.
        (0xfe00_018a_2b00_000f_u64.cast_signed(), 0xc4fb_33d7_7727_3ac7_aaf1_a5ae_5034_6c96),
        (0x0100_0015_73b7_0000, 0x5b37_5814_4c85_c4a9_31d5_7f4a_7514_c62e),
    ];
    for (session, expected) in table {
        assert_eq!(password(SessionId(session)), expected.to_be_bytes(), "0x{session:x}");
    }
    for capture in golden::all() {
        if capture.op == code::CreateSession && capture.direction == Direction::Reply {
            let response = ConnectResponse::from_bytes(&capture.bytes).expect("golden");
            assert_eq!(response.password, password(response.session), "{}", capture.name);
        }
    }
}

#[test]
fn handshakes_keep_the_optional_byte_apart() {
    let new = ConnectRequest { timeout_ms: 10_000, password: Some(&[0; 16]), ..Default::default() };
    assert_eq!(new.to_bytes().len(), 44);
    for read_only in [Some(false), Some(true)] {
        let request = ConnectRequest { read_only, ..new.clone() };
        assert_eq!(request.to_bytes().len(), 45);
        assert_eq!(ConnectRequest::from_bytes(&request.to_bytes()), Ok(request));
    }
    assert_eq!(ConnectResponse::expired(None).to_bytes(), [[0; 16], [0; 16]].concat_with_length());
    assert_eq!(ConnectResponse::expired(Some(false)).to_bytes().len(), 37);
    // Any password will do for a new session; what follows the last byte is ignored.
    for password in [None, Some(&[][..]), Some(&[1; 40][..])] {
        let request = ConnectRequest { password, read_only: Some(true), ..new.clone() };
        let mut bytes = request.to_bytes();
        bytes.extend([7, 7, 7]);
        assert_eq!(ConnectRequest::from_bytes(&bytes), Ok(request));
    }
}

/// The expired form: 16 zero bytes before the password's length, 16 behind it.
trait ConcatWithLength {
    fn concat_with_length(&self) -> Vec<u8>;
}

impl ConcatWithLength for [[u8; 16]; 2] {
    fn concat_with_length(&self) -> Vec<u8> {
        [&self[0][..], &16_i32.to_be_bytes(), &self[1]].concat()
    }
}

fn header() -> TxnHeader {
    TxnHeader {
        session: SessionId(0x0100_0015_73b7_0000),
        cxid: Xid(7),
        zxid: Zxid::new(1, 4),
        time: WallTime(1_700_000_000_000),
    }
}

/// Every type of transaction, with and without nulls.
fn with_each_txn(mut check: impl FnMut(Txn<'_>)) {
    let acl = [Acl::open(), Acl::new(1, "digest", "bob:x")];
    let acl = Seq::from(&acl[..]);
    let path = || Text::Borrowed("/a");
    for data in [None, Some(&b""[..]), Some(&b"world"[..])] {
        let create = CreateTxn { path: path(), data, acl, ephemeral: true, parent_cversion: 3 };
        check(Txn::Create(create.clone()));
        check(Txn::Create2(CreateTxn { acl: Seq::NULL, ephemeral: false, ..create }));
        check(Txn::SetData(SetDataTxn { path: path(), data, version: 9 }));
        check(Txn::Reconfig(SetDataTxn { path: path(), data, version: -1 }));
        let container = CreateContainerTxn { path: path(), data, acl, parent_cversion: 1 };
        check(Txn::CreateContainer(container));
        let ttl = CreateTtlTxn { path: path(), data, acl, parent_cversion: 1, ttl: 1 << 39 };
        check(Txn::CreateTtl(ttl));
    }
    check(Txn::Delete(DeleteTxn { path: path() }));
    check(Txn::DeleteContainer(DeleteTxn { path: path() }));
    check(Txn::SetAcl(SetAclTxn { path: path(), acl, version: 2 }));
    check(Txn::CreateSession(CreateSessionTxn { timeout_ms: 4000 }));
    check(Txn::CloseSession(CloseSessionTxn { paths: None }));
    for paths in [Seq::EMPTY, Seq::from(&[path(), path()][..])] {
        check(Txn::CloseSession(CloseSessionTxn { paths: Some(paths) }));
    }
    check(Txn::Error(ErrorTxn { err: -101 }));
    let checked = CheckTxn { path: path(), version: 1 }.to_bytes();
    let deleted = DeleteTxn { path: path() }.to_bytes();
    let error = ErrorTxn { err: -2 }.to_bytes();
    let parts = [
        SubTxn { kind: kind::Check, data: Some(&checked) },
        SubTxn { kind: kind::Delete, data: Some(&deleted) },
        SubTxn { kind: kind::Error, data: Some(&error) },
    ];
    for parts in [&parts[..], &parts[..2], &[]] {
        check(Txn::Multi(MultiTxn { parts: Seq::from(parts) }));
    }
}

#[test]
fn logged_transactions_survive_the_log_and_no_cut() {
    with_each_txn(|txn| {
        for digest in [None, Some(1_371_985_504), Some(-1)] {
            let logged = LoggedTxn { header: header(), txn: txn.clone(), digest };
            let mut bytes = Vec::new();
            logged.encode(&mut bytes);
            assert_eq!(LoggedTxn::decode(&bytes).as_ref(), Ok(&logged));
            for length in 0..bytes.len() {
                let cut = LoggedTxn::decode(&bytes[..length]);
                assert_ne!(cut.as_ref(), Ok(&logged), "{txn:?} cut at {length}");
                // A cut digest is a missing one, as for Java; a cut record is an error, unless it
                // is one of the old forms, which end earlier.
                let whole = bytes.len() - if digest.is_some() { 12 } else { 0 };
                let bare = Txn::CloseSession(CloseSessionTxn { paths: None });
                if txn == bare && length > whole {
                    continue;
                }
                let old = matches!(txn, Txn::CloseSession(_) if length == 32)
                    || matches!(txn, Txn::Create(_) | Txn::Create2(_) if length == whole - 4);
                // Twelve bytes that begin as a list of two are a digest without a list.
                if length == 44 && matches!(txn, Txn::CloseSession(_)) {
                    continue;
                }
                assert_eq!(cut.is_ok(), length >= whole || old, "{txn:?} cut at {length}");
            }
        }
    });
}

/// Bytes as Apache's servers were seen to write them (quorum-and-disk section 15).
#[test]
fn logged_transactions_have_the_sizes_of_apaches() {
    let size = |txn, digest| {
        let mut bytes = Vec::new();
        LoggedTxn { header: header(), txn, digest }.encode(&mut bytes);
        bytes.len()
    };
    assert_eq!(size(Txn::CreateSession(CreateSessionTxn { timeout_ms: 1 }), Some(0)), 48);
    assert_eq!(size(Txn::Error(ErrorTxn { err: -101 }), None), 36);
}

#[test]
fn old_forms_of_logs_are_understood() {
    // A create without the parent's counter.
    let create = CreateTxn { path: Text::Borrowed("/a"), parent_cversion: 5, ..Default::default() };
    let mut bytes = Vec::new();
    let logged = LoggedTxn { header: header(), txn: Txn::Create(create.clone()), digest: None };
    logged.encode(&mut bytes);
    bytes.truncate(bytes.len() - 4);
    let old = LoggedTxn::decode(&bytes).expect("an old log");
    assert_eq!(old.txn, Txn::Create(CreateTxn { parent_cversion: -1, ..create }));

    // A closeSession without a list, with and without a digest behind it.
    let mut bytes = Vec::new();
    header().encode(kind::CloseSession, &mut Writer::new(&mut bytes));
    let none = Txn::CloseSession(CloseSessionTxn { paths: None });
    let bare = LoggedTxn::decode(&bytes).expect("an old log");
    assert_eq!((&bare.txn, bare.digest), (&none, None));
    bytes.extend(2_i32.to_be_bytes());
    bytes.extend(77_i64.to_be_bytes());
    let with_digest = LoggedTxn::decode(&bytes).expect("a log without lists");
    assert_eq!((&with_digest.txn, with_digest.digest), (&none, Some(77)));

    // A digest of another kind says nothing.
    let mut bytes = Vec::new();
    let error = Txn::Error(ErrorTxn { err: -101 });
    LoggedTxn { header: header(), txn: error.clone(), digest: None }.encode(&mut bytes);
    bytes.extend(3_i32.to_be_bytes());
    bytes.extend(77_i64.to_be_bytes());
    let other = LoggedTxn::decode(&bytes).expect("a log of a later version");
    assert_eq!((&other.txn, other.digest), (&error, None));
}

#[test]
fn what_no_log_may_hold_is_refused() {
    let with_kind = |kind: i32| {
        let mut bytes = Vec::new();
        header().encode(kind, &mut Writer::new(&mut bytes));
        bytes.extend([0; 40]);
        bytes
    };
    for kind in [0, 3, 13, 22, 100, 999] {
        let bytes = with_kind(kind);
        assert_eq!(LoggedTxn::decode(&bytes), Err(DecodeError::UnknownTxn(kind)));
    }
    // A multi in a multi, and a part whose record is cut.
    for part in [
        SubTxn { kind: kind::Multi, data: Some(&[0; 4]) },
        SubTxn { kind: kind::Delete, data: Some(&[0, 0, 0, 9, b'/']) },
        SubTxn { kind: kind::Delete, data: None },
    ] {
        let bytes = Seq::from(&[part][..]).to_bytes();
        assert!(MultiTxn::from_bytes(&bytes).is_err());
    }
}

/// Three frames and a part of one, given in two pieces cut anywhere, in single bytes, and stashed.
#[test]
fn frames_come_out_whole_however_the_stream_is_cut() {
    let stream: Vec<u8> =
        [&[0, 0, 0, 1, 11][..], &[0, 0, 0, 0], &[0, 0, 0, 5, 1, 2, 3, 4, 5], &[0, 0, 0, 3, 9, 9]]
            .concat();
    let expected: [&[u8]; 3] = [&[11], &[], &[1, 2, 3, 4, 5]];

    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let mut frames = Frames::new(5);
            let mut found = Vec::new();
            for piece in [&stream[..first], &stream[first..second], &stream[second..]] {
                let mut rest = piece;
                while let Some(frame) = frames.next(&mut rest).expect("lengths are fine") {
                    found.push(frame.to_vec());
                }
                assert!(rest.is_empty());
            }
            assert_eq!(found, expected, "cut at {first} and {second}");
            assert_eq!(frames.held(), 6);
        }
    }

    let mut frames = Frames::new(5);
    assert_eq!(frames.peek(&stream[..3]), None);
    for byte in &stream[..stream.len() - 2] {
        frames.stash(&[*byte]);
    }
    assert_eq!(frames.peek(&[]), Some([0, 0, 0, 1]));
    for frame in expected {
        assert_eq!(frames.next(&mut &[][..]), Ok(Some(frame)));
    }
    let mut rest = &[9, 9, 9, 0][..];
    assert_eq!(frames.next(&mut rest), Ok(Some(&[9, 9, 9][..])));
    assert_eq!(rest, [0]);
    assert_eq!(frames.next(&mut rest), Ok(None));
}

#[test]
fn lengths_out_of_range_end_the_stream() {
    for length in [-1, 6, i32::MIN, i32::MAX, i32::from_be_bytes(*b"ruok")] {
        let bytes = length.to_be_bytes();
        assert!(Frames::new(5).next(&mut &bytes[..]).is_err(), "{length}");
        let mut frames = Frames::new(5);
        assert_eq!(frames.next(&mut &bytes[..3]), Ok(None));
        assert!(frames.next(&mut &bytes[3..]).is_err(), "{length} in pieces");
    }
    let mut frames = Frames::new(6);
    assert_eq!(frames.next(&mut &[0, 0, 0, 6, 1][..]), Ok(None));
    assert_eq!(frames.held(), 5, "memory follows what arrived, not what was announced");
}
