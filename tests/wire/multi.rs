//! Operations in one request: which kinds come out of the list, and what makes it undecodable.

use ringkeeper::wire::jute::{DecodeError, Record, Text, Writer};
use ringkeeper::wire::multi::{
    MultiHeader, MultiReadRequest, MultiRequest, MultiResult, Results, encode_operations,
};
use ringkeeper::wire::op::{Request, code};
use ringkeeper::wire::reply::ErrorReply;
use ringkeeper::wire::request::{
    CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest, Empty, ReadRequest,
    SetDataRequest,
};
use ringkeeper::wire::{Acl, Seq};

const ACL: &[Acl<'static>] = &[Acl::open()];

fn create(flags: i32) -> CreateRequest<'static> {
    CreateRequest { path: Some(Text::Borrowed("/a")), data: None, acl: Seq::from(ACL), flags }
}

fn create_ttl(flags: i32) -> CreateTtlRequest<'static> {
    let CreateRequest { path, data, acl, flags } = create(flags);
    CreateTtlRequest { path, data, acl, flags, ttl: 1000 }
}

fn list(operations: &[Request<'static>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_operations(operations.iter().cloned(), &mut Writer::new(&mut bytes));
    bytes
}

/// Each row: opcode and flags in the list, the opcode that it is prepared as; `None`: undecodable.
#[test]
#[allow(non_upper_case_globals)] // the names of the opcodes
fn creates_become_what_opcode_and_flags_say_together() {
    use code::{Create, Create2, CreateContainer, CreateTtl};
    #[rustfmt::skip]
    let table = [
        (Create, 0, Some(Create)), (Create, 1, Some(Create)), (Create, 3, Some(Create)),
        (Create, 4, Some(CreateContainer)), (Create, 5, None), (Create, 6, None),
        (Create, 7, None), (Create, 9, None), (Create, -1, None),
        (Create2, 0, Some(Create2)), (Create2, 4, Some(CreateContainer)), (Create2, 5, None),
        (CreateContainer, 0, Some(CreateContainer)), (CreateContainer, 4, Some(CreateContainer)),
        (CreateContainer, 9, None),
        (CreateTtl, 5, Some(CreateTtl)), (CreateTtl, 6, Some(CreateTtl)),
        (CreateTtl, 0, Some(Create)), (CreateTtl, 4, Some(CreateContainer)),
        // Apache finds this one only when it prepares it.
        (CreateTtl, 9, Some(Create)),
    ];
    for (op, flags, expected) in table {
        let request = match op {
            Create => Request::Create(create(flags)),
            Create2 => Request::Create2(create(flags)),
            CreateContainer => Request::CreateContainer(create(flags)),
            _ => Request::CreateTtl(create_ttl(flags)),
        };
        let bytes = list(&[request]);
        let decoded = MultiRequest::from_bytes(&bytes);
        let found = decoded.as_ref().map(|multi| multi.iter().next().expect("one").code()).ok();
        assert_eq!(found, expected, "operation {op} with flags {flags}");
        if let Ok(multi) = decoded {
            assert_eq!(multi.to_bytes(), bytes);
        }
    }
}

#[test]
fn nulls_and_foreign_operations_make_the_whole_list_undecodable() {
    let path = || Some(Text::Borrowed("/a"));
    let good = Request::Delete(DeleteRequest { path: path(), version: -1 });
    assert_eq!(MultiRequest::from_bytes(&list(&[])).expect("an empty one is fine").len(), 0);
    assert_eq!(MultiRequest::from_bytes(&list(&[good.clone(), good.clone()])).expect("2").len(), 2);

    let null_acl = CreateRequest { acl: Seq::NULL, ..create(0) };
    let null_acl_ttl = CreateTtlRequest { acl: Seq::NULL, ..create_ttl(5) };
    let read = ReadRequest { path: Text::Borrowed("/a"), watch: false };
    let null_path = CreateRequest { path: None, ..create(0) };
    #[rustfmt::skip]
    let table = [
        ("a null ACL",               Request::Create(null_acl),                           false),
        ("a null ACL and a TTL",     Request::CreateTtl(null_acl_ttl),                    true),
        ("a null path",              Request::Create(null_path),                          true),
        ("a null path to delete",    Request::Delete(DeleteRequest::default()),           true),
        ("a null path to set",       Request::SetData(SetDataRequest::default()),         true),
        ("a null path to check",     Request::Check(CheckVersionRequest::default()),      true),
        ("a read",                   Request::GetData(read.clone()),                      false),
        ("a closeSession",           Request::CloseSession(Empty {}),                     false),
        ("a check",  Request::Check(CheckVersionRequest { path: path(), version: 0 }),    true),
    ];
    for (what, request, decodable) in table {
        let bytes = list(&[good.clone(), request]);
        let multi = MultiRequest::from_bytes(&bytes);
        assert_eq!(multi.is_ok(), decodable, "{what}");
        let null_path = multi.is_ok_and(|multi| multi.has_null_path());
        assert_eq!(null_path, what.starts_with("a null path"), "{what}");
    }

    let reads = [Request::GetData(read.clone()), Request::GetChildren(read.clone())];
    assert_eq!(MultiReadRequest::from_bytes(&list(&reads)).expect("reads").len(), 2);
    for other in [good, Request::Exists(read.clone()), Request::GetChildren2(read)] {
        assert!(MultiReadRequest::from_bytes(&list(&[other])).is_err());
    }
}

/// 100,000 operations without bytes of their own cannot be smuggled in.
#[test]
fn a_list_is_bounded() {
    let one =
        list(&[Request::Delete(DeleteRequest { path: Some(Text::Borrowed("")), version: 0 })]);
    let one = &one[..one.len() - 9];
    let mut bytes = one.repeat(ringkeeper::types::limits::MULTI_OPS_MAX);
    MultiHeader::END.encode(&mut Writer::new(&mut bytes));
    assert!(MultiRequest::from_bytes(&bytes).is_ok());
    bytes.splice(..0, one.iter().copied());
    assert_eq!(MultiRequest::from_bytes(&bytes), Err(DecodeError::TooMany));
}

/// The reply of section 12.3: three operations, the second fails.
#[test]
fn a_failed_multi_answers_as_apache_does() {
    let mut bytes = Vec::new();
    let mut out = Writer::new(&mut bytes);
    for err in [0, -101, -2] {
        MultiResult::Error(err).encode(&mut out);
    }
    MultiHeader::END.encode(&mut out);
    let expected = [
        "ffffffff000000000000000000",
        "ffffffff00ffffff9bffffff9b",
        "ffffffff00fffffffefffffffe",
        "ffffffff01ffffffff",
    ];
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected.concat());
    let results: Vec<_> = Results::new(&bytes).map(|result| result.expect("whole")).collect();
    assert_eq!(results, [0, -101, -2].map(MultiResult::Error));
    // An error's header may say something else than its body: clients take the body's.
    let mut bytes = MultiHeader { kind: -1, done: false, err: 7 }.to_bytes();
    bytes.extend(ErrorReply { err: -8 }.to_bytes());
    assert_eq!(Results::new(&bytes).next(), Some(Ok(MultiResult::Error(-8))));
    assert_eq!(Results::new(&bytes).nth(1), Some(Err(DecodeError::End)));
}
