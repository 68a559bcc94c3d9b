//! What the leader makes of requests, told in transcripts (`cases/*.txt`): commands, and below the
//! line what came out.
//!
//! `as SESSION [SCHEME:ID]…` says who asks from here on; `commit [N]` commits what is outstanding;
//! `stat PATH` shows a committed znode. Every other command is a request; what is printed is the
//! transaction that was prepared for it.

#[path = "../support/transcript.rs"]
mod transcript;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use ringkeeper::prep::{Config, Pending, Prepared, View, prepare};
use ringkeeper::tree::{Changes, Config as TreeConfig, HashKey, Tree};
use ringkeeper::types::{ConnId, SessionId, ShardId, WallTime, Xid, Zxid};
use ringkeeper::wire::multi::encode_operations;
use ringkeeper::wire::op::{Request, code};
use ringkeeper::wire::request::{
    CheckVersionRequest, CreateRequest, CreateSessionRequest, CreateTtlRequest,
    DeleteContainerRequest, DeleteRequest, Empty, ReconfigRequest, SetAclRequest, SetDataRequest,
};
use ringkeeper::wire::stat::Acl;
use ringkeeper::wire::submission::{Identity, Submission};
use ringkeeper::wire::txn::{LoggedTxn, Txn};
use ringkeeper::wire::{ErrorCode, Seq, Text, Writer};

struct World {
    tree: Tree,
    pending: Pending,
    config: Config,
    session: SessionId,
    identities: Arc<[Identity]>,
    zxid: Zxid,
    outstanding: VecDeque<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let mut config = Config::default();
        config.owners.extended_types = true;
        let tree_config = TreeConfig { owners: config.owners, digest: true };
        Self {
            tree: Tree::new(tree_config, HashKey([3, 4])),
            pending: Pending::default(),
            config,
            session: SessionId(1),
            identities: Arc::from([]),
            zxid: Zxid::ZERO,
            outstanding: VecDeque::new(),
        }
    }

    fn answer(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split(' ').collect();
        match words[0] {
            "as" => {
                self.session = SessionId(words[1].parse().expect("a session's number"));
                let identity = |word: &&str| {
                    let (scheme, id) = word.split_once(':').expect("SCHEME:ID");
                    Identity::new(scheme, id)
                };
                self.identities = words[2..].iter().map(identity).collect();
                String::new()
            }
            "config" => {
                for key in &words[1..] {
                    match *key {
                        "quota" => self.config.enforce_quota = true,
                        "reconfig" => self.config.reconfig = true,
                        "skipACL" => self.config.auth.skip_acl = true,
                        other => panic!("no such key: {other}"),
                    }
                }
                String::new()
            }
            "commit" => self.commit(words.get(1).map(|count| count.parse().expect("a number"))),
            "stat" => self.stat(words[1]),
            "multi" => {
                let parts = command["multi".len()..].trim();
                let parts: Vec<String> =
                    parts.split(" ; ").filter(|part| !part.is_empty()).map(String::from).collect();
                let mut body = Vec::new();
                for part in &parts {
                    with_request(part, |request| {
                        let mut one = Vec::new();
                        encode_operations([request], &mut Writer::new(&mut one));
                        body.extend_from_slice(&one[..one.len() - 9]);
                    });
                }
                encode_operations([], &mut Writer::new(&mut body));
                self.ask(code::Multi, &body)
            }
            _ => {
                let (mut op, mut body) = (0, Vec::new());
                with_request(command, |request| {
                    op = request.code();
                    request.encode(&mut Writer::new(&mut body));
                });
                self.ask(op, &body)
            }
        }
    }

    fn ask(&mut self, op: i32, body: &[u8]) -> String {
        self.zxid = self.zxid.next();
        let submission = Submission {
            session: self.session,
            shard: ShardId(0),
            conn: ConnId::NONE,
            xid: Xid(0),
            op,
            body,
            identities: &self.identities,
        };
        let view = View { tree: &self.tree, config: &self.config };
        let wall = WallTime(self.zxid.0 * 1000);
        let mut out = Vec::new();
        let prepared = prepare(&view, &mut self.pending, &submission, self.zxid, wall, &mut out);
        let logged = LoggedTxn::decode(&out).expect("what is prepared can be decoded");
        assert_eq!(logged.header.zxid, self.zxid);
        let text = format!("{} {}\n", self.zxid.0, describe(&logged.txn));
        let refused = matches!(prepared, Prepared::Refused(_));
        let says_error = matches!(logged.txn, Txn::Error(_))
            || matches!(&logged.txn, Txn::Multi(multi) if multi.failure().is_some());
        assert_eq!(refused, says_error);
        self.outstanding.push_back(out);
        text
    }

    fn commit(&mut self, count: Option<usize>) -> String {
        for _ in 0..count.unwrap_or(self.outstanding.len()) {
            let payload = self.outstanding.pop_front().expect("so many are outstanding");
            let logged = LoggedTxn::decode(&payload).expect("it was decoded before");
            let (mut placed, mut changes) = (Vec::new(), Changes::default());
            self.tree.apply(&logged.header, &logged.txn, &mut placed, &mut changes);
            if let Some(digest) = logged.digest {
                assert_eq!(digest, self.tree.digest(), "{:?}", logged.txn);
            }
            self.pending.retire(logged.header.zxid);
        }
        self.tree.check_all();
        assert!(!self.outstanding.is_empty() || self.pending.is_empty());
        String::new()
    }

    fn stat(&self, path: &str) -> String {
        let Some(id) = self.tree.find(path) else { return format!("{path} is not there\n") };
        let stat = self.tree.stat(id);
        let data = self.tree.data(id).map(String::from_utf8_lossy);
        let mut text = format!(
            "{path} created {} written {} children {} at {}, versions {} {} {}",
            stat.czxid.0,
            stat.mzxid.0,
            stat.num_children,
            stat.pzxid.0,
            stat.version,
            stat.cversion,
            stat.aversion
        );
        if stat.ephemeral_owner != 0 {
            write!(text, " of session {}", stat.ephemeral_owner).expect("a string");
        }
        writeln!(text, ": {}", data.as_deref().unwrap_or("null")).expect("a string");
        text
    }
}

/// `OP PATH [DATA] [key=value]…` as a request.
fn with_request(command: &str, use_it: impl FnOnce(Request<'_>)) {
    let mut words = command.split(' ');
    let name = words.next().expect("a command");
    let (plain, keys): (Vec<&str>, Vec<&str>) = words.partition(|word| !word.contains('='));
    let key = |name: &str| keys.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let number = |name: &str, default: i64| {
        key(name).map_or(default, |value| value.parse().expect("a number"))
    };
    let small = |name: &str, default| i32::try_from(number(name, default)).expect("32 bits");
    let text = |word: &&str| match *word {
        "null" => None,
        "empty" => Some(String::new()),
        word => Some(word.replace("\\0", "\0")),
    };
    let path = plain.first().and_then(text);
    let path = path.as_deref().map(Text::Borrowed);
    let data = plain.get(1).copied().or(key("data"));
    let data = data.as_ref().and_then(text);
    let data = data.as_deref().map(str::as_bytes);
    let entries: Vec<Acl<'_>> =
        key("acl").unwrap_or("31:world:anyone").split(',').filter_map(entry).collect();
    let acl = if key("acl") == Some("null") { Seq::NULL } else { Seq::from(&entries[..]) };
    let version = small("version", -1);
    let flags = small("flags", 0);
    let create = CreateRequest { path: path.clone(), data, acl, flags };
    use_it(match name {
        "create" => Request::Create(create),
        "create2" => Request::Create2(create),
        "createContainer" => Request::CreateContainer(create),
        "createTTL" => {
            Request::CreateTtl(CreateTtlRequest { path, data, acl, flags, ttl: number("ttl", -1) })
        }
        "delete" => Request::Delete(DeleteRequest { path, version }),
        "reap" => Request::DeleteContainer(DeleteContainerRequest {
            path: path.as_deref().map(str::as_bytes),
        }),
        "setData" => Request::SetData(SetDataRequest { path, data, version }),
        "setACL" => Request::SetAcl(SetAclRequest { path, acl, version }),
        "check" => Request::Check(CheckVersionRequest { path, version }),
        "openSession" => {
            Request::CreateSession(CreateSessionRequest { timeout_ms: small("timeout", 4000) })
        }
        "closeSession" => Request::CloseSession(Empty {}),
        "reconfig" => Request::Reconfig(ReconfigRequest::default()),
        other => panic!("no such command: {other}"),
    });
}

/// `PERMS:SCHEME:ID`.
fn entry(text: &str) -> Option<Acl<'_>> {
    let mut parts = text.splitn(3, ':');
    let perms = parts.next()?.parse().ok()?;
    Some(Acl::new(perms, parts.next()?, parts.next()?))
}

fn describe(txn: &Txn<'_>) -> String {
    let data = |data: Option<&[u8]>| {
        data.map_or("null".to_owned(), |data| format!("{:?}", String::from_utf8_lossy(data)))
    };
    let acl = |list: &Seq<'_, Acl<'_>>| {
        let entries: Vec<String> = list
            .iter()
            .map(|entry| format!("{}:{}:{}", entry.perms, entry.scheme(), entry.id()))
            .collect();
        entries.join(",")
    };
    match txn {
        Txn::Create(body) | Txn::Create2(body) => {
            let name = if matches!(txn, Txn::Create(_)) { "create" } else { "create2" };
            let kind = if body.ephemeral { " ephemeral" } else { "" };
            let (list, data, count) = (acl(&body.acl), data(body.data), body.parent_cversion);
            format!("{name} {}{kind} {data} {list} child {count}", body.path)
        }
        Txn::CreateContainer(body) => {
            let (list, data, count) = (acl(&body.acl), data(body.data), body.parent_cversion);
            format!("createContainer {} {data} {list} child {count}", body.path)
        }
        Txn::CreateTtl(body) => {
            let (list, data, count) = (acl(&body.acl), data(body.data), body.parent_cversion);
            format!("createTTL {} {data} {list} child {count} ttl {}", body.path, body.ttl)
        }
        Txn::Delete(body) => format!("delete {}", body.path),
        Txn::DeleteContainer(body) => format!("deleteContainer {}", body.path),
        Txn::SetData(body) => {
            format!("setData {} {} version {}", body.path, data(body.data), body.version)
        }
        Txn::Reconfig(body) => format!("reconfig {}", data(body.data)),
        Txn::SetAcl(body) => {
            format!("setACL {} {} version {}", body.path, acl(&body.acl), body.version)
        }
        Txn::Check(body) => format!("check {} version {}", body.path, body.version),
        Txn::CreateSession(body) => format!("createSession {} ms", body.timeout_ms),
        Txn::CloseSession(body) => {
            let paths: Vec<_> = body.paths.iter().flatten().collect();
            format!("closeSession {paths:?}")
        }
        Txn::Multi(body) => {
            let parts: Vec<String> = body.iter().map(|part| describe(&part)).collect();
            format!("multi [{}]", parts.join("; "))
        }
        Txn::Error(body) => {
            let name = ErrorCode::from_code(body.err).map_or("?", ErrorCode::name);
            format!("error {name} {}", body.err)
        }
    }
}

#[test]
fn requests_become_transactions() {
    transcript::run("prep/cases", |_| {
        let mut world = World::new();
        move |command: &str| world.answer(command)
    });
}
