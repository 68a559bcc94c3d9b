//! delete and deleteContainer (client-protocol section 4.3).

use super::Step;
use super::pending::{After, NewData, Znode};
use crate::session::auth;
use crate::tree::OwnerKind;
use crate::types::path;
use crate::wire::request::{DeleteContainerRequest, DeleteRequest};
use crate::wire::txn::DeleteTxn;
use crate::wire::{ErrorCode, Record, Text, Writer};

/// What the server itself needs.
const BUILT_IN: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

/// The parent of a path that may be deleted. The path is not validated further: one that is not
/// valid is simply not there.
fn parent_of(path: Option<&str>) -> Result<(&str, &str), ErrorCode> {
    let path = path.ok_or(ErrorCode::MarshallingError)?;
    match path::split(path) {
        Some((parent, _)) if !path.contains('\0') && !BUILT_IN.contains(&path) => {
            Ok((path, parent))
        }
        _ => Err(ErrorCode::BadArguments),
    }
}

impl Step<'_> {
    pub(super) fn delete(&mut self, body: &DeleteRequest<'_>) -> Result<(), ErrorCode> {
        let (path, parent_path) = parent_of(body.path.as_deref())?;
        let parent = self.find(parent_path)?;
        self.check_acl(&parent, auth::DELETE)?;
        let znode = self.find(path)?;
        super::next_version(znode.stat.version, body.version)?;
        if znode.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        DeleteTxn { path: Text::Borrowed(path) }.encode(&mut Writer::new(self.out));
        self.remove_child((parent_path, &parent), (path, &znode));
        Ok(())
    }

    /// The reaper's: there is nobody whose permissions could be asked for.
    pub(super) fn delete_container(
        &mut self,
        body: &DeleteContainerRequest<'_>,
    ) -> Result<(), ErrorCode> {
        let path = body.path.map(String::from_utf8_lossy);
        let (path, parent_path) = parent_of(path.as_deref())?;
        let znode = self.find(path)?;
        if znode.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if matches!(self.view.config.owners.kind(znode.stat.ephemeral_owner), OwnerKind::Session(_))
        {
            return Err(ErrorCode::BadVersion);
        }
        let parent = self.find(parent_path)?;
        DeleteTxn { path: Text::Borrowed(path) }.encode(&mut Writer::new(self.out));
        self.remove_child((parent_path, &parent), (path, &znode));
        Ok(())
    }

    /// A znode goes, and its parent hears of it.
    pub(super) fn remove_child(
        &mut self,
        (parent_path, parent): (&str, &Znode),
        (path, znode): (&str, &Znode),
    ) {
        assert!(parent.children > 0, "a znode is counted by its parent");
        let mut stat = parent.stat;
        stat.pzxid = stat.pzxid.max(self.zxid);
        let after = After { stat, children: parent.children - 1, data: NewData::Same, acl: None };
        self.pending.update(&self.view, parent_path, parent, &after);
        self.pending.delete(&self.view, path, znode);
    }
}
