//! Commands of the case files: one transaction or one question each.

use std::fmt::Write;

use ringkeeper::tree::{ChangeKind, Changes, Config, HashKey, NodeId, OwnerRules, ReapRules, Tree};
use ringkeeper::types::{SessionId, WallTime, Xid};
use ringkeeper::wire::stat::{Acl, AclList};
use ringkeeper::wire::txn::*;
use ringkeeper::wire::{ErrorCode, Seq, Stat, Text};

use crate::model::list;

#[path = "../support/transcript.rs"]
mod transcript;

/// A tree and the transactions' clock: each takes 1000 ms.
struct World {
    tree: Tree,
    changes: Changes,
}

/// A command's words: what it is about, and `key=value` pairs.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn word(&self, number: usize) -> &'a str {
        self.0.split(' ').filter(|word| !word.contains('=')).nth(number).unwrap_or_default()
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        let pair = |word: &'a str| word.split_once('=').filter(|pair| pair.0 == key);
        self.0.split(' ').find_map(pair).map(|pair| pair.1)
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.value(key).map(|value| value.parse().expect("a number"))
    }
}

impl World {
    fn new() -> Self {
        let owners = OwnerRules { extended_types: true, emulate_353: false };
        let tree = Tree::new(Config { owners, digest: true }, HashKey([5, 6]));
        Self { tree, changes: Changes::default() }
    }

    fn answer(&mut self, command: &str) -> String {
        let words = Words(command);
        let path = words.word(1);
        match words.word(0) {
            "stat" => self.stat(path),
            "data" => {
                let data = self.tree.data(self.find(path));
                format!("{}\n", data.map_or("null".into(), |data| String::from_utf8_lossy(data)))
            }
            "acl" => {
                format!("{:?}\n", list(&self.tree.acls().entries(self.tree.acl(self.find(path)))))
            }
            "children" => {
                let mut names: Vec<&str> =
                    self.tree.children(self.find(path)).map(|id| self.tree.name(id)).collect();
                names.sort_unstable();
                format!("{}\n", names.join(" "))
            }
            "descendants" => format!("{}\n", self.tree.descendants(self.find(path))),
            "ephemerals" => {
                let session = SessionId(words.number("session").expect("whose"));
                self.tree.ephemerals(session).map(|id| self.path(id) + "\n").collect()
            }
            "sessions" => {
                let mut all: Vec<_> = self.tree.sessions().collect();
                all.sort_unstable();
                all.into_iter().map(|(id, ms)| format!("{id} {ms} ms\n")).collect()
            }
            "reap" => self.reap(&words),
            "judge" => {
                let more = |key| words.number(key).unwrap_or(0);
                let verdict = self.tree.judge_quota(path, more("bytes"), more("count"));
                format!("{verdict:?}\n")
            }
            "digest" => format!("{}\n", self.tree.digest()),
            _ => self.apply(command),
        }
    }

    fn find(&self, path: &str) -> NodeId {
        self.tree.find(path).unwrap_or_else(|| panic!("{path} is not there"))
    }

    fn path(&self, id: NodeId) -> String {
        let mut path = String::new();
        self.tree.path(id, &mut path);
        path
    }

    fn stat(&self, path: &str) -> String {
        self.tree.find(path).map_or("no such znode\n".into(), |id| text(&self.tree.stat(id)) + "\n")
    }

    fn reap(&self, words: &Words<'_>) -> String {
        let now = WallTime(words.number("now").expect("when"));
        let never_used_ms = words.number("never_used").unwrap_or(0);
        let (mut from, mut found) = (Some(0), String::new());
        while let Some(place) = from {
            let rules = ReapRules { now, never_used_ms };
            from = self.tree.reap_candidates(place, 1, rules, |id| {
                writeln!(found, "{}", self.path(id)).expect("a string");
            });
        }
        found
    }

    fn apply(&mut self, command: &str) -> String {
        let zxid = self.tree.last_zxid().next();
        let zxid = Words(command).number("zxid").map_or(zxid, ringkeeper::types::Zxid);
        let session = SessionId(Words(command).number("session").unwrap_or(7));
        let header = TxnHeader { session, cxid: Xid(1), zxid, time: WallTime(zxid.0 * 1000) };
        let (mut placed, bytes) = (Vec::new(), encoded(&header, command));
        let logged = LoggedTxn::decode(&bytes).expect("it was just encoded");
        self.tree.apply(&header, &logged.txn, &mut placed, &mut self.changes);
        self.tree.check_all();
        let mut out = String::new();
        for result in self.changes.results() {
            let stat = result.stat.map_or(String::new(), |stat| text(&stat));
            let name = if result.err == ErrorCode::Ok { "ok" } else { result.err.name() };
            writeln!(out, "{}", format!("{name} {stat}").trim_end()).expect("a string");
        }
        for change in self.changes.iter() {
            let kind = match change.kind {
                ChangeKind::Created => "created",
                ChangeKind::Deleted => "deleted",
                ChangeKind::DataChanged => "data changed",
                ChangeKind::ChildrenChanged => "children changed",
            };
            writeln!(out, "  {kind} {}", change.path).expect("a string");
        }
        out
    }
}

fn text(stat: &Stat) -> String {
    format!(
        "c={} m={} p={} ctime={} mtime={} version={} cversion={} aversion={} owner={} bytes={} children={}",
        stat.czxid.0,
        stat.mzxid.0,
        stat.pzxid.0,
        stat.ctime,
        stat.mtime,
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children
    )
}

/// A command as the log would have it; the parts of a multi stand between semicolons.
fn encoded(header: &TxnHeader, command: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(parts) = command.strip_prefix("multi ") else {
        with_txn(command, |txn| {
            LoggedTxn { header: *header, txn: txn.clone(), digest: None }.encode(&mut out);
        });
        return out;
    };
    let mut bodies = Vec::new();
    for part in parts.split("; ") {
        with_txn(part, |txn| {
            let mut body = Vec::new();
            txn.encode(&mut ringkeeper::wire::Writer::new(&mut body));
            bodies.push((txn.kind(), body));
        });
    }
    let parts: Vec<SubTxn<'_>> =
        bodies.iter().map(|(kind, body)| SubTxn { kind: *kind, data: Some(body) }).collect();
    let txn = Txn::Multi(MultiTxn { parts: Seq::from(&parts[..]) });
    LoggedTxn { header: *header, txn, digest: None }.encode(&mut out);
    out
}

fn with_txn(command: &str, use_it: impl FnOnce(&Txn<'_>)) {
    let words = Words(command);
    let path = || Text::from(words.word(1));
    let data = (words.word(2) != "null").then(|| words.word(2).as_bytes());
    // Texts of quotas have an equals sign; the commands write a colon.
    let unescaped = words.word(2).replace(':', "=");
    let data = if unescaped.contains('=') { Some(unescaped.as_bytes()) } else { data };
    let parent_cversion = words.number("pcv").unwrap_or(-1).try_into().expect("32 bits");
    let version = words.number("version").unwrap_or(0).try_into().expect("32 bits");
    let list = words.value("acl").map(|who| [Acl::new(31, "digest", who)]);
    let acl = list.as_ref().map_or(AclList::NULL, |list| AclList::from(&list[..]));
    let paths: Vec<Text<'_>> =
        words.0.split(' ').skip(1).filter(|w| w.starts_with('/')).map(Text::from).collect();
    let create =
        |ephemeral| CreateTxn { path: path(), data, acl: acl.clone(), ephemeral, parent_cversion };
    use_it(&match words.word(0) {
        "create" => Txn::Create(create(false)),
        "ephemeral" => Txn::Create2(create(true)),
        "container" => {
            Txn::CreateContainer(CreateContainerTxn { path: path(), data, acl, parent_cversion })
        }
        "ttl" => {
            let ttl = words.number("ms").expect("how long");
            Txn::CreateTtl(CreateTtlTxn { path: path(), data, acl, parent_cversion, ttl })
        }
        "delete" => Txn::Delete(DeleteTxn { path: path() }),
        "set" => Txn::SetData(SetDataTxn { path: path(), data, version }),
        "setacl" => Txn::SetAcl(SetAclTxn { path: path(), acl, version }),
        "check" => Txn::Check(CheckTxn { path: path(), version }),
        "error" => Txn::Error(ErrorTxn { err: version }),
        "open" => Txn::CreateSession(CreateSessionTxn { timeout_ms: version }),
        "close" => Txn::CloseSession(CloseSessionTxn {
            paths: (!command.contains("unlisted")).then(|| Seq::from(&paths[..])),
        }),
        other => panic!("no such command: {other}"),
    });
}

#[test]
fn cases() {
    transcript::run("tree/cases", |_| {
        let mut world = World::new();
        move |command: &str| world.answer(command)
    });
}
