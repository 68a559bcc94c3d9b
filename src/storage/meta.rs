//! The metadata block: what a server has promised, kept twice.
//!
//! Two slots of one block each in the file `meta`. A change is written to one slot, made durable,
//! then to the other; only then does it count as done. So a power cut leaves at least one whole
//! slot, and one damaged slot never takes the latest promise with it.

use super::block::{BLOCK_BYTES, Blocks, to_u64};
use super::disk::{Completion, Dir, Disk, Durability, Name, OpId, Write};
use super::error::Error;
use super::log_format::{Identity, VERSION};
use crate::types::{Generation, ServerId, Zxid};

const MAGIC: u64 = u64::from_le_bytes(*b"RKMETA\0\0");
const CRC_AT: usize = BLOCK_BYTES - 4;

/// A vote that was cast, as it must outlive the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vote {
    /// Whom for.
    pub leader: ServerId,
    /// The candidate's last zxid.
    pub zxid: Zxid,
    /// The candidate's epoch.
    pub epoch: i64,
    /// The election round.
    pub round: i64,
}

/// What a server must not forget besides its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The highest epoch that was promised to a leader (ACKEPOCH).
    pub accepted_epoch: i64,
    /// The epoch whose history the log holds. Never above `accepted_epoch`.
    pub current_epoch: i64,
    /// The last vote.
    pub vote: Vote,
    /// Entries and snapshots after this zxid are being removed; recovery finishes it.
    pub truncate_to: Option<Zxid>,
    /// The state is being replaced by a leader's: until it is whole, this server abstains.
    pub syncing: bool,
}

/// One slot's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    identity: Identity,
    sequence: u64,
    /// A segment was begun: from now on a directory without one has lost its log.
    log_begun: bool,
    meta: Meta,
}

impl Slot {
    fn encode(&self, block: &mut [u8]) {
        block.fill(0);
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            block[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        let meta = &self.meta;
        put(&MAGIC.to_le_bytes());
        put(&u64::from(VERSION).to_le_bytes());
        put(&self.identity.0);
        put(&self.sequence.to_le_bytes());
        put(&meta.accepted_epoch.to_le_bytes());
        put(&meta.current_epoch.to_le_bytes());
        put(&meta.vote.leader.0.to_le_bytes());
        put(&meta.vote.zxid.0.to_le_bytes());
        put(&meta.vote.epoch.to_le_bytes());
        put(&meta.vote.round.to_le_bytes());
        put(&u64::from(meta.truncate_to.is_some()).to_le_bytes());
        put(&meta.truncate_to.unwrap_or_default().0.to_le_bytes());
        put(&u64::from(meta.syncing).to_le_bytes());
        put(&u64::from(self.log_begun).to_le_bytes());
        let crc = crc32c::crc32c(&block[..CRC_AT]);
        block[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    }

    /// `Err` holds a newer version's number, if it is that.
    fn decode(block: &[u8]) -> Result<Self, Option<u32>> {
        let field = |index: usize| {
            let bytes = &block[index * 8..index * 8 + 8];
            u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
        };
        let signed = |index: usize| field(index).cast_signed();
        let crc = crc32c::crc32c(&block[..CRC_AT]).to_le_bytes();
        if block[CRC_AT..] != crc || field(0) != MAGIC {
            return Err(None);
        }
        if field(1) > u64::from(VERSION) {
            return Err(Some(u32::try_from(field(1)).unwrap_or(u32::MAX)));
        }
        let vote = Vote {
            leader: ServerId(signed(7)),
            zxid: Zxid(signed(8)),
            epoch: signed(9),
            round: signed(10),
        };
        let meta = Meta {
            accepted_epoch: signed(5),
            current_epoch: signed(6),
            vote,
            truncate_to: (field(11) != 0).then(|| Zxid(signed(12))),
            syncing: field(13) != 0,
        };
        let identity = Identity(block[16..32].try_into().expect("sixteen bytes"));
        Ok(Self { identity, sequence: field(4), log_begun: field(14) != 0, meta })
    }

    fn blocks(&self) -> Blocks {
        let mut blocks = Blocks::zeroed(BLOCK_BYTES);
        self.encode(blocks.bytes_mut());
        blocks
    }
}

/// What the file `meta` says.
#[derive(Debug)]
pub enum Found {
    /// There is no such file.
    Absent,
    /// Both slots are unreadable: the promises are not known.
    Unreadable,
    /// A version that this program does not know.
    Newer(u32),
    /// At least one slot is good.
    Good {
        /// The newest.
        store: Box<MetaStore>,
        /// The other slot is damaged or behind, and must be written again.
        repair: bool,
        /// The other slot is damaged.
        damaged: bool,
    },
}

/// Reads both slots.
pub fn read<D: Disk>(disk: &mut D) -> Result<Found, Error> {
    let path = disk.path(Name::Meta);
    let files = disk.list(Dir::Log).map_err(Error::io("listing", &path))?;
    if !files.iter().any(|file| file.name == Name::Meta) {
        return Ok(Found::Absent);
    }
    let mut blocks = Blocks::zeroed(2 * BLOCK_BYTES);
    disk.read(Name::Meta, 0, blocks.as_blocks_mut()).map_err(Error::io("reading", &path))?;
    let (first, second) = blocks.bytes().split_at(BLOCK_BYTES);
    Ok(match (Slot::decode(first), Slot::decode(second)) {
        (Err(Some(version)), _) | (_, Err(Some(version))) => Found::Newer(version),
        (Err(None), Err(None)) => Found::Unreadable,
        (Ok(a), Ok(b)) => {
            let (newest, lagging) = if b.sequence > a.sequence { (b, 0) } else { (a, 1) };
            let store = Box::new(MetaStore::new(newest, lagging));
            Found::Good { store, repair: a != b, damaged: false }
        }
        (Ok(slot), Err(None)) => {
            let store = Box::new(MetaStore::new(slot, 1));
            Found::Good { store, repair: true, damaged: true }
        }
        (Err(None), Ok(slot)) => {
            let store = Box::new(MetaStore::new(slot, 0));
            Found::Good { store, repair: true, damaged: true }
        }
    })
}

/// Founds a directory: the file `meta` with both slots, under its name, the name synced.
pub fn found<D: Disk>(disk: &mut D, identity: Identity) -> Result<MetaStore, Error> {
    let path = disk.path(Name::MetaTemp);
    let slot = Slot { identity, sequence: 1, log_begun: false, meta: Meta::default() };
    let mut both = Blocks::zeroed(2 * BLOCK_BYTES);
    let (first, second) = both.bytes_mut().split_at_mut(BLOCK_BYTES);
    slot.encode(first);
    slot.encode(second);
    disk.create(Name::MetaTemp).map_err(Error::io("creating", &path))?;
    disk.write(Name::MetaTemp, 0, both.as_blocks(), Durability::Later)
        .map_err(Error::io("writing", &path))?;
    disk.sync(Name::MetaTemp).map_err(Error::io("syncing", &path))?;
    disk.rename(Name::MetaTemp, Name::Meta).map_err(Error::io("renaming", &path))?;
    disk.sync_dir(Dir::Log).map_err(Error::io("syncing the directory of", &path))?;
    Ok(MetaStore::new(slot, 0))
}

/// A change of the metadata block is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaDurable {
    /// What is durable.
    pub meta: Meta,
    /// Who asked for it.
    pub generation: Generation,
}

/// The metadata block's writer: a machine without files, like [`super::log::Log`].
#[derive(Debug)]
pub struct MetaStore {
    current: Slot,
    /// The slot to write first: never the one that alone holds what is current.
    first: u64,
    change: Option<Change>,
    next_op: u64,
}

struct Change {
    slot: Slot,
    generation: Generation,
    blocks: Blocks,
    /// Which of the two slots is being written, and whether it is the second of them.
    slot_index: u64,
    second: bool,
    op: Option<OpId>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} in slot {}", self.slot, self.slot_index)
    }
}

/// Set in the names of this machine's writes, so that they differ from the log's.
const OP_BIT: u64 = 1 << 63;

impl MetaStore {
    fn new(current: Slot, first: u64) -> Self {
        Self { current, first, change: None, next_op: 1 }
    }

    /// Whose directory.
    pub fn identity(&self) -> Identity {
        self.current.identity
    }

    /// What is durable in both slots.
    pub fn meta(&self) -> Meta {
        self.current.meta
    }

    /// Whether the directory ever had a log.
    pub fn is_log_begun(&self) -> bool {
        self.current.log_begun
    }

    /// Remembers for good that there is a log. Blocking, once in a directory's life.
    pub fn remember_log<D: Disk>(&mut self, disk: &mut D) -> Result<(), Error> {
        self.current.log_begun = true;
        let meta = self.current.meta;
        self.store_blocking(disk, meta)
    }

    /// Whether that write was made by this machine and not by the log.
    pub fn is_mine(op: OpId) -> bool {
        op.0 & OP_BIT != 0
    }

    /// Whether a change is under way; the next one must wait for it.
    pub fn is_busy(&self) -> bool {
        self.change.is_some()
    }

    /// Begins a change. One at a time.
    pub fn store(&mut self, meta: Meta, generation: Generation) {
        assert!(self.change.is_none(), "one change of the metadata block at a time");
        assert!(meta.accepted_epoch >= self.current.meta.accepted_epoch, "an epoch went back");
        assert!(meta.current_epoch >= self.current.meta.current_epoch, "an epoch went back");
        assert!(meta.current_epoch <= meta.accepted_epoch, "an epoch that nobody promised");
        let sequence = self.current.sequence + 1;
        let slot = Slot { sequence, meta, ..self.current };
        self.change = Some(Change {
            slot,
            generation,
            blocks: slot.blocks(),
            slot_index: self.first,
            second: false,
            op: None,
        });
    }

    /// The next write to carry out, if there is one.
    pub fn next_write(&mut self) -> Option<Write<'_>> {
        let change = self.change.as_mut().filter(|change| change.op.is_none())?;
        let op = OpId(OP_BIT | self.next_op);
        self.next_op += 1;
        change.op = Some(op);
        self.write_of(op)
    }

    /// The write of that name again, as long as it is under way.
    pub fn write_of(&self, op: OpId) -> Option<Write<'_>> {
        let change = self.change.as_ref().filter(|change| change.op == Some(op))?;
        let offset = change.slot_index * to_u64(BLOCK_BYTES);
        let blocks = change.blocks.as_blocks();
        Some(Write { op, file: Name::Meta, offset, blocks, registered: None })
    }

    /// Takes the answer to a write; the change, if it is done with it.
    ///
    /// # Errors
    /// A write failed or was short: the process must stop.
    pub fn complete(&mut self, done: Completion) -> Result<Option<MetaDurable>, Error> {
        let change = self.change.as_mut().expect("a completion follows a write");
        assert!(change.op == Some(done.op), "{:?} was not under way", done.op);
        let offset = change.slot_index * to_u64(BLOCK_BYTES);
        let errno = match done.result {
            Ok(BLOCK_BYTES) => None,
            Ok(_) => Some(libc::EIO),
            Err(errno) => Some(errno),
        };
        if let Some(errno) = errno {
            let source = std::io::Error::from_raw_os_error(errno);
            return Err(Error::Write { file: Name::Meta, offset, source });
        }
        change.op = None;
        if !change.second {
            change.second = true;
            change.slot_index ^= 1;
            return Ok(None);
        }
        let change = self.change.take().expect("looked at above");
        self.current = change.slot;
        Ok(Some(MetaDurable { meta: change.slot.meta, generation: change.generation }))
    }

    /// Changes the block with blocking calls: at start, and around a truncation.
    pub fn store_blocking<D: Disk>(&mut self, disk: &mut D, meta: Meta) -> Result<(), Error> {
        self.store(meta, Generation::default());
        let path = disk.path(Name::Meta);
        if crate::mutant!("metadata-slots-not-alternated") {
            let slot = self.change.take().expect("stored above").slot;
            for offset in [0, to_u64(BLOCK_BYTES)] {
                disk.write(Name::Meta, offset, slot.blocks().as_blocks(), Durability::Later)
                    .map_err(Error::io("writing", &path))?;
            }
            disk.sync(Name::Meta).map_err(Error::io("syncing", &path))?;
            self.current = slot;
            return Ok(());
        }
        while let Some(write) = self.next_write() {
            let op = write.op;
            disk.write(write.file, write.offset, write.blocks, Durability::Now)
                .map_err(Error::io("writing", &path))?;
            self.complete(Completion { op, result: Ok(BLOCK_BYTES) })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_comes_back_and_every_flipped_bit_is_seen() {
        let meta = Meta {
            accepted_epoch: 7,
            current_epoch: 6,
            vote: Vote { leader: ServerId(-3), zxid: Zxid::new(5, 5), epoch: 5, round: 9 },
            truncate_to: Some(Zxid::new(5, 4)),
            syncing: true,
        };
        let slot = Slot { identity: Identity([3; 16]), sequence: 12, log_begun: true, meta };
        let mut block = [0; BLOCK_BYTES];
        slot.encode(&mut block);
        assert_eq!(Slot::decode(&block), Ok(slot));
        for bit in 0..BLOCK_BYTES * 8 {
            block[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Slot::decode(&block), Err(None), "bit {bit}");
            block[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(Slot::decode(&[0; BLOCK_BYTES]), Err(None));
    }
}
