//! What a transaction did: for watches, in the order they hear it, and for the reply.

use super::acls::AclId;
use crate::wire::{ErrorCode, Stat};

/// What happened to a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is there now.
    Created,
    /// It is gone.
    Deleted,
    /// Its data was written.
    DataChanged,
    /// A child came or went.
    ChildrenChanged,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// To which znode.
    pub path: &'a str,
    /// Who may hear of it: the znode's list, its last one if it was deleted. Valid until the
    /// tree's next transaction.
    pub acl: AclId,
}

#[derive(Clone, Copy)]
struct Record {
    kind: ChangeKind,
    start: usize,
    len: usize,
    acl: AclId,
}

/// What one operation came to; a multi has one for each of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpResult {
    /// `Ok`, why it was refused, or what Apache says beside another part's failure.
    pub err: ErrorCode,
    /// The znode right after the operation: creates, setData and setACL.
    pub stat: Option<Stat>,
}

impl OpResult {
    pub(super) fn done(stat: Option<Stat>) -> Self {
        Self { err: ErrorCode::Ok, stat }
    }

    pub(super) fn failed(err: ErrorCode) -> Self {
        Self { err, stat: None }
    }
}

/// All that one transaction did. Reused: cleared by the next one.
#[derive(Default)]
pub struct Changes {
    text: String,
    list: Vec<Record>,
    results: Vec<OpResult>,
}

impl Changes {
    /// The changes, in the order in which watches hear them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Change<'_>> {
        self.list.iter().map(|&Record { kind, start, len, acl }| Change {
            kind,
            path: &self.text[start..start + len],
            acl,
        })
    }

    /// One result, or one for each part of a multi.
    pub fn results(&self) -> &[OpResult] {
        &self.results
    }

    /// Whether no watch has anything to hear.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
        self.results.clear();
    }

    pub(super) fn result(&mut self, result: OpResult) {
        self.results.push(result);
    }

    pub(super) fn push(&mut self, kind: ChangeKind, path: &str, acl: AclId) {
        let start = self.text.len();
        self.text.push_str(path);
        self.list.push(Record { kind, start, len: path.len(), acl });
    }

    /// A znode came or went, and so its parent's children changed.
    pub(super) fn push_with_parent(
        &mut self,
        kind: ChangeKind,
        (path, acl): (&str, AclId),
        (parent, parent_acl): (&str, AclId),
    ) {
        self.push(kind, path, acl);
        let start = self.text.len() - path.len();
        assert!(path.starts_with(parent), "a parent's path begins its child's");
        let (kind, len) = (ChangeKind::ChildrenChanged, parent.len());
        self.list.push(Record { kind, start, len, acl: parent_acl });
    }
}
