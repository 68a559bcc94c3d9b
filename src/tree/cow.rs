//! Arrays that are cheap to copy whole: pieces behind counters, copied when first changed.
//!
//! A tree's structs, side records and index live in these, so that an image of the tree, or a
//! further core's tree, is a copy of handles. A piece may also lie in a mapped snapshot file.

use std::sync::Arc;

use bytemuck::Pod;
use bytes::Bytes;

/// Items of one piece. A piece of znodes is 52 KiB: a first touch copies it in about 10 µs.
pub(super) const PIECE: usize = 1024;

/// One piece: ours, shared, or in a map.
#[derive(Clone)]
pub(super) enum Piece<T: Pod> {
    /// On the heap. Changed in place when nobody shares it.
    Heap(Arc<[T]>),
    /// In a mapped file: aligned, and a whole number of items (checked in [`Piece::mapped`]).
    Mapped(Bytes),
}

impl<T: Pod> Piece<T> {
    /// `len` items of zero bytes.
    pub(super) fn zeroed(len: usize) -> Self {
        Self::Heap(std::iter::repeat_n(T::zeroed(), len).collect())
    }

    /// Items in a map. `None` if the bytes are not aligned or not whole items.
    pub(super) fn mapped(bytes: Bytes) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(&bytes).ok()?;
        Some(Self::Mapped(bytes))
    }

    pub(super) fn items(&self) -> &[T] {
        match self {
            Self::Heap(items) => items,
            Self::Mapped(bytes) => bytemuck::cast_slice(bytes),
        }
    }

    /// The items to change; copied first if an image or another tree has them too.
    pub(super) fn items_mut(&mut self) -> &mut [T] {
        if let Self::Mapped(bytes) = self {
            *self = Self::Heap(bytemuck::cast_slice(bytes).into());
        }
        match self {
            Self::Heap(items) => Arc::make_mut(items),
            Self::Mapped(_) => unreachable!("it was just copied to the heap"),
        }
    }
}

/// A growing array of [`Piece`]s. Item 0 is there from the start and means "none" to most users.
#[derive(Clone)]
pub(super) struct Slab<T: Pod> {
    pieces: Vec<Piece<T>>,
    len: u32,
}

impl<T: Pod> Slab<T> {
    /// One zeroed item.
    pub(super) fn new() -> Self {
        Self { pieces: vec![Piece::zeroed(PIECE)], len: 1 }
    }

    /// From a map's bytes: whole pieces, of which `len` items are in use.
    pub(super) fn from_map(bytes: &Bytes, len: u64) -> Option<Self> {
        let size = PIECE * size_of::<T>();
        let len = u32::try_from(len).ok().filter(|len| *len > 0)?;
        let pieces = usize::try_from(len).ok()?.div_ceil(PIECE);
        if bytes.len() != pieces * size {
            return None;
        }
        let piece = |k: usize| Piece::mapped(bytes.slice(k * size..(k + 1) * size));
        Some(Self { pieces: (0..pieces).map(piece).collect::<Option<_>>()?, len })
    }

    /// Items in use.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn get(&self, id: u32) -> &T {
        let id = widen(id);
        &self.pieces[id / PIECE].items()[id % PIECE]
    }

    pub(super) fn get_mut(&mut self, id: u32) -> &mut T {
        let id = widen(id);
        &mut self.pieces[id / PIECE].items_mut()[id % PIECE]
    }

    /// Appends an item and says its number.
    pub(super) fn push(&mut self, item: T) -> u32 {
        let id = self.len;
        assert!(id < u32::MAX, "a slab has at most 2^32 - 1 items");
        if widen(id) == self.pieces.len() * PIECE {
            self.pieces.push(Piece::zeroed(PIECE));
        }
        self.len += 1;
        *self.get_mut(id) = item;
        id
    }

    /// Takes the last item off.
    pub(super) fn pop(&mut self) {
        assert!(self.len > 1, "item 0 stays");
        self.len -= 1;
    }

    /// The bytes of each piece, for an image.
    pub(super) fn piece_bytes(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let used = widen(self.len).div_ceil(PIECE);
        self.pieces[..used].iter().map(|piece| bytemuck::cast_slice(piece.items()))
    }
}

/// A `u32` as an index.
pub(super) fn widen(id: u32) -> usize {
    usize::try_from(id).expect("a usize has 32 bits or more")
}
