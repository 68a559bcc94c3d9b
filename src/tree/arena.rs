//! Names and data of znodes: bytes that one writer lays down and many cores read.
//!
//! **Addresses.** The arena is cut into chunks of 2 MiB; a [`BlobRef`] is an offset into it. Chunk
//! `offset / 2 MiB` is found through a table of pointers that is allocated once (4 MiB of address
//! space, touched only where used), so a reader needs no lock and never sees the table move.
//!
//! **Who writes.** Exactly one [`Writer`], owned by the replica's tree. It hands out slots of some
//! 220 size classes (at most 12.5 % larger than asked) from free lists or from the end of the newest
//! chunk. A slot's bytes are written once, before its `BlobRef` leaves the writer.
//!
//! **When a slot is used again.** Every other holder has a [`Pin`]: a number that only grows, the
//! count of transactions that it has applied. A slot freed by transaction `v` waits until every pin
//! stands at `v` or beyond. An image pins in addition all that lay in the arena when it was taken,
//! free slots included, since it copies whole chunks. So nobody can be reading bytes that the writer
//! overwrites, without anybody promising it: the pins are the proof.
//!
//! **Borrowed chunks** lie in a mapped snapshot file. They are read in place and never written:
//! once a quarter of such a chunk is dead, or one of its free slots is wanted, the chunk is copied
//! ([`Writer::adopt`]) and the table points to the copy. The map stays until the arena goes, for
//! whoever still reads there.
//!
//! This is the tree's only file with `unsafe`. What it relies on: a `BlobRef` comes from this
//! arena's writer and reached the reader through a channel (which orders the bytes before it).
//! Bounds of a reference are checked always, so a damaged one panics and reads nothing outside.

#![allow(unsafe_code)]
#![allow(clippy::cast_possible_truncation, reason = "places are smaller than the address space")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::VecDeque;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::wire::committed::BlobRef;

/// Bytes of a chunk: one huge page of x86-64.
pub(super) const CHUNK: usize = 2 << 20;
/// Places in the table of chunks: 40 bits of address.
const CHUNKS_MAX: usize = 1 << (40 - 21);
/// Size classes, see [`class_of`].
pub(super) const CLASSES: usize = 31 + 24 * 8;
/// Freed slots looked at per call, so that no transaction pays for another's.
const COLLECT_MAX: usize = 256;
/// Lengths from here on do not fit into a `BlobRef` and stand in front of the bytes.
const LONG: usize = 0xff_ffff;
/// Bytes of that length.
const LONG_PREFIX: usize = 8;
/// The longest blob: what the size classes cover.
pub(super) const BLOB_BYTES_MAX: usize = 1 << 30;
const OFFSET_BITS: u32 = 40;

/// What writer and readers have in common.
struct Shared {
    table: Box<[AtomicPtr<u8>]>,
    blocks: Mutex<Vec<Block>>,
    /// Keeps what the table's pointers into a mapped file lead to.
    _maps: Vec<Bytes>,
}

/// Memory from the allocator: one chunk, or several in a row for one long blob.
struct Block {
    start: *mut u8,
    layout: Layout,
}

// SAFETY: the pointers lead to memory that lives as long as `Shared` (blocks are freed in its drop,
// maps are held by it); the module's rules say who may touch which bytes and when.
unsafe impl Send for Shared {}
// SAFETY: as above; the table is atomic and the list of blocks is behind a mutex.
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        let blocks = self.blocks.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        for block in blocks.drain(..) {
            // SAFETY: allocated in `Block::new` with this layout, and nobody is left to read it.
            unsafe { dealloc(block.start, block.layout) };
        }
    }
}

impl Block {
    fn new(chunks: usize) -> Self {
        let layout = Layout::from_size_align(chunks * CHUNK, 16).expect("a block is below 2 GiB");
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        Self { start, layout }
    }
}

impl Shared {
    fn new(maps: Vec<Bytes>) -> Self {
        let table = Box::<[AtomicPtr<u8>]>::new_zeroed_slice(CHUNKS_MAX);
        // SAFETY: all zero bytes are a null `AtomicPtr`.
        let table = unsafe { table.assume_init() };
        Self { table, blocks: Mutex::new(Vec::new()), _maps: maps }
    }

    /// Where `len` bytes at `offset` lie. Panics if that is outside of the arena.
    fn locate(&self, offset: u64, len: usize) -> *mut u8 {
        let offset = usize::try_from(offset).expect("addresses are 64 bits wide");
        let (chunk, at) = (offset / CHUNK, offset % CHUNK);
        let start = self.table[chunk].load(Ordering::Acquire);
        assert!(!start.is_null(), "a reference to chunk {chunk}, which is not there");
        if len > CHUNK - at {
            let chunks = (at + len).div_ceil(CHUNK);
            for k in 1..chunks {
                let next = self.table[chunk + k].load(Ordering::Acquire);
                assert!(next == start.wrapping_add(k * CHUNK), "a blob past the end of its block");
            }
        }
        start.wrapping_add(at)
    }

    fn bytes(&self, offset: u64, len: usize) -> &[u8] {
        let start = self.locate(offset, len);
        // SAFETY: `locate` found `len` bytes of one live block or map. The reference came from the
        // writer, which wrote them before and writes there again only after our pin has passed the
        // transaction that freed them; that needs `&mut` of the tree that `&self` is borrowed from.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    fn blob(&self, blob: BlobRef) -> &[u8] {
        let len = blob_len(blob);
        if len == 0 {
            return &[];
        }
        if len < LONG {
            return self.bytes(blob.offset(), len);
        }
        self.bytes(blob.offset(), long_len(self.bytes(blob.offset() - 8, LONG_PREFIX)))
    }
}

fn blob_len(blob: BlobRef) -> usize {
    usize::try_from(blob.length()).expect("24 bits")
}

fn blob_ref(offset: u64, len: usize) -> BlobRef {
    BlobRef::new(offset, len as u64).expect("the arena has 40 bits of address, and 0 is no slot")
}

fn long_len(prefix: &[u8]) -> usize {
    let len = u64::from_le_bytes(prefix.try_into().expect("a prefix has eight bytes"));
    usize::try_from(len).unwrap_or(usize::MAX).min(BLOB_BYTES_MAX)
}

/// How far a holder has come: the transactions that it applied. Dropped, it holds nothing back.
pub(super) struct Pin(Arc<AtomicU64>);

impl Pin {
    fn new(version: u64) -> Self {
        Self(Arc::new(AtomicU64::new(version)))
    }

    /// Everything up to `version` is applied: what it freed is no longer looked at.
    pub(super) fn advance(&mut self, version: u64) {
        self.0.store(version, Ordering::Release);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.store(u64::MAX, Ordering::Release);
    }
}

/// A reader's side of the arena.
pub(super) struct Reader {
    shared: Arc<Shared>,
    /// See [`Pin`].
    pub(super) pin: Pin,
}

impl Reader {
    pub(super) fn blob(&self, blob: BlobRef) -> &[u8] {
        self.shared.blob(blob)
    }

    pub(super) fn bytes(&self, offset: u64, len: usize) -> &[u8] {
        self.shared.bytes(offset, len)
    }
}

/// A slot that is on its way back to its free list.
#[derive(Clone, Copy)]
struct Freed {
    version: u64,
    slot: Slot,
}

/// Offset in the low 40 bits, size class above.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(pub(super) u64);

impl Slot {
    fn new(offset: u64, class: usize) -> Self {
        Self(offset | (class as u64) << OFFSET_BITS)
    }

    fn offset(self) -> u64 {
        self.0 & ((1 << OFFSET_BITS) - 1)
    }

    fn class(self) -> usize {
        (self.0 >> OFFSET_BITS) as usize
    }

    fn chunk(self) -> usize {
        self.offset() as usize / CHUNK
    }
}

/// A queue in pieces, so that it never moves as a whole and an image copies only handles.
#[derive(Default)]
struct Queue {
    pieces: VecDeque<Arc<Vec<Freed>>>,
    front: usize,
    spare: Option<Arc<Vec<Freed>>>,
}

const PIECE: usize = 4096;

impl Queue {
    fn push(&mut self, freed: Freed) {
        if self.pieces.back().is_none_or(|piece| piece.len() == PIECE) {
            let fresh = || Arc::new(Vec::with_capacity(PIECE));
            self.pieces.push_back(self.spare.take().unwrap_or_else(fresh));
        }
        let last = self.pieces.back_mut().expect("one was just pushed");
        if let Some(last) = Arc::get_mut(last) {
            last.push(freed);
            return;
        }
        let mut copy = Vec::with_capacity(PIECE);
        copy.extend_from_slice(last);
        copy.push(freed);
        *last = Arc::new(copy);
    }

    fn peek(&self) -> Option<Freed> {
        self.pieces.front()?.get(self.front).copied()
    }

    fn pop(&mut self) {
        self.front += 1;
        let done = self.pieces.front().is_some_and(|piece| piece.len() == self.front);
        if !done {
            return;
        }
        self.front = 0;
        let mut piece = self.pieces.pop_front().expect("it is there");
        if let Some(inner) = Arc::get_mut(&mut piece) {
            inner.clear();
            self.spare = Some(piece);
        }
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn snapshot(&self) -> Vec<Arc<Vec<Freed>>> {
        self.pieces.iter().cloned().collect()
    }
}

/// A free list of one class, linked through the first eight bytes of its slots. 0 ends it.
#[derive(Clone, Copy, Default)]
struct List {
    head: u64,
    tail: u64,
}

/// What the writer knows of a chunk.
enum ChunkState {
    Owned,
    /// In the map; slots that died there, and their bytes.
    Borrowed {
        dead: Arc<Vec<u64>>,
        dead_bytes: usize,
    },
}

/// An image that is being written: its pin, and what it covers.
struct Covered {
    pin: Arc<AtomicU64>,
    limit: u64,
    open: std::ops::Range<u64>,
}

impl Covered {
    fn covers(&self, offset: u64) -> bool {
        offset < self.limit && !self.open.contains(&offset)
    }
}

/// The one that lays bytes down. See the module's head for its rules.
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// The next free byte of the open chunk, and its end. Equal when there is no open chunk.
    next: u64,
    end: u64,
    chunks: Vec<ChunkState>,
    free: Vec<List>,
    /// Free lists inside borrowed chunks, as an image left them: heads only, popped last.
    cold: Vec<Vec<u64>>,
    /// Free lists that an image under way covers.
    frozen: Vec<List>,
    waiting: Queue,
    held: Queue,
    readers: Vec<Arc<AtomicU64>>,
    images: Vec<Covered>,
    /// Bytes of slots in use.
    used: u64,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self::over(Vec::new())
    }

    fn over(maps: Vec<Bytes>) -> Self {
        Self {
            shared: Arc::new(Shared::new(maps)),
            next: 0,
            end: 0,
            chunks: Vec::new(),
            free: vec![List::default(); CLASSES],
            cold: vec![Vec::new(); CLASSES],
            frozen: vec![List::default(); CLASSES],
            waiting: Queue::default(),
            held: Queue::default(),
            readers: Vec::new(),
            images: Vec::new(),
            used: 0,
        }
    }

    /// The arena of an image: see [`ArenaImage`] for the parts.
    pub(super) fn from_image(parts: &Loaded, map: &Bytes) -> Result<Self, &'static str> {
        let mut writer = Self::over(vec![map.clone()]);
        if parts.chunks.len() > CHUNKS_MAX {
            return Err("more chunks than an arena has");
        }
        let open_chunk = parts.chunks.iter().position(|chunk| chunk.len() != CHUNK);
        for (number, chunk) in parts.chunks.iter().enumerate() {
            if chunk.len() == CHUNK {
                let start = chunk.as_ptr().cast_mut();
                writer.shared.table[number].store(start, Ordering::Release);
                let dead = Arc::new(Vec::new());
                writer.chunks.push(ChunkState::Borrowed { dead, dead_bytes: 0 });
                continue;
            }
            if open_chunk != Some(number) || chunk.len() > CHUNK {
                return Err("a chunk of the wrong length");
            }
            let number = writer.add_block(1);
            let start = (number * CHUNK) as u64;
            writer.write(start, chunk);
            writer.next = start + (chunk.len() as u64).next_multiple_of(8).max(8);
            writer.end = start + CHUNK as u64;
        }
        let limit = (parts.chunks.len() * CHUNK) as u64;
        for &(class, head) in parts.heads {
            if class >= CLASSES as u64 || head + 8 > limit || head % 4 != 0 {
                return Err("a free list outside of the arena");
            }
            writer.cold[class as usize].push(head);
        }
        for &slot in parts.dead {
            let slot = Slot(slot);
            if slot.class() >= CLASSES || slot.offset() + 8 > limit {
                return Err("a dead slot outside of the arena");
            }
            writer.waiting.push(Freed { version: 0, slot });
        }
        writer.used = parts.used;
        Ok(writer)
    }

    pub(super) fn blob(&self, blob: BlobRef) -> &[u8] {
        self.shared.blob(blob)
    }

    pub(super) fn bytes(&self, offset: u64, len: usize) -> &[u8] {
        self.shared.bytes(offset, len)
    }

    /// A further reader, which has applied `version` transactions.
    pub(super) fn reader(&mut self, version: u64) -> Reader {
        let pin = Pin::new(version);
        self.readers.push(Arc::clone(&pin.0));
        Reader { shared: Arc::clone(&self.shared), pin }
    }

    /// Lays down a blob.
    pub(super) fn put(&mut self, bytes: &[u8]) -> BlobRef {
        let len = bytes.len();
        if len == 0 {
            return blob_ref(0, 0);
        }
        if len < LONG {
            let offset = self.take_slot(len);
            self.write(offset, bytes);
            return blob_ref(offset, len);
        }
        let offset = self.take_slot(len + LONG_PREFIX);
        self.write(offset, &(len as u64).to_le_bytes());
        self.write(offset + 8, bytes);
        blob_ref(offset + 8, LONG)
    }

    /// Lays down bytes after a prefix of the caller's; the reference is to the bytes.
    pub(super) fn put_prefixed(&mut self, prefix: &[u8], bytes: &[u8]) -> u64 {
        let offset = self.take_slot(prefix.len() + bytes.len());
        self.write(offset, prefix);
        self.write(offset + prefix.len() as u64, bytes);
        offset + prefix.len() as u64
    }

    /// A blob that the transaction `version` took out of use.
    pub(super) fn free(&mut self, blob: BlobRef, version: u64) {
        match blob_len(blob) {
            0 => {}
            len if len < LONG => self.free_bytes(blob.offset(), len, version),
            _ => {
                let len = self.blob(blob).len();
                self.free_bytes(blob.offset() - 8, len + LONG_PREFIX, version);
            }
        }
    }

    /// The slot of `len` bytes at `offset` went out of use with the transaction `version`.
    pub(super) fn free_bytes(&mut self, offset: u64, len: usize, version: u64) {
        let (class, size) = class_of(len);
        self.used -= size as u64;
        self.waiting.push(Freed { version, slot: Slot::new(offset, class) });
    }

    /// Bytes of slots in use.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Bytes of chunks, borrowed ones included.
    pub(super) fn capacity(&self) -> u64 {
        (self.chunks.len() * CHUNK) as u64
    }

    /// Gives slots back that nobody looks at any more; a bounded number of them.
    pub(super) fn collect(&mut self) {
        if self.waiting.is_empty() && self.held.is_empty() && self.images.is_empty() {
            return;
        }
        self.end_images();
        let mut passed = u64::MAX;
        self.readers.retain(|pin| {
            // Acquire: what the reader read happened before we write there.
            let version = pin.load(Ordering::Acquire);
            passed = passed.min(version);
            version != u64::MAX
        });
        for _ in 0..COLLECT_MAX {
            let Some(freed) = self.waiting.peek().filter(|freed| freed.version <= passed) else {
                break;
            };
            self.waiting.pop();
            if self.images.iter().any(|image| image.covers(freed.slot.offset())) {
                self.held.push(freed);
            } else {
                self.release(freed.slot);
            }
        }
        if self.images.is_empty() {
            for _ in 0..COLLECT_MAX {
                let Some(freed) = self.held.peek() else { break };
                self.held.pop();
                self.release(freed.slot);
            }
        }
    }

    /// Forgets images that are done; after the last, their free lists are the writer's again.
    fn end_images(&mut self) {
        let before = self.images.len();
        self.images.retain(|image| image.pin.load(Ordering::Acquire) != u64::MAX);
        if before == 0 || !self.images.is_empty() {
            return;
        }
        for class in 0..CLASSES {
            let frozen = std::mem::take(&mut self.frozen[class]);
            if frozen.head == 0 {
                continue;
            }
            let live = self.free[class];
            if live.head == 0 {
                self.free[class] = frozen;
            } else {
                self.write(live.tail, &frozen.head.to_le_bytes());
                self.free[class].tail = frozen.tail;
            }
        }
    }

    /// Puts a slot on its free list, or on its borrowed chunk's list of the dead.
    fn release(&mut self, slot: Slot) {
        let (chunk, class) = (slot.chunk(), slot.class());
        if let ChunkState::Borrowed { dead, dead_bytes } = &mut self.chunks[chunk] {
            Arc::make_mut(dead).push(slot.0);
            *dead_bytes += class_size(class);
            if *dead_bytes >= CHUNK / 4 && class_size(class) < CHUNK / 2 {
                self.adopt(chunk);
            }
            return;
        }
        let list = self.free[class];
        self.write(slot.offset(), &list.head.to_le_bytes());
        self.free[class].head = slot.offset();
        if list.head == 0 {
            self.free[class].tail = slot.offset();
        }
    }

    /// Makes a borrowed chunk our own, and its dead slots free.
    fn adopt(&mut self, chunk: usize) {
        let ChunkState::Borrowed { dead, .. } = &mut self.chunks[chunk] else {
            return;
        };
        let dead = std::mem::take(dead);
        let block = Block::new(1);
        let old = self.shared.table[chunk].load(Ordering::Acquire);
        // SAFETY: `old` leads to a whole chunk of the map, the block is a chunk of fresh memory
        // that nobody else knows yet.
        unsafe { ptr::copy_nonoverlapping(old, block.start, CHUNK) };
        self.shared.table[chunk].store(block.start, Ordering::Release);
        self.keep(block);
        self.chunks[chunk] = ChunkState::Owned;
        for &slot in dead.iter() {
            self.release(Slot(slot));
        }
    }

    /// A slot for `len` bytes.
    fn take_slot(&mut self, len: usize) -> u64 {
        assert!(len <= BLOB_BYTES_MAX, "a blob of {len} bytes");
        let (class, size) = class_of(len);
        self.used += size as u64;
        if self.free[class].head == 0 && !self.waiting.is_empty() {
            self.collect();
        }
        let list = self.free[class];
        if list.head != 0 {
            self.free[class].head = self.link(list.head);
            return list.head;
        }
        if self.images.is_empty()
            && let Some(offset) = self.take_cold(class)
        {
            return offset;
        }
        if size > CHUNK / 2 {
            return (self.add_block(size.div_ceil(CHUNK)) * CHUNK) as u64;
        }
        if self.end - self.next < size as u64 {
            self.open_chunk();
        }
        let offset = self.next;
        self.next += size as u64;
        offset
    }

    /// A slot that an image left free. Only while no image is under way, since it may cover it.
    fn take_cold(&mut self, class: usize) -> Option<u64> {
        let head = self.cold[class].pop()?;
        for chunk in
            Slot::new(head, class).chunk()..=(head as usize + class_size(class) - 1) / CHUNK
        {
            if class_size(class) > CHUNK / 2 {
                return None; // Long blobs in a map are left alone: adopting copies single chunks.
            }
            self.adopt(chunk);
        }
        let next = self.link(head);
        if next != 0 {
            self.cold[class].push(next);
        }
        Some(head)
    }

    fn link(&self, slot: u64) -> u64 {
        let link = self.shared.bytes(slot, 8);
        u64::from_le_bytes(link.try_into().expect("eight bytes"))
    }

    /// Opens a new chunk; what is left of the old one becomes a free slot.
    fn open_chunk(&mut self) {
        let rest = usize::try_from(self.end - self.next).expect("a chunk is small");
        if rest >= 8 {
            let (mut class, size) = class_of(rest);
            if size > rest {
                class -= 1;
            }
            let slot = Slot::new(self.next, class);
            if self.images.iter().all(|image| !image.covers(slot.offset())) {
                self.release(slot);
            }
        }
        let chunk = (self.add_block(1) * CHUNK) as u64;
        // Offset 0 is nobody's: it ends free lists.
        self.next = chunk + 8;
        self.end = chunk + CHUNK as u64;
    }

    fn add_block(&mut self, chunks: usize) -> usize {
        let first = self.chunks.len();
        assert!(first + chunks <= CHUNKS_MAX, "the arena is full");
        let block = Block::new(chunks);
        for k in 0..chunks {
            let start = block.start.wrapping_add(k * CHUNK);
            self.shared.table[first + k].store(start, Ordering::Release);
            self.chunks.push(ChunkState::Owned);
        }
        self.keep(block);
        first
    }

    fn keep(&self, block: Block) {
        let blocks = self.shared.blocks.lock();
        blocks.unwrap_or_else(std::sync::PoisonError::into_inner).push(block);
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let to = self.shared.locate(offset, bytes.len());
        assert!(matches!(self.chunks[offset as usize / CHUNK], ChunkState::Owned));
        // SAFETY: `locate` found room in one live block. The slot is ours: fresh, or free and past
        // every pin, so no reference to these bytes exists and `bytes` lies elsewhere.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// What the arena holds now, for a thread that writes it to a file.
    pub(super) fn freeze(&mut self) -> ArenaImage {
        self.collect();
        let pin = Pin::new(0);
        let limit = self.capacity();
        self.images.push(Covered { pin: Arc::clone(&pin.0), limit, open: self.next..self.end });
        let mut heads = Vec::new();
        for class in 0..CLASSES {
            let live = std::mem::take(&mut self.free[class]);
            let frozen = self.frozen[class];
            if live.head != 0 {
                // An earlier image does not cover `live`, and this one has not begun to read.
                self.write(live.tail, &frozen.head.to_le_bytes());
                let tail = if frozen.head == 0 { live.tail } else { frozen.tail };
                self.frozen[class] = List { head: live.head, tail };
            }
            let heads_of_class = self.cold[class].iter().copied().chain([self.frozen[class].head]);
            heads.extend(heads_of_class.filter(|head| *head != 0).map(|head| (class as u64, head)));
        }
        let parts = self.chunks.iter().enumerate().map(|(number, _)| {
            let start = (number * CHUNK) as u64;
            let open = start + CHUNK as u64 == self.end;
            let len = if open { self.next - start } else { CHUNK as u64 };
            (self.shared.locate(start, 1).cast_const(), usize::try_from(len).expect("small"))
        });
        let mut dead = self.waiting.snapshot();
        dead.extend(self.held.snapshot());
        let borrowed = self.chunks.iter().filter_map(|chunk| match chunk {
            ChunkState::Borrowed { dead, .. } if !dead.is_empty() => Some(Arc::clone(dead)),
            ChunkState::Borrowed { .. } | ChunkState::Owned => None,
        });
        ArenaImage {
            parts: parts.collect(),
            heads,
            dead_in_chunks: borrowed.collect(),
            dead,
            skip: [self.waiting.front, self.held.front],
            waiting_pieces: self.waiting.pieces.len(),
            used: self.used,
            _shared: Arc::clone(&self.shared),
            _pin: pin,
        }
    }
}

/// The arena at one moment. Chunks are read from other threads while the writer goes on: it does
/// not touch what is covered until this is dropped.
pub(super) struct ArenaImage {
    parts: Vec<(*const u8, usize)>,
    /// Class and first slot of each free list.
    pub(super) heads: Vec<(u64, u64)>,
    dead_in_chunks: Vec<Arc<Vec<u64>>>,
    dead: Vec<Arc<Vec<Freed>>>,
    skip: [usize; 2],
    waiting_pieces: usize,
    /// Bytes of slots in use.
    pub(super) used: u64,
    // Order matters: the pin ends before the memory may.
    _pin: Pin,
    _shared: Arc<Shared>,
}

// SAFETY: the pointers lead into `_shared`, and the pin keeps the writer from those bytes.
unsafe impl Send for ArenaImage {}
// SAFETY: as above; an image is only read.
unsafe impl Sync for ArenaImage {}

impl ArenaImage {
    /// The used bytes of each chunk, in order. All are whole but the open one.
    pub(super) fn chunks(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.parts.iter().map(|&(start, len)| {
            // SAFETY: within a live chunk (`_shared`); covered by our pin, so nobody writes there
            // while `self` is borrowed.
            unsafe { std::slice::from_raw_parts(start, len) }
        })
    }

    /// Slots that are neither used nor on a free list yet.
    pub(super) fn dead(&self) -> Vec<u64> {
        let mut all: Vec<u64> =
            self.dead_in_chunks.iter().flat_map(|d| d.iter().copied()).collect();
        for (number, piece) in self.dead.iter().enumerate() {
            let skip = match number {
                0 if self.waiting_pieces > 0 => self.skip[0],
                n if n == self.waiting_pieces => self.skip[1],
                _ => 0,
            };
            all.extend(piece[skip..].iter().map(|freed| freed.slot.0));
        }
        all
    }
}

/// What [`Writer::from_image`] is made of: slices of a mapped image.
pub(super) struct Loaded<'a> {
    /// Every chunk; one may be shorter than [`CHUNK`], the one that was open.
    pub(super) chunks: &'a [&'a [u8]],
    /// Class and first slot of each free list.
    pub(super) heads: &'a [(u64, u64)],
    /// See [`ArenaImage::dead`].
    pub(super) dead: &'a [u64],
    /// Bytes of slots in use.
    pub(super) used: u64,
}

/// The size class for `len` bytes, and the bytes of its slots: multiples of 4 up to 128, then eight
/// steps to each doubling.
fn class_of(len: usize) -> (usize, usize) {
    if len <= 128 {
        let size = len.next_multiple_of(4).max(8);
        return ((size - 8) / 4, size);
    }
    let doubling = (len - 1).ilog2();
    let size = len.next_multiple_of(1 << (doubling - 3));
    let step = ((size - 1) >> (doubling - 3)) & 7;
    (31 + (doubling as usize - 7) * 8 + step, size)
}

/// The bytes of a slot of `class`.
fn class_size(class: usize) -> usize {
    if class < 31 {
        return 8 + 4 * class;
    }
    let (doubling, step) = (7 + (class - 31) / 8, (class - 31) % 8);
    (9 + step) << (doubling - 3)
}
