//! Znodes as they lie in memory: 52 bytes for one that was created and never touched again, 60
//! more once it is modified, is ephemeral, or has a child.
//!
//! Zero means "none" in every link: znode 0 is the root, which is nobody's child, and side record
//! 0 is never used. Structs are plain bytes in the machine's order (little-endian, which
//! `image.rs` asserts), since an image is these arrays themselves.

use bytemuck::{Pod, Zeroable};

use super::acls::AclId;
use super::cow::Slab;
use crate::types::{SessionId, Zxid};
use crate::wire::committed::BlobRef;

/// A znode of one tree. Valid until the next transaction; the same in all trees of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// "/".
    pub const ROOT: Self = Self(0);
}

/// What every znode has.
#[repr(C, packed(4))]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct Node {
    pub(super) parent: u32,
    /// The child that was created last.
    pub(super) first_child: u32,
    pub(super) next: u32,
    pub(super) prev: u32,
    /// The name's offset in the arena, lower 32 bits.
    name_low: u32,
    name_high: u8,
    /// [`NAME_LONG`]: the length stands in four bytes before the name.
    name_len: u8,
    pub(super) flags: u16,
    pub(super) data: u64,
    pub(super) czxid: i64,
    /// Without a side record: ctime in 48 bits, the ACL above. With one: ctime.
    stamp: i64,
    /// The side record, or 0.
    pub(super) side: u32,
}

/// What znodes have that are not as they were created.
#[repr(C, packed(4))]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct Side {
    pub(super) mzxid: i64,
    pub(super) pzxid: i64,
    pub(super) mtime: i64,
    pub(super) owner: i64,
    pub(super) version: i32,
    /// Children ever created.
    pub(super) cversion: i32,
    pub(super) aversion: i32,
    pub(super) children: u32,
    pub(super) acl: u32,
    /// The next ephemeral of the session, in a circle; or the place among the reapable.
    pub(super) next: u32,
    pub(super) prev: u32,
}

const _: () = assert!(size_of::<Node>() == 52);
const _: () = assert!(size_of::<Side>() == 60);

/// A name of this length or more has its length in the arena.
pub(super) const NAME_LONG: usize = 255;
/// Bytes of that length.
pub(super) const NAME_PREFIX: usize = 4;
/// The znode is on the free list, linked by `next`.
pub(super) const FREE: u16 = 1;

impl Node {
    pub(super) fn name_at(&self) -> (u64, usize) {
        let offset = u64::from(self.name_low) | u64::from(self.name_high) << 32;
        (offset, usize::from(self.name_len))
    }

    pub(super) fn set_name(&mut self, name: BlobRef) {
        let [a, b, c, d, e, ..] = name.offset().to_le_bytes();
        self.name_low = u32::from_le_bytes([a, b, c, d]);
        self.name_high = e;
        self.name_len = u8::try_from(name.length()).unwrap_or(u8::MAX);
    }

    pub(super) fn data(&self) -> BlobRef {
        BlobRef(self.data)
    }
}

/// All that a snapshot of Apache's keeps of a znode besides data and ACL (`StatPersisted`); what
/// the digest covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Persisted {
    /// The transaction that created it.
    pub czxid: Zxid,
    /// The transaction that last wrote its data.
    pub mzxid: Zxid,
    /// The transaction that last created or deleted a child.
    pub pzxid: Zxid,
    /// Milliseconds since 1970 at creation.
    pub ctime: i64,
    /// The same, at the last write of its data.
    pub mtime: i64,
    /// Counts the writes of its data.
    pub version: i32,
    /// Counts the children ever created; not what a client sees.
    pub cversion: i32,
    /// Counts the writes of its ACL.
    pub aversion: i32,
    /// See [`OwnerKind`].
    pub ephemeral_owner: i64,
}

/// Which owners are no sessions. The same on all servers of an ensemble.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnerRules {
    /// `zookeeper.extendedTypesEnabled`: TTL znodes exist.
    pub extended_types: bool,
    /// `zookeeper.emulate353TTLNodes`: every negative owner is a TTL.
    pub emulate_353: bool,
}

/// What an owner means (`EphemeralType.java`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    /// The znode stays until it is deleted.
    Persistent,
    /// It goes with this session.
    Session(SessionId),
    /// It goes some time after its last child.
    Container,
    /// It goes when it has no child and was not written for so many milliseconds.
    Ttl(i64),
}

/// The owner of containers.
pub const CONTAINER_OWNER: i64 = i64::MIN;
const TTL_MARK: u64 = 0xff00_0000_0000_0000;
const TTL_MAX: i64 = 0xff_ffff_ffff;

/// The owner that stands for a TTL in milliseconds.
pub fn ttl_owner(ttl: i64) -> i64 {
    TTL_MARK.cast_signed() | (ttl & TTL_MAX)
}

impl OwnerRules {
    /// What `owner` means.
    pub fn kind(self, owner: i64) -> OwnerKind {
        match owner {
            0 => OwnerKind::Persistent,
            CONTAINER_OWNER => OwnerKind::Container,
            _ if self.extended_types && self.emulate_353 && owner < 0 => {
                OwnerKind::Ttl(owner & i64::MAX)
            }
            // Java refuses to read a mark with other middle bytes; here it is a session's id.
            _ if self.extended_types && ttl_owner(owner) == owner => {
                OwnerKind::Ttl(owner & TTL_MAX)
            }
            _ => OwnerKind::Session(SessionId(owner)),
        }
    }
}

/// The arrays of znodes and side records, and which of their places are free.
#[derive(Clone)]
pub(super) struct Znodes {
    pub(super) nodes: Slab<Node>,
    pub(super) sides: Slab<Side>,
    /// The first free znode, or 0.
    pub(super) free_node: u32,
    /// The first free side record, or 0; linked by `next`.
    pub(super) free_side: u32,
    /// Znodes in use.
    pub(super) len: u32,
}

impl Znodes {
    /// Only the root, of zero bytes.
    pub(super) fn new() -> Self {
        Self { nodes: Slab::new(), sides: Slab::new(), free_node: 0, free_side: 0, len: 1 }
    }

    pub(super) fn get(&self, id: u32) -> &Node {
        let node = self.nodes.get(id);
        debug_assert!(node.flags & FREE == 0, "znode {id} is not there");
        node
    }

    pub(super) fn get_mut(&mut self, id: u32) -> &mut Node {
        self.nodes.get_mut(id)
    }

    /// A fresh childless znode.
    pub(super) fn add(&mut self, czxid: i64, ctime: i64, acl: AclId) -> u32 {
        let mut node = Node::zeroed();
        node.czxid = czxid;
        let id = if self.free_node == 0 {
            self.nodes.push(node)
        } else {
            let id = self.free_node;
            assert!(self.nodes.get(id).flags == FREE, "the free list holds free znodes");
            self.free_node = self.nodes.get(id).next;
            *self.nodes.get_mut(id) = node;
            id
        };
        self.len += 1;
        match u16::try_from(acl.0) {
            Ok(acl) if (0..1 << 48).contains(&ctime) => {
                self.nodes.get_mut(id).stamp = ctime | i64::from(acl) << 48;
            }
            _ => {
                self.nodes.get_mut(id).stamp = 0;
                self.side_mut(id).acl = acl.0;
                let side = self.nodes.get(id).side;
                self.nodes.get_mut(id).stamp = ctime;
                self.sides.get_mut(side).mtime = ctime;
            }
        }
        id
    }

    /// Takes a znode out of use; it must be unlinked.
    pub(super) fn remove(&mut self, id: u32) {
        assert!(id != NodeId::ROOT.0, "the root stays");
        let side = self.nodes.get(id).side;
        if side != 0 {
            let mut free = Side::zeroed();
            free.next = self.free_side;
            *self.sides.get_mut(side) = free;
            self.free_side = side;
        }
        let mut free = Node::zeroed();
        free.flags = FREE;
        free.next = self.free_node;
        *self.nodes.get_mut(id) = free;
        self.free_node = id;
        self.len -= 1;
    }

    pub(super) fn side(&self, id: u32) -> Option<&Side> {
        let side = self.nodes.get(id).side;
        (side != 0).then(|| self.sides.get(side))
    }

    /// The side record, made if there is none.
    pub(super) fn side_mut(&mut self, id: u32) -> &mut Side {
        let node = *self.nodes.get(id);
        if node.side != 0 {
            return self.sides.get_mut(node.side);
        }
        let (ctime, acl) = unpack(node.stamp);
        let mut side = Side::zeroed();
        (side.mzxid, side.pzxid, side.mtime, side.acl) = (node.czxid, node.czxid, ctime, acl);
        let number = if self.free_side == 0 {
            self.sides.push(side)
        } else {
            let number = self.free_side;
            self.free_side = self.sides.get(number).next;
            *self.sides.get_mut(number) = side;
            number
        };
        let node = self.nodes.get_mut(id);
        (node.side, node.stamp) = (number, ctime);
        self.sides.get_mut(number)
    }

    pub(super) fn acl(&self, id: u32) -> AclId {
        AclId(self.side(id).map_or_else(|| unpack(self.get(id).stamp).1, |side| side.acl))
    }

    pub(super) fn children(&self, id: u32) -> u32 {
        self.side(id).map_or(0, |side| side.children)
    }

    pub(super) fn owner(&self, id: u32) -> i64 {
        self.side(id).map_or(0, |side| side.owner)
    }

    pub(super) fn persisted(&self, id: u32) -> Persisted {
        let node = self.get(id);
        let czxid = Zxid(node.czxid);
        let Some(side) = self.side(id) else {
            let (ctime, _) = unpack(node.stamp);
            let fresh =
                Persisted { czxid, mzxid: czxid, pzxid: czxid, ctime, ..Persisted::default() };
            return Persisted { mtime: ctime, ..fresh };
        };
        Persisted {
            czxid,
            mzxid: Zxid(side.mzxid),
            pzxid: Zxid(side.pzxid),
            ctime: node.stamp,
            mtime: side.mtime,
            version: side.version,
            cversion: side.cversion,
            aversion: side.aversion,
            ephemeral_owner: side.owner,
        }
    }

    /// Hangs `id` under `parent`, as its first child.
    pub(super) fn link(&mut self, id: u32, parent: u32) {
        let first = std::mem::replace(&mut self.get_mut(parent).first_child, id);
        let node = self.get_mut(id);
        (node.parent, node.next, node.prev) = (parent, first, 0);
        if first != 0 {
            self.get_mut(first).prev = id;
        }
        self.side_mut(parent).children += 1;
    }

    /// Takes `id` out of its parent's list.
    pub(super) fn unlink(&mut self, id: u32) {
        let Node { parent, next, prev, .. } = *self.get(id);
        if prev == 0 {
            assert!({ self.get(parent).first_child } == id, "the first child has none before it");
            self.get_mut(parent).first_child = next;
        } else {
            self.get_mut(prev).next = next;
        }
        if next != 0 {
            self.get_mut(next).prev = prev;
        }
        self.side_mut(parent).children -= 1;
    }
}

/// ctime and ACL out of a stamp.
fn unpack(stamp: i64) -> (i64, u32) {
    let acl = u32::try_from(stamp.cast_unsigned() >> 48).expect("16 bits");
    (stamp & ((1 << 48) - 1), acl)
}
