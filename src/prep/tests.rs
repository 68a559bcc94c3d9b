//! Which error comes first, and that what is pending is what will be committed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::*;
use crate::tree::OwnerKind::{Container, Persistent, Ttl};
use crate::tree::{Changes, Config as TreeConfig, HashKey};
use crate::types::{ConnId, SessionId, ShardId, Xid};
use crate::wire::multi::{MultiRequest, encode_operations};
use crate::wire::request::{
    CheckVersionRequest, CreateRequest, CreateSessionRequest, CreateTtlRequest,
    DeleteContainerRequest, DeleteRequest, Empty, ReconfigRequest, SetAclRequest, SetDataRequest,
};
use crate::wire::stat::perms::{ALL, CREATE, READ};
use crate::wire::stat::{Acl, AclList};
use crate::wire::submission::Identity;
use crate::wire::txn::{LoggedTxn, Txn};
use crate::wire::{Seq, Text};

const SESSION: SessionId = SessionId(0x100);
const OPEN: &[Acl<'static>] = &[Acl::open()];
const READ_ONLY: &[Acl<'static>] = &[Acl::new(READ, "world", "anyone")];
const NOTHING: &[Acl<'static>] = &[Acl::new(0, "world", "anyone")];
const BAD: &[Acl<'static>] = &[Acl::new(ALL, "nobody", "knows")];

/// One leader: requests go in, commits follow when the test says so.
struct World {
    tree: Tree,
    pending: Pending,
    config: Config,
    identities: Arc<[Identity]>,
    session: SessionId,
    zxid: Zxid,
    outstanding: VecDeque<Vec<u8>>,
}

impl World {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let tree_config = TreeConfig { owners: config.owners, digest: config.digest };
        Self {
            tree: Tree::new(tree_config, HashKey([1, 2])),
            pending: Pending::default(),
            config,
            identities: Arc::from([Identity::new("ip", "127.0.0.1")]),
            session: SESSION,
            zxid: Zxid::ZERO,
            outstanding: VecDeque::new(),
        }
    }

    fn plain() -> Self {
        Self::new(|_| {})
    }

    fn with_types() -> Self {
        Self::new(|config| config.owners.extended_types = true)
    }

    fn ask(&mut self, request: &Request<'_>) -> Prepared {
        let mut body = Vec::new();
        request.encode(&mut Writer::new(&mut body));
        self.ask_bytes(request.code(), &body)
    }

    fn ask_bytes(&mut self, op: i32, body: &[u8]) -> Prepared {
        self.zxid = self.zxid.next();
        let submission = Submission {
            session: self.session,
            shard: ShardId(0),
            conn: ConnId::NONE,
            xid: Xid(7),
            op,
            body,
            identities: &self.identities,
        };
        let view = View { tree: &self.tree, config: &self.config };
        let wall = WallTime(1000 + self.zxid.0);
        let mut out = b"before".to_vec();
        let prepared = prepare(&view, &mut self.pending, &submission, self.zxid, wall, &mut out);
        assert!(out.starts_with(b"before"));
        self.outstanding.push_back(out.split_off(6));
        prepared
    }

    /// The error, or `Ok`; commits at once.
    fn error(&mut self, request: &Request<'_>) -> ErrorCode {
        let prepared = self.ask(request);
        self.commit(usize::MAX);
        match prepared {
            Prepared::Accepted => ErrorCode::Ok,
            Prepared::Refused(error) => error,
        }
    }

    fn commit(&mut self, count: usize) {
        for _ in 0..count {
            let Some(payload) = self.outstanding.pop_front() else { break };
            let logged = LoggedTxn::decode(&payload).expect("prep encodes transactions");
            let is_error = matches!(logged.txn, Txn::Error(_));
            assert_eq!(logged.digest.is_some(), self.config.digest && !is_error);
            let (mut placed, mut changes) = (Vec::new(), Changes::default());
            let refused = self.tree.apply(&logged.header, &logged.txn, &mut placed, &mut changes);
            if !matches!(logged.txn, Txn::Error(_) | Txn::Multi(_)) {
                assert_eq!(refused, ErrorCode::Ok, "{:?}", logged.txn);
            }
            if let Some(digest) = logged.digest {
                assert_eq!(digest, self.tree.digest(), "{:?}", logged.txn);
            }
            self.pending.retire(logged.header.zxid);
        }
    }

    fn last_txn(&self) -> LoggedTxn<'_> {
        LoggedTxn::decode(self.outstanding.back().expect("one is outstanding")).expect("a txn")
    }

    /// The path of the last create that was prepared.
    fn last_path(&self) -> String {
        match self.last_txn().txn {
            Txn::Create(create) | Txn::Create2(create) => create.path.into_owned(),
            Txn::CreateContainer(create) => create.path.into_owned(),
            Txn::CreateTtl(create) => create.path.into_owned(),
            other => panic!("no create: {other:?}"),
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "fields are optional")]
fn some(path: &str) -> Option<Text<'_>> {
    Some(Text::Borrowed(path))
}

fn create_body<'a>(path: &'a str, flags: i32, acl: &'a [Acl<'a>]) -> CreateRequest<'a> {
    CreateRequest { path: some(path), data: Some(b"x"), acl: Seq::from(acl), flags }
}

fn create(path: &str, flags: i32) -> Request<'_> {
    Request::Create(create_body(path, flags, OPEN))
}

fn create_ttl(path: &str, flags: i32, ttl: i64) -> Request<'_> {
    let CreateRequest { path, data, acl, flags } = create_body(path, flags, OPEN);
    Request::CreateTtl(CreateTtlRequest { path, data, acl, flags, ttl })
}

fn delete(path: &str, version: i32) -> Request<'_> {
    Request::Delete(DeleteRequest { path: some(path), version })
}

fn set<'a>(path: &'a str, data: &'a str, version: i32) -> Request<'a> {
    Request::SetData(SetDataRequest { path: some(path), data: Some(data.as_bytes()), version })
}

fn set_acl<'a>(path: &'a str, acl: &'a [Acl<'a>], version: i32) -> Request<'a> {
    Request::SetAcl(SetAclRequest { path: some(path), acl: Seq::from(acl), version })
}

fn check(path: &str, version: i32) -> Request<'_> {
    Request::Check(CheckVersionRequest { path: some(path), version })
}

fn multi_bytes(parts: &[Request<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_operations(parts.iter().cloned(), &mut Writer::new(&mut bytes));
    bytes
}

/// `/locked` that nobody may do anything with, `/eph` an ephemeral, `/full` with a child.
fn furnished(mut world: World) -> World {
    for request in [
        Request::Create(create_body("/locked", 0, NOTHING)),
        create("/eph", 1),
        create("/full", 0),
        create("/full/child", 0),
    ] {
        assert_eq!(world.error(&request), ErrorCode::Ok);
    }
    world
}

/// Each row breaks the rule that it names and every later one that can be broken with it.
#[test]
fn create_finds_errors_in_the_order_of_apache() {
    use ErrorCode::{
        BadArguments, InvalidAcl, MarshallingError, NoAuth, NoChildrenForEphemerals, NoNode,
        NodeExists, Ok, Unimplemented,
    };
    let mut world = furnished(World::plain());
    let body = create_body;
    let null_path = CreateRequest { path: None, ..body("", 0, BAD) };
    let null_flags = CreateRequest { path: None, ..body("", 9, BAD) };
    let null_list = CreateRequest { acl: AclList::NULL, ..body("/missing/x", 0, BAD) };
    #[rustfmt::skip]
    let table = [
        ("flags before null path",     Request::Create(null_flags),                    BadArguments),
        ("TTL flags without TTLs",     Request::Create(body("nowhere", 5, BAD)),       Unimplemented),
        ("TTL flags of createTTL",     create_ttl("nowhere", 6, 0),                    Unimplemented),
        ("negative flags",             Request::Create(body("nowhere", -1, BAD)),      BadArguments),
        ("a TTL without TTL flags",    create_ttl("/a", 0, 5),                         BadArguments),
        ("createTTL that is none",     create_ttl("/a", 0, -1),                        BadArguments),
        ("null path before the list",  Request::Create(null_path),                     MarshallingError),
        ("no slash before the list",   Request::Create(body("nowhere", 0, BAD)),       BadArguments),
        ("NUL before the list",        Request::Create(body("/a\0", 0, BAD)),          BadArguments),
        ("empty path",                 Request::Create(body("", 0, BAD)),              BadArguments),
        ("list before parent",         Request::Create(body("/missing/x", 0, BAD)),    InvalidAcl),
        ("null list",                  Request::Create(null_list),                     InvalidAcl),
        ("empty list",                 Request::Create(body("/missing/x", 0, &[])),    InvalidAcl),
        ("parent before its form",     create("/missing//x", 0),                       NoNode),
        ("a parent without slash",     create("a/b", 0),                               NoNode),
        ("double slash, no such",      create("/full//b", 0),                          NoNode),
        ("permission before form",     create("/locked/.", 0),                         NoAuth),
        ("permission before existing", create("/locked/x", 0),                         NoAuth),
        ("form before existing",       create("/full/..", 0),                          BadArguments),
        ("ends with a slash",          create("/full/", 0),                            BadArguments),
        ("double slash at the root",   create("//x", 0),                               BadArguments),
        ("U+FFFD",                     create("/a\u{fffd}", 0),                        BadArguments),
        ("the root is there",          create("/", 0),                                 NodeExists),
        ("existing",                   create("/full", 0),                             NodeExists),
        ("below an ephemeral",         create("/eph/x", 0),                            NoChildrenForEphemerals),
        ("what ends Apache's servers", create("/zookeeper/quota/zookeeper_limits", 0), BadArguments),
        ("all is well",                create("/ok", 0),                               Ok),
        ("flags of a container",       create("/also", 4),                             Ok),
    ];
    for (what, request, expected) in table {
        assert_eq!(world.error(&request), expected, "{what}");
    }
    // With them, createTTL has rules of its own.
    let mut world = furnished(World::with_types());
    #[rustfmt::skip]
    let table = [
        ("TTL flags, no TTL",  Request::Create(body("nowhere", 5, BAD)), BadArguments),
        ("TTL of 0",           create_ttl("/a", 5, 0),                   BadArguments),
        ("TTL below 0",        create_ttl("/a", 5, -1),                  BadArguments),
        ("TTL too long",       create_ttl("/a", 6, 1 << 40),             BadArguments),
        ("the longest TTL",    create_ttl("/a", 5, (1 << 40) - 1),       Ok),
        ("below a TTL znode",  create("/a/b", 0),                        Ok),
    ];
    for (what, request, expected) in table {
        assert_eq!(world.error(&request), expected, "{what}");
    }
}

#[test]
fn deletes_find_errors_in_the_order_of_apache() {
    use ErrorCode::{BadArguments, BadVersion, MarshallingError, NoAuth, NoNode, NotEmpty, Ok};
    let mut world = furnished(World::plain());
    let below = Request::Create(create_body("/locked/x", 0, OPEN));
    world.config.auth.skip_acl = true;
    assert_eq!(world.error(&below), Ok);
    world.config.auth.skip_acl = false;
    let null = Request::Delete(DeleteRequest { path: None, version: 0 });
    let reap = |path: &'static str| {
        Request::DeleteContainer(DeleteContainerRequest { path: Some(path.as_bytes()) })
    };
    #[rustfmt::skip]
    let table = [
        ("null",                         null,                              MarshallingError),
        ("no slash",                     delete("nowhere", 5),              BadArguments),
        ("NUL",                          delete("/a\0", 5),                 BadArguments),
        ("the root",                     delete("/", 5),                    BadArguments),
        ("/zookeeper",                   delete("/zookeeper", 5),           BadArguments),
        ("quota",                        delete("/zookeeper/quota", 5),     BadArguments),
        ("config",                       delete("/zookeeper/config", 5),    BadArguments),
        ("parent",                       delete("/missing/x", 5),           NoNode),
        ("permission before the znode",  delete("/locked/missing", 5),      NoAuth),
        ("permission",                   delete("/locked/x", 5),            NoAuth),
        ("the znode",                    delete("/full/missing", 5),        NoNode),
        ("paths are not validated",      delete("/full/", 5),               NoNode),
        ("version before children",      delete("/full", 5),                BadVersion),
        ("a version below -1 is one",    delete("/full", -2),               BadVersion),
        ("children",                     delete("/full", -1),               NotEmpty),
        ("all is well",                  delete("/full/child", 0),          Ok),
        ("now without children",         delete("/full", 0),                Ok),
        ("reaper: special",              reap("/zookeeper/quota"),          BadArguments),
        ("reaper: missing",              reap("/missing/x"),                NoNode),
        ("reaper: children",             reap("/locked"),                   NotEmpty),
        ("reaper: ephemeral",            reap("/eph"),                      BadVersion),
        ("reaper: no permission asked",  reap("/locked/x"),                 Ok),
    ];
    for (what, request, expected) in table {
        assert_eq!(world.error(&request), expected, "{what}");
    }
}

#[test]
fn writes_find_errors_in_the_order_of_apache() {
    use ErrorCode::{BadArguments, BadVersion, InvalidAcl, NoAuth, NoNode, Ok};
    let mut world = furnished(World::plain());
    let null = Request::SetData(SetDataRequest::default());
    let null_acl = Request::SetAcl(SetAclRequest { path: None, ..SetAclRequest::default() });
    #[rustfmt::skip]
    let table = [
        ("null",                         null,                              BadArguments),
        ("form",                         set("/missing/", "", 5),           BadArguments),
        ("missing",                      set("/missing", "", 5),            NoNode),
        ("permission before version",    set("/locked", "", 5),             NoAuth),
        ("version",                      set("/full", "", 5),               BadVersion),
        ("below -1",                     set("/full", "", -2),              BadVersion),
        ("any version",                  set("/full", "", -1),              Ok),
        ("the version it has",           set("/full", "", 1),               Ok),
        ("the root",                     set("/", "", 0),                   Ok),
        ("no reader's znode",            set("/zookeeper/config", "", -1),  NoAuth),
        ("ACL: null",                    null_acl,                          BadArguments),
        ("ACL: form before list",        set_acl("/missing/", BAD, 5),      BadArguments),
        ("ACL: list before missing",     set_acl("/missing", BAD, 5),       InvalidAcl),
        ("ACL: missing",                 set_acl("/missing", OPEN, 5),      NoNode),
        ("ACL: permission",              set_acl("/locked", OPEN, 5),       NoAuth),
        ("ACL: its own version",         set_acl("/full", OPEN, 2),         BadVersion),
        ("ACL: its own version",         set_acl("/full", READ_ONLY, 0),    Ok),
        ("ACL: now it is locked",        set_acl("/full", OPEN, -1),        NoAuth),
    ];
    for (what, request, expected) in table {
        assert_eq!(world.error(&request), expected, "{what}");
    }
    assert_eq!(world.error(&Request::CloseSession(Empty {})), Ok);
    assert_eq!(
        world.error(&Request::Reconfig(ReconfigRequest::default())),
        ErrorCode::ReconfigDisabled
    );
    world.config.reconfig = true;
    assert_eq!(
        world.error(&Request::Reconfig(ReconfigRequest::default())),
        ErrorCode::Unimplemented
    );
    // A body that no front lets through, and an operation that makes no transaction.
    assert_eq!(world.ask_bytes(1, &[0, 0]), Prepared::Refused(ErrorCode::MarshallingError));
    assert_eq!(world.ask_bytes(11, &[]), Prepared::Refused(ErrorCode::Unimplemented));
}

#[test]
fn checks_find_errors_in_the_order_of_apache() {
    use ErrorCode::{BadArguments, BadVersion, NoAuth, NoNode, Ok};
    let mut world = furnished(World::plain());
    #[rustfmt::skip]
    let table = [
        ("form",                      check("/missing/", 5), BadArguments),
        ("missing",                   check("/missing", 5),  NoNode),
        ("permission before version", check("/locked", 5),   NoAuth),
        ("version",                   check("/full", 5),     BadVersion),
        ("all is well",               check("/full", 0),     Ok),
    ];
    for (what, request, expected) in table {
        let bytes = multi_bytes(&[request]);
        let prepared = world.ask_bytes(14, &bytes);
        let expected = match expected {
            Ok => Prepared::Accepted,
            error => Prepared::Refused(error),
        };
        assert_eq!(prepared, expected, "{what}");
    }
    world.commit(usize::MAX);
}

#[test]
fn sequence_numbers_count_what_is_pending_and_not_what_was_refused() {
    let mut world = furnished(World::plain());
    let mut paths = Vec::new();
    for path in ["/full/s-", "/full/", "/full/s-"] {
        assert_eq!(world.ask(&create(path, 2)), Prepared::Accepted);
        paths.push(world.last_path());
    }
    assert_eq!(world.ask(&create("/full/child", 0)), Prepared::Refused(ErrorCode::NodeExists));
    assert_eq!(world.ask(&delete(&paths[0], -1)), Prepared::Accepted);
    assert_eq!(world.ask(&create("/full/plain", 0)), Prepared::Accepted);
    assert_eq!(world.ask(&create("/full/s-", 3)), Prepared::Accepted);
    paths.push(world.last_path());
    assert_eq!(
        paths,
        ["/full/s-0000000001", "/full/0000000002", "/full/s-0000000003", "/full/s-0000000005"]
    );
    world.commit(usize::MAX);
    assert_eq!(world.ask(&create("/", 2)), Prepared::Accepted);
    assert_eq!(world.last_path(), "/0000000003");
    world.commit(usize::MAX);
    world.tree.check_all();
}

#[test]
fn a_failed_multi_leaves_nothing_behind() {
    let mut world = furnished(World::plain());
    assert_eq!(world.ask(&create("/full/s-", 2)), Prepared::Accepted);
    let digest = world.pending.digest();
    let parts = [
        create("/full/s-", 2),
        create("/full/new", 0),
        create("/full/new/child", 1),
        set("/full", "changed", 0),
        set_acl("/full", NOTHING, -1),
        delete("/eph", -1),
    ];
    // setACL cannot be in a multi; the rest can.
    let parts: Vec<_> = parts.into_iter().filter(|part| part.code() != 7).collect();
    let failing: Vec<_> =
        parts.iter().cloned().chain([delete("/nothing", 0), delete("/x", 0)]).collect();
    let bytes = multi_bytes(&failing);
    assert_eq!(world.ask_bytes(14, &bytes), Prepared::Refused(ErrorCode::NoNode));
    let Txn::Multi(multi) = world.last_txn().txn else { panic!("a multi stays one") };
    let kinds: Vec<_> = multi.iter().map(|part| part.kind()).collect();
    assert_eq!(kinds, [1, 1, 1, 5, 2, -1, -1]);
    assert_eq!(multi.failure(), Some((5, -101)));
    assert_eq!(world.pending.digest(), digest);
    assert_eq!(world.last_txn().digest, Some(digest));

    // As if it had never been: numbers, versions, ephemerals.
    let bytes = multi_bytes(&parts);
    assert_eq!(world.ask_bytes(14, &bytes), Prepared::Accepted);
    let Txn::Multi(multi) = world.last_txn().txn else { panic!("a multi stays one") };
    let Some(Txn::Create(first)) = multi.iter().next() else { panic!("a create") };
    assert_eq!(first.path, "/full/s-0000000002");
    world.commit(usize::MAX);
    world.tree.check_all();
    assert!(world.pending.is_empty());

    // A null id is no error of a part: the whole is refused, and nothing of it is pending.
    let null_id = [Acl { id: None, ..Acl::new(ALL, "digest", "") }];
    let bytes = multi_bytes(&[create("/y", 0), Request::Create(create_body("/z", 0, &null_id))]);
    assert!(MultiRequest::from_bytes(&bytes).is_ok());
    assert_eq!(world.ask_bytes(14, &bytes), Prepared::Refused(ErrorCode::MarshallingError));
    assert!(matches!(world.last_txn().txn, Txn::Error(_)));
    assert!(world.pending.is_empty());
    let null_path = Request::SetData(SetDataRequest::default());
    let bytes = multi_bytes(&[create("/y", 0), delete("/nothing", -1), null_path]);
    assert_eq!(world.ask_bytes(14, &bytes), Prepared::Refused(ErrorCode::MarshallingError));
    assert!(world.pending.is_empty());
    assert_eq!(world.ask_bytes(14, &multi_bytes(&[])), Prepared::Accepted);
    world.commit(usize::MAX);
}

#[test]
fn closing_a_session_takes_what_it_will_own() {
    let mut world = World::plain();
    for path in ["/kept", "/gone", "/again", "/stolen"] {
        assert_eq!(world.error(&create(path, 1)), ErrorCode::Ok);
    }
    for request in [
        delete("/gone", -1),
        delete("/again", -1),
        create("/again", 1),
        create("/new", 1),
        create("/brief", 1),
        delete("/brief", -1),
        create("/plain", 0),
        set("/kept", "still its own", -1),
        delete("/stolen", -1),
    ] {
        assert_eq!(world.ask(&request), Prepared::Accepted);
    }
    world.session = SessionId(0x200);
    assert_eq!(world.ask(&create("/stolen", 1)), Prepared::Accepted);
    world.session = SESSION;
    for committed in [0, 3, 100] {
        world.commit(committed);
        assert_eq!(world.ask(&Request::CloseSession(Empty {})), Prepared::Accepted);
        let Txn::CloseSession(close) = world.last_txn().txn else { panic!("a closeSession") };
        let paths: Vec<_> = close.paths.expect("it lists").iter().collect();
        let expected: &[&str] = if committed == 0 { &["/again", "/kept", "/new"] } else { &[] };
        assert_eq!(paths, expected, "the second has nothing left to close");
    }
    world.commit(usize::MAX);
    world.tree.check_all();
    assert!(world.tree.find("/stolen").is_some());
    assert!(world.tree.find("/plain").is_some());
    assert_eq!(world.tree.ephemerals(SESSION).count(), 0);
}

#[test]
fn a_session_is_closed_without_a_list_if_old_peers_want_that() {
    let mut world = World::new(|config| config.close_session_lists = false);
    let open = Request::CreateSession(CreateSessionRequest { timeout_ms: 4000 });
    assert_eq!(world.error(&open), ErrorCode::Ok);
    assert_eq!(world.error(&create("/eph", 1)), ErrorCode::Ok);
    assert_eq!(world.ask(&Request::CloseSession(Empty {})), Prepared::Accepted);
    let Txn::CloseSession(close) = world.last_txn().txn else { panic!("a closeSession") };
    assert!(close.paths.is_none());
    world.commit(usize::MAX);
    assert!(world.tree.find("/eph").is_none());
}

/// Quotas are compared with what is committed (client-protocol section 10).
#[test]
fn hard_quotas_refuse_and_soft_ones_do_not() {
    let mut world = World::new(|config| config.enforce_quota = true);
    let limits = |text: &'static str| {
        let body = create_body("/zookeeper/quota/q/zookeeper_limits", 0, OPEN);
        Request::Create(CreateRequest { data: Some(text.as_bytes()), ..body })
    };
    for request in [
        create("/q", 0),
        create("/zookeeper/quota/q", 0),
        limits("count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3"),
        create("/zookeeper/quota/q/zookeeper_stats", 0),
        create("/q/1", 0),
        create("/q/2", 0),
    ] {
        assert_eq!(world.error(&request), ErrorCode::Ok);
    }
    #[rustfmt::skip]
    let table = [
        ("one too many",            create("/q/3", 0),               ErrorCode::QuotaExceeded),
        ("too long, wrong version", set("/q/1", "123456789", 7),     ErrorCode::QuotaExceeded),
        ("exactly the limit",       set("/q/1", "12345678", 0),      ErrorCode::Ok),
        ("elsewhere",               create("/r", 0),                 ErrorCode::Ok),
        ("a null usage",  Request::SetData(SetDataRequest {
            path: some("/zookeeper/quota/q/zookeeper_stats"), data: None, version: -1 }),
                                                                     ErrorCode::BadArguments),
        ("an unreadable usage", set("/zookeeper/quota/q/zookeeper_stats", "x", -1),
                                                                     ErrorCode::BadArguments),
        ("a readable one",  set("/zookeeper/quota/q/zookeeper_stats", "count=1,bytes=1", -1),
                                                                     ErrorCode::Ok),
        ("by which there is room",  create("/q/3", 0),               ErrorCode::Ok),
        ("a soft one", set("/zookeeper/quota/q/zookeeper_limits", "count=1,bytes=1", -1),
                                                                     ErrorCode::Ok),
        ("only warns",              create("/q/4", 0),               ErrorCode::Ok),
    ];
    for (what, request, expected) in table {
        assert_eq!(world.error(&request), expected, "{what}");
    }
    world.config.enforce_quota = false;
    assert_eq!(world.error(&create("/q/5", 0)), ErrorCode::Ok);
}

#[test]
fn permissions_are_those_that_will_be() {
    let mut world = World::plain();
    let bob = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=";
    let bobs = [Acl::new(ALL, "digest", bob), Acl::new(CREATE, "world", "anyone")];
    assert_eq!(world.ask(&Request::Create(create_body("/b", 0, &bobs))), Prepared::Accepted);
    assert_eq!(world.ask(&set("/b", "", -1)), Prepared::Refused(ErrorCode::NoAuth));
    assert_eq!(world.ask(&create("/b/child", 0)), Prepared::Accepted);
    assert_eq!(world.ask(&delete("/b/child", -1)), Prepared::Refused(ErrorCode::NoAuth));
    world.identities = Arc::from([Identity::new("ip", "::1"), Identity::new("digest", bob)]);
    assert_eq!(world.ask(&set("/b", "", -1)), Prepared::Accepted);
    assert_eq!(world.ask(&set_acl("/b", OPEN, 0)), Prepared::Accepted);
    world.identities = Arc::from([]);
    assert_eq!(world.ask(&set("/b", "", 1)), Prepared::Accepted);
    world.commit(usize::MAX);
    assert_eq!(world.ask(&set("/b", "", 2)), Prepared::Accepted);
    world.commit(usize::MAX);
    world.tree.check_all();
}

#[test]
fn containers_and_ttls_are_made_by_the_opcode() {
    let mut world = World::with_types();
    let body = |path, flags| create_body(path, flags, OPEN);
    assert_eq!(world.error(&Request::CreateContainer(body("/c0", 0))), ErrorCode::Ok);
    assert_eq!(world.error(&Request::CreateContainer(body("/c1", 1))), ErrorCode::Ok);
    assert_eq!(world.ask(&Request::CreateContainer(body("/c", 2))), Prepared::Accepted);
    assert_eq!(world.last_path(), "/c0000000002");
    world.commit(1);
    assert_eq!(world.error(&Request::Create(body("/plain", 4))), ErrorCode::Ok);
    assert_eq!(world.ask(&create_ttl("/t", 6, 1000)), Prepared::Accepted);
    assert_eq!(world.last_path(), "/t0000000004");
    world.commit(1);
    let kind = |path: &str| world.tree.owner_kind(world.tree.find(path).expect(path));

    assert_eq!([kind("/c0"), kind("/c1"), kind("/c0000000002")], [Container; 3]);
    assert_eq!(kind("/plain"), Persistent);
    assert_eq!(kind("/t0000000004"), Ttl(1000));
    // Both may have children.
    assert_eq!(world.error(&create("/c0/x", 1)), ErrorCode::Ok);
    assert_eq!(world.error(&create("/t0000000004/x", 0)), ErrorCode::Ok);
}

/// Noise, as a client might make it.
fn random_request(rng: &mut impl FnMut(usize) -> usize) -> (i32, Vec<u8>) {
    const PATHS: [&str; 9] =
        ["/", "/a", "/b", "/a/x", "/a/y", "/a/x/z", "/b/", "/zookeeper/quota", "/zookeeper"];
    fn part(rng: &mut impl FnMut(usize) -> usize) -> Request<'static> {
        let path = PATHS[rng(PATHS.len())];
        let version = [-1, -1, -1, 0, 1][rng(5)];
        let acl = [OPEN, OPEN, OPEN, READ_ONLY, NOTHING, BAD][rng(6)];
        let flags = [0, 0, 0, 1, 1, 2, 3, 4, 5, 9][rng(10)];
        let data = ["", "x", "some data"][rng(3)];
        let body = create_body(path, flags, acl);
        match rng(14) {
            0..4 => Request::Create(body),
            4 => Request::Create2(body),
            5 => Request::CreateContainer(body),
            6 => create_ttl(path, 5, 1000),
            7..10 => delete(path, version),
            10..13 => set(path, data, version),
            _ => check(path, version),
        }
    }
    let request = match rng(12) {
        0 => Request::CloseSession(Empty {}),
        1 => set_acl(PATHS[rng(5)], [OPEN, OPEN, READ_ONLY][rng(3)], -1),
        2..5 => {
            let parts: Vec<_> = (0..rng(5)).map(|_| part(rng)).collect();
            return (14, multi_bytes(&parts));
        }
        _ => match part(rng) {
            Request::Check(_) => Request::CloseSession(Empty {}),
            other => other,
        },
    };
    let mut body = Vec::new();
    request.encode(&mut Writer::new(&mut body));
    (request.code(), body)
}

/// However far the commits lag behind, the transactions are the same, byte for byte: what lies
/// over the tree is what the tree becomes.
#[test]
fn what_is_pending_is_what_will_be_committed() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut rng = move |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(limit).expect("small")).expect("small")
    };
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..60 {
        let (mut prompt, mut lagging) = (World::with_types(), World::with_types());
        for _ in 0..300 {
            let session = SessionId([0x100, 0x200, 0x300][rng(3)]);
            (prompt.session, lagging.session) = (session, session);
            let (op, body) = random_request(&mut rng);
            match prompt.ask_bytes(op, &body) {
                Prepared::Accepted => accepted += 1,
                Prepared::Refused(_) => refused += 1,
            }
            lagging.ask_bytes(op, &body);
            assert_eq!(prompt.last_txn(), lagging.last_txn(), "round {round}");
            prompt.commit(usize::MAX);
            if rng(20) == 0 {
                let count = rng(lagging.outstanding.len() + 1);
                lagging.commit(count);
            }
        }
        lagging.commit(usize::MAX);
        assert!(lagging.pending.is_empty());
        lagging.tree.check_all();
        assert_eq!(prompt.tree.digest(), lagging.tree.digest());
    }
    assert!(accepted > 2000 && refused > 2000, "{accepted} accepted, {refused} refused");
}

/// What was outstanding when a leader stops leading is forgotten.
#[test]
fn nothing_is_pending_after_a_clear() {
    let mut world = World::plain();
    assert_eq!(world.ask(&create("/a", 0)), Prepared::Accepted);
    world.pending.clear();
    world.outstanding.clear();
    world.zxid = Zxid::new(1, 0);
    assert_eq!(world.ask(&set("/a", "", -1)), Prepared::Refused(ErrorCode::NoNode));
    assert_eq!(world.ask(&create("/a", 0)), Prepared::Accepted);
    world.commit(usize::MAX);
}
