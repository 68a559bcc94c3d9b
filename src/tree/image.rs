//! A tree as bytes: what a snapshot file holds, and what a mapped one is read as.
//!
//! [`Tree::freeze`] takes an [`Image`] in time proportional to the number of pieces (about 2 ms at
//! 10 M znodes); the tree goes on at once and the image stays what it was. Any thread may then
//! write [`Image::pieces`] one after the other into a file. [`Tree::from_image`] makes a tree of
//! such bytes without copying them: it looks at the header and at tables that grow with the number
//! of pieces, not of znodes. Checksums are the file's business; here bounds are checked, so that
//! no bytes make loading panic.
//!
//! # Version 1, byte by byte
//!
//! All numbers are little-endian. Offsets count from the image's first byte, which must lie on a
//! multiple of 8 in memory (storage puts it on a page). A header of 4096 bytes:
//!
//! | at | | |
//! |---|---|---|
//! | 0 | `[u8; 8]` | `RKTREE\0\0` |
//! | 8 | u32 | version: 1 |
//! | 12 | u32 | hash: 1 = SipHash-1-3 |
//! | 16 | `[u64; 2]` | its key |
//! | 32 | u64 | bytes of the whole image |
//! | 40 | i64 | zxid |
//! | 48 | i64 | digest (Apache's, version 2) |
//! | 56 | i64 | Apache's approximate_data_size |
//! | 64 | u64 | bytes of arena slots in use |
//! | 72 | u32 | znodes in use |
//! | 76 | u32 | first free znode, or 0 |
//! | 80 | u32 | first free side record, or 0 |
//! | 84 | u32 | ephemeral znodes |
//! | 88 | u32 | first free session row, or 0 |
//! | 92 | u32 | flags: 1 digest kept, 2 extended types, 4 emulate 3.5.3 |
//! | 96 | 16 x 24 | sections: offset u64, bytes u64, items u64 |
//!
//! Sections follow in this order, each on a multiple of 4096, zeroes between them:
//!
//! | | items | |
//! |---|---|---|
//! | 0 znodes | 52 bytes | pieces of 1024, the last filled up: `znode.rs`, `Node` |
//! | 1 side records | 60 bytes | likewise: `Side` |
//! | 2 sub-tables of paths | 24 bytes | first slot u64, slots u32, homes u32, in use u32, 0 u32 |
//! | 3 slots of paths | 8 bytes | hash u32, znode + 1 u32 (0: empty): `index.rs` |
//! | 4, 5 owners of ephemerals | | as 2 and 3; one znode of each session's circle |
//! | 6 reapable | u32 | pieces of 1024; place 0 is unused |
//! | 7 sessions | 16 bytes | pieces of 1024: session i64, timeout i32 in ms, next free row u32 |
//! | 8, 9 index of sessions | | as 2 and 3, of rows |
//! | 10 ACL lists | | for ids from 1 on: znodes u32, length u32, the list's record |
//! | 11 quotas | | length u32, the subtree's path |
//! | 12 arena chunks | u64 | used bytes of each: 2 MiB, one at most is shorter |
//! | 13 free lists | 16 bytes | size class u64, first slot u64 |
//! | 14 dead slots | u64 | offset in 40 bits, size class above |
//! | 15 arena | | chunks, each on a multiple of 4096 |

#![allow(clippy::cast_ptr_alignment, reason = "checked before, section by section")]

use std::fmt;
use std::sync::OnceLock;

use bytemuck::{Pod, Zeroable};
use bytes::Bytes;

use super::acls::Acls;
use super::arena::{ArenaImage, CHUNK, Loaded, Writer};
use super::cow::{Piece, Slab, widen};
use super::digest;
use super::ephemerals::Ephemerals;
use super::index::{HashKey, Index, SubTable};
use super::quota::Quotas;
use super::reapable::Reapable;
use super::sessions::Sessions;
use super::tree::{Blobs, Config, PATH_TABLES, Tree};
use super::znode::{NodeId, OwnerKind, Znodes};
use crate::types::Zxid;

const _: () = assert!(cfg!(target_endian = "little"), "images are the arrays themselves");

/// Sections and the header begin on multiples of this.
pub const IMAGE_ALIGN: usize = 4096;

const MAGIC: [u8; 8] = *b"RKTREE\0\0";
const VERSION: u32 = 1;
const SIPHASH_1_3: u32 = 1;
const SECTIONS: usize = 16;
const FLAG_DIGEST: u32 = 1;
const FLAG_EXTENDED: u32 = 2;
const FLAG_EMULATE_353: u32 = 4;

#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
struct Section {
    offset: u64,
    bytes: u64,
    items: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Header {
    magic: [u8; 8],
    version: u32,
    hash: u32,
    key: [u64; 2],
    len: u64,
    zxid: i64,
    digest: i64,
    data_bytes: i64,
    arena_used: u64,
    znodes: u32,
    free_node: u32,
    free_side: u32,
    ephemerals: u32,
    free_session: u32,
    flags: u32,
    sections: [Section; SECTIONS],
}

const _: () = assert!(size_of::<Header>() == 96 + SECTIONS * 24);

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct TableRow {
    first: u64,
    slots: u32,
    homes: u32,
    len: u32,
    zero: u32,
}

/// Why bytes are no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageError(pub &'static str);

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a tree's image: {}", self.0)
    }
}

impl std::error::Error for ImageError {}

impl From<&'static str> for ImageError {
    fn from(why: &'static str) -> Self {
        Self(why)
    }
}

/// A tree at one zxid. While it lives the tree keeps what it covers; drop it when it is written.
pub struct Image {
    config: Config,
    key: HashKey,
    zxid: Zxid,
    digest: i64,
    data_bytes: i64,
    znodes: Znodes,
    paths: Index,
    ephemerals: Ephemerals,
    reapable: Reapable,
    sessions: Sessions,
    acls: Acls,
    quotas: Quotas,
    arena: ArenaImage,
    made: OnceLock<Made>,
}

/// What is put together when the image is first read.
struct Made {
    header: Vec<u8>,
    /// Sections that are not the arrays themselves.
    parts: [Vec<u8>; SECTIONS],
    len: u64,
}

impl Tree {
    /// The tree as it is now, for whoever writes it to a file. Only the owner's.
    pub fn freeze(&mut self) -> Image {
        let Blobs::Owner(writer) = &mut self.blobs else {
            unreachable!("images are taken of the owner's tree");
        };
        Image {
            config: self.config,
            key: self.key,
            zxid: self.last_zxid,
            digest: self.digest,
            data_bytes: self.data_bytes,
            arena: writer.freeze(),
            znodes: self.znodes.clone(),
            paths: self.paths.clone(),
            ephemerals: self.ephemerals.clone(),
            reapable: self.reapable.clone(),
            sessions: self.sessions.clone(),
            acls: self.acls.clone(),
            quotas: self.quotas.clone(),
            made: OnceLock::new(),
        }
    }

    /// The owner's tree of an image, reading in `bytes` what does not change. They must begin on a
    /// multiple of 8 in memory; what follows the image is ignored.
    pub fn from_image(config: Config, bytes: &Bytes) -> Result<Self, ImageError> {
        let file = File::check(bytes)?;
        let header = &file.header;
        let key = HashKey(header.key);
        let znodes = Znodes {
            nodes: file.slab(0)?,
            sides: file.slab(1)?,
            free_node: header.free_node,
            free_side: header.free_side,
            len: header.znodes,
        };
        let within = header.znodes > 0
            && header.znodes <= znodes.nodes.len()
            && header.free_node < znodes.nodes.len()
            && header.free_side < znodes.sides.len();
        if !within {
            return Err(ImageError("more znodes than there are places"));
        }
        let paths = file.index(2, PATH_TABLES)?;
        if paths.len() + 1 != widen(header.znodes) {
            return Err(ImageError("the index has another number of znodes"));
        }
        let heads = file.index(4, 64)?;
        let mut sessions = Sessions::new(key);
        (sessions.rows, sessions.index) = (file.slab(7)?, file.index(8, 64)?);
        sessions.free = header.free_session;
        if sessions.free >= sessions.rows.len() {
            return Err(ImageError("a free session that has no place"));
        }
        let mut tree = Self::empty(config, key, Blobs::Owner(Box::new(file.arena()?)));
        tree.znodes = znodes;
        tree.paths = paths;
        tree.acls = Acls::from_image(key, &file.bytes(10))?;
        tree.ephemerals = Ephemerals::over(key, heads, header.ephemerals);
        tree.reapable = Reapable { places: file.slab(6)? };
        tree.sessions = sessions;
        tree.quotas = file.quotas()?;
        tree.last_zxid = Zxid(header.zxid);
        (tree.digest, tree.data_bytes) = (header.digest, header.data_bytes);
        tree.adopt_settings(header.flags);
        Ok(tree)
    }

    /// An image of other settings: what depends on them is made anew, by a walk over all znodes.
    fn adopt_settings(&mut self, flags: u32) {
        if self.config.digest && flags & FLAG_DIGEST == 0 {
            let mut path = String::new();
            self.digest = i64::from(self.node_digest("/", NodeId::ROOT));
            let ids: Vec<NodeId> = self.walk(NodeId::ROOT).collect();
            for id in ids {
                self.path(id, &mut path);
                if digest::is_counted(&path) {
                    self.digest = digest::plus(self.digest, self.node_digest(&path, id));
                }
            }
        }
        let differ = FLAG_EXTENDED | FLAG_EMULATE_353;
        if flags_of(&self.config) & differ == flags & differ {
            return;
        }
        self.ephemerals = Ephemerals::new(self.key);
        self.reapable = Reapable::new();
        let ids: Vec<NodeId> = self.walk(NodeId::ROOT).collect();
        for NodeId(id) in ids {
            match self.config.owners.kind(self.znodes.owner(id)) {
                OwnerKind::Persistent => {}
                OwnerKind::Session(session) => self.ephemerals.add(id, session, &mut self.znodes),
                OwnerKind::Container | OwnerKind::Ttl(_) => {
                    self.reapable.add(id, &mut self.znodes);
                }
            }
        }
    }
}

fn flags_of(config: &Config) -> u32 {
    let mut flags = 0;
    for (on, flag) in [
        (config.digest, FLAG_DIGEST),
        (config.owners.extended_types, FLAG_EXTENDED),
        (config.owners.emulate_353, FLAG_EMULATE_353),
    ] {
        flags |= if on { flag } else { 0 };
    }
    flags
}

impl Image {
    /// The last transaction in it.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Apache's digest of it.
    pub fn digest(&self) -> i64 {
        self.digest
    }

    /// How many znodes it has.
    pub fn znode_count(&self) -> usize {
        widen(self.znodes.len)
    }

    /// Its bytes, all told: a multiple of [`IMAGE_ALIGN`].
    pub fn len(&self) -> u64 {
        self.made().len
    }

    /// Never: there is a header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The bytes, in order, in pieces of up to 2 MiB, padding included.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        static ZEROES: [u8; IMAGE_ALIGN] = [0; IMAGE_ALIGN];
        let header: Vec<&[u8]> = vec![&self.made().header];
        let sections = (0..SECTIONS).map(|section| self.section(section));
        let padded = std::iter::once(header).chain(sections).flat_map(|section| {
            let len: usize = section.iter().map(|piece| piece.len()).sum();
            let padding = &ZEROES[..len.next_multiple_of(IMAGE_ALIGN) - len];
            section.into_iter().chain(std::iter::once(padding))
        });
        padded.filter(|piece| !piece.is_empty())
    }

    /// The pieces of a section, without the padding behind it.
    fn section(&self, number: usize) -> Vec<&[u8]> {
        match number {
            0 => self.znodes.nodes.piece_bytes().collect(),
            1 => self.znodes.sides.piece_bytes().collect(),
            3 => slots(&self.paths).collect(),
            5 => slots(&self.ephemerals.heads).collect(),
            6 => self.reapable.places.piece_bytes().collect(),
            7 => self.sessions.rows.piece_bytes().collect(),
            9 => slots(&self.sessions.index).collect(),
            // Only the open chunk is short; chunks behind it must begin on a page again.
            15 => self.arena.chunks().flat_map(|chunk| [chunk, padding_of(chunk)]).collect(),
            made => vec![&self.made().parts[made]],
        }
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| self.make())
    }

    fn make(&self) -> Made {
        let mut parts = [const { Vec::new() }; SECTIONS];
        let mut items = [0; SECTIONS];
        for (number, index) in
            [(2, &self.paths), (4, &self.ephemerals.heads), (8, &self.sessions.index)]
        {
            parts[number] = rows(index);
            items[number] = index.tables.len() as u64;
            items[number + 1] = (index.bytes() / 8) as u64;
        }
        items[0] = self.znodes.nodes.len().into();
        items[1] = self.znodes.sides.len().into();
        items[6] = self.reapable.places.len().into();
        items[7] = self.sessions.rows.len().into();
        parts[10] = self.acls.to_image();
        for prefix in self.quotas.iter() {
            let len = u32::try_from(prefix.len()).expect("a path is shorter than 4 GiB");
            parts[11].extend_from_slice(&len.to_le_bytes());
            parts[11].extend_from_slice(prefix.as_bytes());
        }
        let lens: Vec<u64> = self.arena.chunks().map(|chunk| chunk.len() as u64).collect();
        let heads: Vec<[u64; 2]> = self.arena.heads.iter().map(|&(c, h)| [c, h]).collect();
        let dead = self.arena.dead();
        parts[12] = bytemuck::cast_slice(&lens).to_vec();
        parts[13] = bytemuck::cast_slice(&heads).to_vec();
        parts[14] = bytemuck::cast_slice(&dead).to_vec();
        (items[12], items[13]) = (lens.len() as u64, heads.len() as u64);
        (items[14], items[15]) = (dead.len() as u64, lens.len() as u64);
        self.head(parts, items)
    }

    fn head(&self, parts: [Vec<u8>; SECTIONS], items: [u64; SECTIONS]) -> Made {
        let mut sections = [Section::default(); SECTIONS];
        let mut at = IMAGE_ALIGN as u64;
        for (number, section) in sections.iter_mut().enumerate() {
            let bytes: usize = match number {
                2 | 4 | 8 | 10..15 => parts[number].len(),
                stored => self.section(stored).iter().map(|piece| piece.len()).sum(),
            };
            *section = Section { offset: at, bytes: bytes as u64, items: items[number] };
            at += (bytes as u64).next_multiple_of(IMAGE_ALIGN as u64);
        }
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            hash: SIPHASH_1_3,
            key: self.key.0,
            len: at,
            zxid: self.zxid.0,
            digest: self.digest,
            data_bytes: self.data_bytes,
            arena_used: self.arena.used,
            znodes: self.znodes.len,
            free_node: self.znodes.free_node,
            free_side: self.znodes.free_side,
            ephemerals: self.ephemerals.len,
            free_session: self.sessions.free,
            flags: flags_of(&self.config),
            sections,
        };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        bytes.resize(IMAGE_ALIGN, 0);
        Made { header: bytes, parts, len: at }
    }
}

fn padding_of(chunk: &[u8]) -> &'static [u8] {
    static ZEROES: [u8; IMAGE_ALIGN] = [0; IMAGE_ALIGN];
    &ZEROES[..chunk.len().next_multiple_of(IMAGE_ALIGN) - chunk.len()]
}

fn slots(index: &Index) -> impl Iterator<Item = &[u8]> {
    index.tables.iter().map(|table| bytemuck::cast_slice(table.slots.items()))
}

fn rows(index: &Index) -> Vec<u8> {
    let mut first = 0;
    let rows = index.tables.iter().map(|table| {
        let slots = u32::try_from(table.slots.items().len()).expect("a sub-table is small");
        let row = TableRow { first, slots, homes: table.homes, len: table.len, zero: 0 };
        first += u64::from(slots);
        row
    });
    bytemuck::cast_slice(&rows.collect::<Vec<_>>()).to_vec()
}

/// Bytes whose header is sound: every section lies in them.
struct File<'b> {
    map: &'b Bytes,
    header: Header,
}

impl<'b> File<'b> {
    fn check(map: &'b Bytes) -> Result<Self, ImageError> {
        let Some(head) = map.get(..size_of::<Header>()) else {
            return Err(ImageError("it is too short for a header"));
        };
        let header: Header = bytemuck::pod_read_unaligned(head);
        if header.magic != MAGIC {
            return Err(ImageError("it begins with something else"));
        }
        if header.version != VERSION || header.hash != SIPHASH_1_3 {
            return Err(ImageError("it is of a version that this server does not know"));
        }
        if !map.as_ptr().cast::<u64>().is_aligned() {
            return Err(ImageError("it is not aligned in memory"));
        }
        for section in header.sections {
            let end = section.offset.checked_add(section.bytes);
            let inside = end.is_some_and(|end| end <= header.len && end <= map.len() as u64);
            if !inside || section.offset % IMAGE_ALIGN as u64 != 0 {
                return Err(ImageError("a section is outside of it"));
            }
        }
        Ok(Self { map, header })
    }

    fn bytes(&self, number: usize) -> Bytes {
        let Section { offset, bytes, .. } = self.header.sections[number];
        let start = usize::try_from(offset).expect("it is inside of the map");
        let len = usize::try_from(bytes).expect("it is inside of the map");
        self.map.slice(start..start + len)
    }

    fn slab<T: Pod>(&self, number: usize) -> Result<Slab<T>, ImageError> {
        let items = self.header.sections[number].items;
        Slab::from_map(&self.bytes(number), items).ok_or(ImageError("an array is cut"))
    }

    fn numbers<T: Pod>(&self, number: usize) -> Result<Vec<T>, ImageError> {
        let bytes = self.bytes(number);
        let numbers = bytemuck::try_cast_slice(&bytes);
        numbers.map(<[T]>::to_vec).map_err(|_| ImageError("a table is cut"))
    }

    fn index(&self, number: usize, tables: usize) -> Result<Index, ImageError> {
        let rows: Vec<TableRow> = self.numbers(number)?;
        let slots = self.bytes(number + 1);
        if rows.len() != tables {
            return Err(ImageError("an index of another number of sub-tables"));
        }
        let table = |row: TableRow| {
            let start = usize::try_from(row.first).ok()?.checked_mul(8)?;
            let end = start.checked_add(widen(row.slots) * 8)?;
            let roomy = row.slots == 0 || row.homes < row.slots;
            if end > slots.len() || !roomy || row.len > row.slots {
                return None;
            }
            // A search must meet an empty slot or the end, and growing needs a spare slot.
            let sound = (row.homes == 0) == (row.slots == 0) && row.homes < u32::MAX / 2;
            let slots = Piece::mapped(slots.slice(start..end)).filter(|_| sound)?;
            Some(SubTable { slots, homes: row.homes, len: row.len })
        };
        let tables = rows.into_iter().map(table).collect::<Option<_>>();
        Ok(Index { tables: tables.ok_or(ImageError("a sub-table is outside of its index"))? })
    }

    fn quotas(&self) -> Result<Quotas, ImageError> {
        const CUT: ImageError = ImageError("the list of quotas is cut");
        let bytes = self.bytes(11);
        let (mut rest, mut quotas) = (&bytes[..], Quotas::default());
        while !rest.is_empty() {
            let (len, after) = rest.split_first_chunk().ok_or(CUT)?;
            let len = widen(u32::from_le_bytes(*len));
            let (prefix, after) = after.split_at_checked(len).ok_or(CUT)?;
            quotas.add(std::str::from_utf8(prefix).map_err(|_| CUT)?);
            rest = after;
        }
        Ok(quotas)
    }

    fn arena(&self) -> Result<Writer, ImageError> {
        let lens: Vec<u64> = self.numbers(12)?;
        let heads: Vec<[u64; 2]> = self.numbers(13)?;
        let heads: Vec<(u64, u64)> = heads.into_iter().map(|[class, head]| (class, head)).collect();
        let dead: Vec<u64> = self.numbers(14)?;
        let arena = self.bytes(15);
        let (mut at, mut chunks) = (0_usize, Vec::with_capacity(lens.len()));
        for len in lens {
            let len = usize::try_from(len).ok().filter(|len| *len <= CHUNK);
            let end = len.and_then(|len| at.checked_add(len));
            let Some(chunk) = end.and_then(|end| arena.get(at..end)) else {
                return Err(ImageError("a chunk of the arena is outside of it"));
            };
            chunks.push(chunk);
            at = (at + chunk.len()).next_multiple_of(IMAGE_ALIGN);
        }
        let used = self.header.arena_used;
        let loaded = Loaded { chunks: &chunks, heads: &heads, dead: &dead, used };
        Ok(Writer::from_image(&loaded, self.map)?)
    }
}
