//! Memory that a disk can be handed directly: whole, aligned blocks.
//!
//! `O_DIRECT` wants address, length and offset aligned; the rules of the log want that no two
//! writes share a block. One type serves both, so that a misaligned write cannot be expressed.

use bytemuck::{Pod, Zeroable};

/// Bytes of a block: the unit of every write, and the alignment of every buffer.
pub const BLOCK_BYTES: usize = 4096;

/// Bytes of a sector: the unit that a power cut leaves either old or new.
pub const SECTOR_BYTES: usize = 512;

/// One aligned block.
#[repr(C, align(4096))]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block([u8; BLOCK_BYTES]);

/// A growable run of bytes in aligned blocks. What was grown once is kept when cleared, so that
/// reuse allocates nothing.
#[derive(Clone, Default)]
pub struct Blocks {
    blocks: Vec<Block>,
    /// Bytes in use; the last block may be partly filled.
    len: usize,
}

impl Blocks {
    /// Empty, with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut blocks = Self::default();
        blocks.grow(bytes);
        blocks
    }

    /// `bytes` zero bytes.
    pub fn zeroed(bytes: usize) -> Self {
        let mut blocks = Self::with_capacity(bytes);
        blocks.len = bytes;
        blocks
    }

    fn grow(&mut self, bytes: usize) {
        let needed = bytes.div_ceil(BLOCK_BYTES);
        if needed > self.blocks.len() {
            self.blocks.resize(needed, Block::zeroed());
        }
    }

    /// Bytes in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no byte is in use.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that fit without growing.
    pub fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Forgets the content, keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Uses the first `len` bytes only.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Appends bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        let start = self.len;
        self.grow(start + bytes.len());
        self.len += bytes.len();
        self.bytes_mut()[start..].copy_from_slice(bytes);
    }

    /// Appends `count` zero bytes.
    pub fn extend_zeros(&mut self, count: usize) {
        let start = self.len;
        self.grow(start + count);
        self.len += count;
        self.bytes_mut()[start..].fill(0);
    }

    /// Appends zeros up to the next whole block.
    pub fn pad_to_block(&mut self) {
        self.extend_zeros(self.len.next_multiple_of(BLOCK_BYTES) - self.len);
    }

    /// What is in use.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len]
    }

    /// What is in use, to change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len]
    }

    /// What is in use, as whole blocks; the length is a multiple of a block.
    pub fn as_blocks(&self) -> &[Block] {
        assert!(self.len.is_multiple_of(BLOCK_BYTES), "a write is whole blocks: {}", self.len);
        &self.blocks[..self.len / BLOCK_BYTES]
    }

    /// What is in use, as whole blocks to read into.
    pub fn as_blocks_mut(&mut self) -> &mut [Block] {
        assert!(self.len.is_multiple_of(BLOCK_BYTES), "a read is whole blocks: {}", self.len);
        &mut self.blocks[..self.len / BLOCK_BYTES]
    }

    /// Where the memory begins, for a ring that wants it registered.
    pub fn address(&self) -> *const u8 {
        self.blocks.as_ptr().cast()
    }
}

/// Blocks as bytes.
pub fn bytes_of(blocks: &[Block]) -> &[u8] {
    bytemuck::cast_slice(blocks)
}

/// Blocks as bytes, to change.
pub fn bytes_of_mut(blocks: &mut [Block]) -> &mut [u8] {
    bytemuck::cast_slice_mut(blocks)
}

/// Whether all bytes are zero. Compares words, since it walks over megabytes at start.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (head, words, tail) = bytemuck::pod_align_to::<u8, u64>(bytes);
    head.iter().all(|byte| *byte == 0)
        && words.chunks(64).all(|chunk| chunk.iter().fold(0, |seen, word| seen | word) == 0)
        && tail.iter().all(|byte| *byte == 0)
}

/// A length or offset in memory as one in a file.
pub fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("a usize has 64 bits at most")
}

/// A length or offset in a file as one in memory.
pub fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).expect("only 64-bit machines are served")
}
