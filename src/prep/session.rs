//! createSession and closeSession (client-protocol sections 2.3 and 8.3).

use super::Step;
use crate::types::path;
use crate::wire::request::CreateSessionRequest;
use crate::wire::txn::{CloseSessionTxn, CreateSessionTxn};
use crate::wire::{Record, Writer};

impl Step<'_> {
    pub(super) fn create_session(&mut self, body: CreateSessionRequest) {
        let CreateSessionRequest { timeout_ms } = body;
        CreateSessionTxn { timeout_ms }.encode(&mut Writer::new(self.out));
    }

    /// Deletes what the session owns, uncommitted znodes included, and never fails.
    pub(super) fn close_session(&mut self) {
        let paths = self.ephemerals();
        if self.view.config.close_session_lists {
            Writer::new(self.out).texts(paths.iter().map(String::as_str));
        } else {
            CloseSessionTxn { paths: None }.encode(&mut Writer::new(self.out));
        }
        for path in &paths {
            let (parent_path, _) = path::split(path).expect("an ephemeral has a parent");
            let parent = self.find(parent_path).expect("a znode has a parent");
            let znode = self.find(path).expect("an ephemeral that is there was listed");
            self.remove_child((parent_path, &parent), (path, &znode));
        }
    }

    /// The paths of the session's ephemerals as they will be, sorted: the transaction must not tell
    /// how far the commits had come when it was prepared.
    fn ephemerals(&self) -> Vec<String> {
        let session = self.submission.session;
        let is_own = |path: &str| {
            let znode = self.find(path).ok();
            znode.is_some_and(|znode| znode.stat.ephemeral_owner == session.0)
        };
        let mut paths = Vec::new();
        let mut path = String::new();
        for id in self.view.tree.ephemerals(session) {
            self.view.tree.path(id, &mut path);
            if is_own(&path) {
                paths.push(path.clone());
            }
        }
        for path in self.pending.uncommitted_ephemerals(session) {
            // Deleted and created again: it was listed above.
            let tree = self.view.tree;
            let committed = tree.find(path).map(|id| tree.persisted(id).ephemeral_owner);
            if committed != Some(session.0) {
                assert!(is_own(path), "an uncommitted ephemeral is its session's");
                paths.push(path.to_owned());
            }
        }
        paths.sort_unstable();
        paths
    }
}
