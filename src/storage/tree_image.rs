//! A tree as a snapshot: one section that holds the tree's image, and back.
//!
//! The image is read where it lies: a tree that was loaded borrows the mapped file, and copies a
//! piece of it when it first changes.

use bytes::Bytes;

use super::error::Error;
use super::map::FileBytes;
use super::snapshot::{Image, Sink, Snapshot};
use super::snapshot_format::SectionKind;
use crate::tree::{self, Config, ImageError, Tree};
use crate::types::Zxid;

/// The one section of a snapshot.
const TREE: SectionKind = SectionKind(1);

impl Image for tree::Image {
    fn zxid(&self) -> Zxid {
        Self::zxid(self)
    }

    fn digest(&self) -> i64 {
        Self::digest(self)
    }

    fn write(&self, sink: &mut dyn Sink) -> Result<(), Error> {
        sink.begin(TREE)?;
        self.pieces().try_for_each(|piece| sink.put(piece))
    }
}

/// The tree of a snapshot, which it keeps mapped.
///
/// # Errors
/// The checksums were right, and yet it is no image of ours: written by a newer version, or under
/// other rules.
pub fn tree_of(snapshot: &Snapshot, config: Config) -> Result<Tree, ImageError> {
    let range = snapshot.range(TREE).ok_or(ImageError("it has no tree"))?;
    let file = Bytes::from_owner(Shared(snapshot.bytes().clone()));
    let tree = Tree::from_image(config, &file.slice(range))?;
    if tree.last_zxid() != snapshot.zxid() {
        return Err(ImageError("the tree is of another transaction than the file's name says"));
    }
    Ok(tree)
}

/// What keeps the file mapped.
struct Shared(FileBytes);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
