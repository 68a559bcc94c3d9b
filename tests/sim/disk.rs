//! A disk that forgets, tears and reorders everything that was not synced.
//!
//! What a crash leaves is decided anew for each crash: of every write that was not made durable,
//! each sector is there or not, in any combination; of every change of a name that was not made
//! durable, it happened or it did not, in any combination. What was made durable is there, whole.
//! Nothing else holds the disk to an order.
//!
//! Writes of a ring are modelled by [`SimDisk::submit`] and [`SimDisk::finish`]: between the two
//! any part of them may be on the disk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use ringkeeper::storage::block::{Block, Blocks, SECTOR_BYTES, bytes_of, bytes_of_mut};
use ringkeeper::storage::disk::{Dir, Disk, Durability, Entry, Name, OpId, Write};
use ringkeeper::storage::map::FileBytes;

use crate::rng::Rng;

/// What is on the disk when the power comes back: names and contents, nothing pending.
#[derive(Clone, Default)]
pub struct Image {
    pub files: BTreeMap<Name, Rc<Vec<u8>>>,
}

impl Image {
    /// Flips one bit somewhere; says where.
    pub fn flip(&mut self, rng: &mut Rng) -> Option<String> {
        let names: Vec<Name> =
            self.files.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(n, _)| *n).collect();
        let name = *names.get(rng.below(names.len()))?;
        let bytes = Rc::make_mut(self.files.get_mut(&name)?);
        // Half of the flips hit what is not zero: most of a young file is.
        let mut at = rng.below(bytes.len());
        if rng.percent(70) {
            at = (at..bytes.len()).chain(0..at).find(|at| bytes[*at] != 0).unwrap_or(at);
        }
        bytes[at] ^= 1 << rng.below(8);
        Some(format!("bit flipped in {name} at byte {at}"))
    }

    /// Loses one whole file; says which.
    pub fn lose(&mut self, rng: &mut Rng) -> Option<String> {
        let names: Vec<Name> = self.files.keys().copied().collect();
        let name = *names.get(rng.below(names.len()))?;
        self.files.remove(&name);
        Some(format!("{name} lost"))
    }
}

/// A write that a crash may drop, or keep in part.
#[derive(Clone)]
enum Pending {
    Write { offset: usize, bytes: Rc<[u8]> },
    SetLen(usize),
}

#[derive(Clone, Default)]
struct Inode {
    durable: Rc<Vec<u8>>,
    current: Rc<Vec<u8>>,
    pending: Vec<Pending>,
    /// Of a ring: submitted, not answered.
    in_flight: Vec<(OpId, usize, Rc<[u8]>)>,
}

/// A change of a name that a crash may drop.
#[derive(Clone, Copy)]
enum NameOp {
    Create(Name, usize),
    Rename(Name, Name, usize),
    Remove(Name, usize),
}

impl NameOp {
    fn dir(self) -> Dir {
        match self {
            Self::Create(name, _) | Self::Rename(name, _, _) | Self::Remove(name, _) => name.dir(),
        }
    }

    fn apply(self, names: &mut BTreeMap<Name, usize>) {
        match self {
            Self::Create(name, inode) => {
                names.insert(name, inode);
            }
            Self::Rename(from, to, inode) => {
                if names.get(&from) == Some(&inode) {
                    names.remove(&from);
                }
                names.insert(to, inode);
            }
            Self::Remove(name, inode) => {
                if names.get(&name) == Some(&inode) {
                    names.remove(&name);
                }
            }
        }
    }
}

/// A failure that the disk shall show: from operation `after` on, `count` operations fail.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub after: usize,
    pub count: usize,
    pub errno: i32,
}

/// Everything that the disk knows, durable or not. A clone shares the bytes.
#[derive(Clone, Default)]
pub struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<Name, usize>,
    durable_names: BTreeMap<Name, usize>,
    pending_names: Vec<NameOp>,
    ops: usize,
    fault: Option<Fault>,
    /// Bytes that all files together may have.
    capacity: Option<usize>,
    /// Seconds, for the times of files.
    clock: u64,
}

/// How much a crash keeps.
#[derive(Clone, Copy)]
enum Kept {
    Nothing,
    Everything,
    Wholes,
    Sectors,
}

impl Kept {
    fn any(rng: &mut Rng) -> Self {
        match rng.below(8) {
            0 => Self::Nothing,
            1 => Self::Everything,
            2 | 3 => Self::Wholes,
            _ => Self::Sectors,
        }
    }
}

impl State {
    /// What is there after a power cut in this moment: one of very many possibilities.
    pub fn crash(&self, rng: &mut Rng) -> Image {
        let kept = Kept::any(rng);
        let mut names = self.durable_names.clone();
        let names_kept = Kept::any(rng);
        let prefix = rng.below(self.pending_names.len() + 1);
        for (index, op) in self.pending_names.iter().enumerate() {
            let keep = match names_kept {
                Kept::Nothing => false,
                Kept::Everything => true,
                Kept::Wholes => index < prefix,
                Kept::Sectors => rng.percent(50),
            };
            if keep {
                op.apply(&mut names);
            }
        }
        let files = names.iter().map(|(name, inode)| (*name, self.inodes[*inode].crash(kept, rng)));
        Image { files: files.collect() }
    }

    /// The process is killed, the machine goes on: what was written is there and still not
    /// durable; each write under way happened or did not.
    pub fn kill(&self, rng: &mut Rng) -> Self {
        let mut state = self.clone();
        state.fault = None;
        for inode in &mut state.inodes {
            for (_, offset, bytes) in std::mem::take(&mut inode.in_flight) {
                if rng.percent(50) {
                    put(&mut inode.current, offset, &bytes);
                    inode.pending.push(Pending::Write { offset, bytes });
                }
            }
        }
        state
    }
}

fn put_sectors(bytes: &mut Rc<Vec<u8>>, offset: usize, write: &[u8], kept: Kept, rng: &mut Rng) {
    let whole = rng.percent(50);
    let keep = |rng: &mut Rng| match kept {
        Kept::Nothing => false,
        Kept::Everything => true,
        Kept::Wholes => whole,
        Kept::Sectors => rng.percent(50),
    };
    for (index, sector) in write.chunks(SECTOR_BYTES).enumerate() {
        if keep(rng) {
            let at = offset + index * SECTOR_BYTES;
            put(bytes, at, sector);
        }
    }
}

fn put(bytes: &mut Rc<Vec<u8>>, at: usize, new: &[u8]) {
    let bytes = Rc::make_mut(bytes);
    if bytes.len() < at + new.len() {
        bytes.resize(at + new.len(), 0);
    }
    bytes[at..at + new.len()].copy_from_slice(new);
}

impl Inode {
    fn crash(&self, kept: Kept, rng: &mut Rng) -> Rc<Vec<u8>> {
        let mut bytes = self.durable.clone();
        for pending in &self.pending {
            match pending {
                Pending::Write { offset, bytes: write } => {
                    put_sectors(&mut bytes, *offset, write, kept, rng);
                }
                Pending::SetLen(len) => {
                    let keep = match kept {
                        Kept::Nothing => false,
                        Kept::Everything => true,
                        Kept::Wholes | Kept::Sectors => rng.percent(50),
                    };
                    if keep {
                        Rc::make_mut(&mut bytes).resize(*len, 0);
                    }
                }
            }
        }
        for (_, offset, write) in &self.in_flight {
            put_sectors(&mut bytes, *offset, write, kept, rng);
        }
        bytes
    }
}

/// Called after every step that changes what a crash would leave.
pub type Hook = Rc<dyn Fn(&State)>;

/// The disk as a server has it; clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Rc<RefCell<State>>,
    hook: Option<Hook>,
}

impl SimDisk {
    /// What was left by the last crash.
    pub fn from_image(image: &Image) -> Self {
        let mut state = State::default();
        for (name, bytes) in &image.files {
            let (durable, current) = (bytes.clone(), bytes.clone());
            state.inodes.push(Inode { durable, current, ..Inode::default() });
            state.names.insert(*name, state.inodes.len() - 1);
        }
        state.durable_names = state.names.clone();
        Self::from_state(state)
    }

    /// What another process left behind.
    pub fn from_state(state: State) -> Self {
        Self { state: Rc::new(RefCell::new(state)), hook: None }
    }

    pub fn set_hook(&mut self, hook: Hook) {
        self.hook = Some(hook);
    }

    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state.borrow_mut();
        let after = state.ops;
        state.fault = fault.map(|fault| Fault { after: fault.after + after, ..fault });
    }

    /// Lets files have `more` bytes in all than they have now; fewer, if it is negative.
    pub fn set_room(&self, more: Option<isize>) {
        let mut state = self.state.borrow_mut();
        state.capacity = more.map(|more| state.used().saturating_add_signed(more));
    }

    /// All that the disk knows now.
    pub fn freeze(&self) -> State {
        self.state.borrow().clone()
    }

    fn changed(&self) {
        if let Some(hook) = &self.hook {
            hook(&self.state.borrow());
        }
    }

    /// A ring takes a write.
    pub fn submit(&self, write: &Write) -> Result<(), i32> {
        {
            let mut state = self.state.borrow_mut();
            state.step().map_err(|error| error.raw_os_error().unwrap_or(5))?;
            let inode = *state.names.get(&write.file).expect("a write goes to a file that exists");
            let inode = &mut state.inodes[inode];
            let bytes: Rc<[u8]> = bytes_of(write.blocks).into();
            let offset = write.offset as usize;
            assert!(offset + bytes.len() <= inode.current.len(), "the log never grows a file");
            let overlaps = |(_, at, other): &&(OpId, usize, Rc<[u8]>)| {
                offset < at + other.len() && *at < offset + bytes.len()
            };
            let other = inode.in_flight.iter().find(overlaps);
            assert!(other.is_none(), "two writes under way share a block of {}", write.file);
            inode.in_flight.push((write.op, offset, bytes));
        }
        self.changed();
        Ok(())
    }

    /// The ring answers: the first `count` bytes are durable, of the rest nothing is known.
    pub fn finish(&self, write: &Write, count: usize) {
        {
            let mut state = self.state.borrow_mut();
            let inode = state.names[&write.file];
            let inode = &mut state.inodes[inode];
            let index = inode.in_flight.iter().position(|(op, ..)| *op == write.op);
            let (_, offset, bytes) = inode.in_flight.remove(index.expect("it was submitted"));
            assert!(*bytes == *bytes_of(write.blocks), "a buffer changed under way");
            put(&mut inode.durable, offset, &bytes[..count]);
            put(&mut inode.current, offset, &bytes[..count]);
            if count < bytes.len() {
                let bytes = bytes[count..].into();
                inode.pending.push(Pending::Write { offset: offset + count, bytes });
            }
        }
        self.changed();
    }
}

fn not_found() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

impl State {
    /// Counts an operation; fails it where a fault is due.
    fn step(&mut self) -> io::Result<()> {
        self.ops += 1;
        match self.fault {
            Some(fault) if self.ops > fault.after && self.ops <= fault.after + fault.count => {
                Err(io::Error::from_raw_os_error(fault.errno))
            }
            _ => Ok(()),
        }
    }

    fn used(&self) -> usize {
        self.names.values().map(|inode| self.inodes[*inode].current.len()).sum()
    }

    /// Whether the file may be `bytes` long.
    fn has_room(&mut self, name: Name, bytes: usize) -> io::Result<()> {
        let used = self.used();
        let growth = bytes.saturating_sub(self.inode(name)?.current.len());
        if self.capacity.is_some_and(|capacity| used + growth > capacity && growth > 0) {
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        } else {
            Ok(())
        }
    }

    fn inode(&mut self, name: Name) -> io::Result<&mut Inode> {
        let index = *self.names.get(&name).ok_or_else(not_found)?;
        Ok(&mut self.inodes[index])
    }

    fn change_name(&mut self, op: NameOp) {
        op.apply(&mut self.names);
        self.pending_names.push(op);
    }
}

impl Disk for SimDisk {
    fn list(&mut self, dir: Dir) -> io::Result<Vec<Entry>> {
        let state = self.state.borrow();
        let files = state.names.iter().filter(|(name, _)| name.dir() == dir);
        Ok(files
            .map(|(name, inode)| {
                let bytes = state.inodes[*inode].current.len() as u64;
                Entry { name: *name, bytes, modified_secs: state.clock }
            })
            .collect())
    }

    fn create(&mut self, name: Name) -> io::Result<()> {
        {
            let mut state = self.state.borrow_mut();
            state.step()?;
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            state.change_name(NameOp::Create(name, inode));
        }
        self.changed();
        Ok(())
    }

    fn write(
        &mut self,
        name: Name,
        offset: u64,
        blocks: &[Block],
        when: Durability,
    ) -> io::Result<()> {
        {
            let mut state = self.state.borrow_mut();
            let end = offset as usize + bytes_of(blocks).len();
            let failed = state.step().and(state.has_room(name, end));
            let inode = state.inode(name)?;
            let bytes: Rc<[u8]> = bytes_of(blocks).into();
            let offset = offset as usize;
            if failed.is_ok() {
                put(&mut inode.current, offset, &bytes);
            }
            if failed.is_err() || when == Durability::Later {
                inode.pending.push(Pending::Write { offset, bytes });
                failed?;
            } else {
                // While the call runs any part may be there; the hook sees that moment first.
                inode.in_flight.push((OpId(0), offset, bytes));
                drop(state);
                self.changed();
                let mut state = self.state.borrow_mut();
                let inode = state.inode(name)?;
                let (_, offset, bytes) = inode.in_flight.pop().expect("pushed above");
                put(&mut inode.durable, offset, &bytes);
            }
        }
        self.changed();
        Ok(())
    }

    fn read(&mut self, name: Name, offset: u64, into: &mut [Block]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        let inode = state.inode(name)?;
        let rest = inode.current.get(offset as usize..).unwrap_or(&[]);
        let into = bytes_of_mut(into);
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn set_len(&mut self, name: Name, bytes: u64) -> io::Result<()> {
        {
            let mut state = self.state.borrow_mut();
            state.step()?;
            let inode = state.inode(name)?;
            Rc::make_mut(&mut inode.current).resize(bytes as usize, 0);
            inode.pending.push(Pending::SetLen(bytes as usize));
        }
        self.changed();
        Ok(())
    }

    fn sync(&mut self, name: Name) -> io::Result<()> {
        {
            let mut state = self.state.borrow_mut();
            state.step()?;
            let inode = state.inode(name)?;
            inode.durable = inode.current.clone();
            inode.pending.clear();
        }
        self.changed();
        Ok(())
    }

    fn rename(&mut self, from: Name, to: Name) -> io::Result<()> {
        assert!(from.dir() == to.dir(), "{from} to {to}");
        {
            let mut state = self.state.borrow_mut();
            state.step()?;
            let inode = *state.names.get(&from).ok_or_else(not_found)?;
            state.change_name(NameOp::Rename(from, to, inode));
        }
        self.changed();
        Ok(())
    }

    fn remove(&mut self, name: Name) -> io::Result<()> {
        {
            let mut state = self.state.borrow_mut();
            state.step()?;
            let inode = *state.names.get(&name).ok_or_else(not_found)?;
            state.change_name(NameOp::Remove(name, inode));
        }
        self.changed();
        Ok(())
    }

    fn sync_dir(&mut self, dir: Dir) -> io::Result<()> {
        {
            let mut state = self.state.borrow_mut();
            state.step()?;
            let pending = std::mem::take(&mut state.pending_names);
            let (now, later) = pending.into_iter().partition(|op: &NameOp| op.dir() == dir);
            state.pending_names = later;
            let now: Vec<NameOp> = now;
            for op in now {
                op.apply(&mut state.durable_names);
            }
        }
        self.changed();
        Ok(())
    }

    fn load(&mut self, name: Name) -> io::Result<FileBytes> {
        let mut state = self.state.borrow_mut();
        let inode = state.inode(name)?;
        let mut blocks = Blocks::with_capacity(inode.current.len());
        blocks.extend(&inode.current);
        Ok(FileBytes::read(blocks))
    }

    fn path(&self, name: Name) -> PathBuf {
        PathBuf::from(name.to_string())
    }
}
