//! setData, setACL and check (client-protocol section 4.3).

use super::pending::{After, NewData, length};
use super::{Step, check_path, next_version};
use crate::session::auth;
use crate::tree::Persisted;
use crate::tree::quota::{QUOTA_ROOT, STATS, Track};
use crate::wire::request::{CheckVersionRequest, SetAclRequest, SetDataRequest};
use crate::wire::stat::AclList;
use crate::wire::txn::{CheckTxn, SetAclTxn, SetDataTxn};
use crate::wire::{ErrorCode, Record, Text, Writer};

impl Step<'_> {
    pub(super) fn set_data(&mut self, body: &SetDataRequest<'_>) -> Result<(), ErrorCode> {
        let path = check_path(body.path.as_deref())?;
        let znode = self.find(path)?;
        self.check_acl(&znode, auth::WRITE)?;
        self.check_quota(path, length(body.data) - znode.data_bytes, 0)?;
        let version = next_version(znode.stat.version, body.version)?;
        if is_stats(path) && Track::parse(body.data).is_none() {
            // The next write below that quota would end every Apache server that applies it.
            return Err(ErrorCode::BadArguments);
        }
        SetDataTxn { path: Text::Borrowed(path), data: body.data, version }
            .encode(&mut Writer::new(self.out));
        let stat = Persisted { mzxid: self.zxid, mtime: self.wall.0, version, ..znode.stat };
        let after =
            After { stat, children: znode.children, data: NewData::Set(body.data), acl: None };
        self.pending.update(&self.view, path, &znode, &after);
        Ok(())
    }

    pub(super) fn set_acl(&mut self, body: &SetAclRequest<'_>) -> Result<(), ErrorCode> {
        let mut acl = std::mem::take(&mut self.pending.scratch.acl);
        let result = self.set_acl_with(body, &mut acl);
        self.pending.scratch.acl = acl;
        result
    }

    fn set_acl_with(
        &mut self,
        body: &SetAclRequest<'_>,
        acl: &mut Vec<u8>,
    ) -> Result<(), ErrorCode> {
        let path = check_path(body.path.as_deref())?;
        acl.clear();
        auth::fix_acl(&self.view.config.auth, body.acl, self.submission.identities, acl)?;
        let znode = self.find(path)?;
        self.check_acl(&znode, auth::ADMIN)?;
        let version = next_version(znode.stat.aversion, body.version)?;
        let list = AclList::from_bytes(acl).expect("fixing a list encodes a list");
        SetAclTxn { path: Text::Borrowed(path), acl: list, version }
            .encode(&mut Writer::new(self.out));
        let stat = Persisted { aversion: version, ..znode.stat };
        let after = After { stat, children: znode.children, data: NewData::Same, acl: Some(acl) };
        self.pending.update(&self.view, path, &znode, &after);
        Ok(())
    }

    /// Changes nothing; only a multi can hold one.
    pub(super) fn check(&mut self, body: &CheckVersionRequest<'_>) -> Result<(), ErrorCode> {
        let path = check_path(body.path.as_deref())?;
        let znode = self.find(path)?;
        self.check_acl(&znode, auth::READ)?;
        let version = next_version(znode.stat.version, body.version)?;
        CheckTxn { path: Text::Borrowed(path), version }.encode(&mut Writer::new(self.out));
        Ok(())
    }
}

/// Whether a quota's usage stands there.
fn is_stats(path: &str) -> bool {
    path.strip_prefix(QUOTA_ROOT)
        .and_then(|rest| rest.strip_suffix(STATS))
        .is_some_and(|subject| subject.starts_with('/') && subject.ends_with('/'))
}
