//! One io_uring for everything a core waits for: accepting, receiving, room to send, its bell and
//! its log writes.
//!
//! Receives go into one ring of buffers that all connections share, so that an idle connection
//! holds no memory. Completions appear only when this thread enters the kernel (DEFER_TASKRUN):
//! nothing interrupts a turn, and submitting and reaping is one system call.
//!
//! The only file of `net` that must be trusted with memory: the kernel reads and writes through
//! addresses in submission entries. What they point to is owned by [`Uring`] until the completion.

#![allow(unsafe_code)]

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use memmap2::MmapMut;

use super::connection::{Connection, GENERATION_BITS};
use super::disk::durably;
use super::net::{Event, Received, Wants};
use super::{DiskWrite, DiskWritten, Wake};
use crate::types::ConnId;

/// Size of a receive buffer. Most turns of most connections fit; longer frames take several.
pub(super) const BUFFER_BYTES: usize = 2048;

/// Submissions that gather before the kernel is entered early.
const SUBMISSIONS_MAX: u32 = 1024;

/// Completions that wait for us without spilling into the kernel's own list.
const COMPLETIONS_MAX: u32 = 8192;

/// Name of our ring of buffers.
const BUFFER_GROUP: u16 = 0;

/// What a completion is about: the upper bits of its user data.
mod kind {
    pub(super) const ACCEPT: u64 = 1;
    pub(super) const RECEIVE: u64 = 2;
    pub(super) const WRITABLE: u64 = 3;
    pub(super) const WAKE: u64 = 4;
    pub(super) const WRITE: u64 = 5;
    pub(super) const CANCEL: u64 = 6;
}

const KIND_SHIFT: u32 = 32 + GENERATION_BITS;
const _: () = assert!(kind::CANCEL < 1 << (u64::BITS - KIND_SHIFT));

fn user_data(kind: u64, conn: ConnId) -> u64 {
    kind << KIND_SHIFT | u64::from(conn.generation) << 32 | u64::from(conn.slot)
}

fn conn_of(user_data: u64) -> ConnId {
    let low = |bits: u64| u32::try_from(bits).expect("masked to 32 bits");
    ConnId {
        slot: low(user_data & u64::from(u32::MAX)),
        generation: low((user_data >> 32) & ((1 << GENERATION_BITS) - 1)),
    }
}

/// A core's ring; see the module's text.
pub(super) struct Uring {
    // Declared first: dropped first, before the memory that its operations point to.
    ring: IoUring,
    buffers: Buffers,
    wake: Arc<Wake>,
    /// Where the kernel puts the bell's count. Boxed: its address must stay.
    bell_count: Box<[u8; 8]>,
    /// Log writes under way.
    under_way: usize,
    /// The log's memory is registered.
    has_memory: bool,
    /// An accepted socket was reported whose accept has ended as well.
    accept_ended: bool,
}

impl Uring {
    pub(super) fn open(deferred: bool, buffers: u16, wake: Arc<Wake>) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(COMPLETIONS_MAX).setup_single_issuer();
        if deferred {
            builder.setup_defer_taskrun();
        } else {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        let ring = builder.build(SUBMISSIONS_MAX)?;
        let buffers = Buffers::register(&ring, buffers)?;
        let mut uring = Self {
            ring,
            buffers,
            wake,
            bell_count: Box::new([0; 8]),
            under_way: 0,
            has_memory: false,
            accept_ended: false,
        };
        uring.hear_bell()?;
        Ok(uring)
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        if self.ring.submission().is_full() {
            self.enter(0, None)?;
        }
        // SAFETY: every caller passes an entry whose file and memory stay valid until its
        // completion: sockets are closed after it (`Net::bury`), receive buffers and the bell's
        // count are owned by `self`, and whoever called `Net::write` promises it for writes.
        unsafe { self.ring.submission().push(entry) }
            .map_err(|_| io::Error::other("io_uring takes no more submissions"))
    }

    fn hear_bell(&mut self) -> io::Result<()> {
        let fd = Fd(self.wake.as_fd().as_raw_fd());
        let entry = opcode::Read::new(fd, self.bell_count.as_mut_ptr(), 8)
            .build()
            .user_data(kind::WAKE << KIND_SHIFT);
        self.push(&entry)
    }

    pub(super) fn accept(&mut self, listener: &Arc<TcpListener>, many: bool) -> io::Result<()> {
        let fd = Fd(listener.as_raw_fd());
        let flags = rustix::net::SocketFlags::CLOEXEC.bits().cast_signed();
        let entry = if many {
            opcode::AcceptMulti::new(fd).flags(flags).build()
        } else {
            opcode::Accept::new(fd, std::ptr::null_mut(), std::ptr::null_mut()).flags(flags).build()
        };
        self.push(&entry.user_data(kind::ACCEPT << KIND_SHIFT))
    }

    pub(super) fn stop_accepting(&mut self, _: &Arc<TcpListener>) -> io::Result<()> {
        self.cancel(kind::ACCEPT << KIND_SHIFT)
    }

    fn cancel(&mut self, target: u64) -> io::Result<()> {
        self.push(&opcode::AsyncCancel::new(target).build().user_data(kind::CANCEL << KIND_SHIFT))
    }

    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "epoll has work here")]
    pub(super) fn register(&mut self, _: BorrowedFd<'_>, _: ConnId) -> io::Result<()> {
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "epoll has work here")]
    pub(super) fn forget(&mut self, _: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn update(
        &mut self,
        row: &mut Connection,
        slot: u32,
        wants: Wants,
    ) -> io::Result<()> {
        let conn = row.id(slot);
        let socket = row.socket.as_ref().expect("a connection in use has a socket").as_raw_fd();
        let receive = user_data(kind::RECEIVE, conn);
        if wants.bytes && !row.reading {
            row.reading = true;
            row.many = wants.many;
            let entry = if wants.many {
                opcode::RecvMulti::new(Fd(socket), BUFFER_GROUP).build()
            } else {
                let length = u32::try_from(BUFFER_BYTES).expect("a buffer is small");
                opcode::Recv::new(Fd(socket), std::ptr::null_mut(), length)
                    .buf_group(BUFFER_GROUP)
                    .build()
                    .flags(squeue::Flags::BUFFER_SELECT)
            };
            self.push(&entry.user_data(receive))?;
        } else if !wants.bytes && row.reading && row.many && !row.cancelling {
            // A single receive may stay: it brings one buffer at most.
            row.cancelling = true;
            self.cancel(receive)?;
        }
        if wants.room && !row.writing {
            row.writing = true;
            let events = u32::from(rustix::event::PollFlags::OUT.bits());
            let entry = opcode::PollAdd::new(Fd(socket), events).build();
            self.push(&entry.user_data(user_data(kind::WRITABLE, conn)))?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, write: DiskWrite) -> io::Result<()> {
        let length = u32::try_from(write.len).expect("a log batch is far below 4 GiB");
        let flags = durably().bits().cast_signed();
        let fd = Fd(write.fd);
        let entry = match write.registered.filter(|_| self.has_memory) {
            Some(index) => opcode::WriteFixed::new(fd, write.address, length, index)
                .offset(write.offset)
                .rw_flags(flags)
                .build(),
            None => opcode::Write::new(fd, write.address, length)
                .offset(write.offset)
                .rw_flags(flags)
                .build(),
        };
        assert!(write.id < 1 << KIND_SHIFT, "writes are counted from 1");
        self.push(&entry.user_data(kind::WRITE << KIND_SHIFT | write.id))?;
        self.under_way += 1;
        Ok(())
    }

    /// # Safety
    /// As [`super::Net::register_memory`].
    pub(super) unsafe fn register_memory(&mut self, memory: &[(*const u8, usize)]) -> bool {
        let vectors: Vec<_> = memory
            .iter()
            .map(|(address, len)| libc::iovec {
                iov_base: address.cast_mut().cast(),
                iov_len: *len,
            })
            .collect();
        // SAFETY: as the caller promises.
        let result = unsafe { self.ring.submitter().register_buffers(&vectors) };
        self.has_memory = result.is_ok();
        self.has_memory
    }

    pub(super) fn keep_open(&mut self, file: BorrowedFd<'_>) -> io::Result<()> {
        self.ring.submitter().register_files(&[file.as_raw_fd()])
    }

    pub(super) fn writes_under_way(&self) -> usize {
        self.under_way
    }

    /// Whether a completion is here.
    pub(super) fn has_events(&mut self) -> bool {
        self.accept_ended || !self.ring.completion().is_empty()
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if self.has_events() {
            // Work is here already; what was asked for goes to the kernel all the same.
            return if self.ring.submission().is_empty() { Ok(()) } else { self.enter(0, None) };
        }
        match timeout {
            Some(Duration::ZERO) => self.enter(0, None),
            timeout => self.enter(1, timeout),
        }
    }

    /// Submits what is queued and runs what the kernel has deferred.
    fn enter(&mut self, wait_for: u32, timeout: Option<Duration>) -> io::Result<()> {
        const GETEVENTS: u32 = 1;
        const EXT_ARG: u32 = 8;
        let queued = self.ring.submission().len();
        let queued = u32::try_from(queued).expect("the ring is far smaller");
        let submitter = self.ring.submitter();
        let result = match timeout {
            // SAFETY: no argument is passed.
            None => unsafe { submitter.enter::<()>(queued, wait_for, GETEVENTS, None) },
            Some(timeout) => {
                let timeout = Timespec::from(timeout);
                let args = SubmitArgs::new().timespec(&timeout);
                let flags = GETEVENTS | EXT_ARG;
                // SAFETY: with EXT_ARG the argument is this structure; it outlives the call.
                unsafe { submitter.enter(queued, wait_for, flags, Some(&args)) }
            }
        };
        match result.map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) | Err((Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY), _)) => {
                Ok(())
            }
            Err((_, error)) => Err(error),
        }
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.accept_ended) {
            return Some(Event::AcceptEnded(None));
        }
        loop {
            let completion = self.ring.completion().next()?;
            let data = completion.user_data();
            let event = match data >> KIND_SHIFT {
                kind::ACCEPT => Some(self.on_accept(&completion)),
                kind::RECEIVE => Some(Event::Received {
                    conn: conn_of(data),
                    what: received(&completion),
                    last: !cqueue::more(completion.flags()),
                }),
                kind::WRITABLE => Some(Event::Writable(conn_of(data))),
                kind::WAKE => {
                    // If this fails the next push fails too, and that one is reported.
                    let _ = self.hear_bell();
                    None
                }
                kind::WRITE => Some(self.on_write(&completion)),
                kind::CANCEL => None,
                kind => unreachable!("nothing is submitted with kind {kind}"),
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn on_accept(&mut self, completion: &cqueue::Entry) -> Event {
        let result = completion.result();
        if result >= 0 {
            self.accept_ended = !cqueue::more(completion.flags());
            // SAFETY: a successful accept gives a new descriptor, and gives it to us alone.
            return Event::Accepted(unsafe { OwnedFd::from_raw_fd(result) });
        }
        match -result {
            // The client left between its arrival and the accept; or we stopped.
            libc::ECONNABORTED | libc::EPROTO | libc::ECANCELED | libc::EINTR => {
                Event::AcceptEnded(None)
            }
            errno => Event::AcceptEnded(Some(io::Error::from_raw_os_error(errno))),
        }
    }

    fn on_write(&mut self, completion: &cqueue::Entry) -> Event {
        self.under_way -= 1;
        let result = completion.result();
        Event::Written(DiskWritten {
            id: completion.user_data() & ((1 << KIND_SHIFT) - 1),
            result: usize::try_from(result).map_err(|_| -result),
        })
    }

    /// What a receive has put into `buffer`.
    pub(super) fn bytes(&self, buffer: u16, len: usize) -> &[u8] {
        self.buffers.bytes(buffer, len)
    }

    /// Gives a buffer back to the kernel.
    pub(super) fn release(&mut self, buffer: u16) {
        self.buffers.release(buffer);
    }
}

fn received(completion: &cqueue::Entry) -> Received {
    match completion.result() {
        0 => Received::End,
        len if len > 0 => Received::Bytes {
            buffer: cqueue::buffer_select(completion.flags()).expect("bytes come in a buffer"),
            len: usize::try_from(len).expect("it is positive"),
        },
        error => match -error {
            libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => Received::Nothing,
            _ => Received::Failed,
        },
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // Memory that the disk may still read must outlive the write.
        while self.writes_under_way() > 0 {
            if self.enter(1, None).is_err() {
                std::process::abort();
            }
            while let Some(event) = self.next_event() {
                // What arrives now is for nobody; accepted sockets close as they are dropped.
                drop(event);
            }
        }
    }
}

/// Receive buffers that the kernel takes from as bytes arrive.
struct Buffers {
    entries: MmapMut,
    memory: MmapMut,
    count: u16,
    tail: u16,
}

impl Buffers {
    fn register(ring: &IoUring, count: u16) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "the kernel masks indices");
        let entries = MmapMut::map_anon(usize::from(count) * size_of::<BufRingEntry>())?;
        let memory = MmapMut::map_anon(usize::from(count) * BUFFER_BYTES)?;
        let address = u64::try_from(entries.as_ptr().addr()).expect("an address has 64 bits");
        // SAFETY: `entries` is page-aligned, has room for `count` entries, and lives as long as
        // the ring: both are fields of `Uring`, the ring is dropped first.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(address, count, BUFFER_GROUP, 0)?;
        }
        let mut buffers = Self { entries, memory, count, tail: 0 };
        for buffer in 0..count {
            buffers.release(buffer);
        }
        Ok(buffers)
    }

    fn bytes(&self, buffer: u16, len: usize) -> &[u8] {
        assert!(len <= BUFFER_BYTES, "the kernel fills one buffer at a time");
        let start = usize::from(buffer) * BUFFER_BYTES;
        &self.memory[start..start + len]
    }

    fn release(&mut self, buffer: u16) {
        assert!(buffer < self.count, "one of our buffers");
        let address = self.memory[usize::from(buffer) * BUFFER_BYTES..].as_ptr().addr();
        let index = usize::from(self.tail & (self.count - 1));
        #[allow(clippy::cast_ptr_alignment, reason = "a map begins at a page")]
        let base = self.entries.as_mut_ptr().cast::<BufRingEntry>();
        // SAFETY: `index` is below `count`, for which `entries` has room; zeroed or earlier
        // contents are a valid entry, and the kernel does not read it before the tail moves.
        let entry = unsafe { &mut *base.add(index) };
        entry.set_addr(u64::try_from(address).expect("an address has 64 bits"));
        entry.set_len(u32::try_from(BUFFER_BYTES).expect("a buffer is small"));
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `base` is the first entry, whose reserved field is the ring's tail: aligned,
        // initialised, and shared with the kernel as an atomic.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_carries_a_connection_and_its_kind() {
        let conn = ConnId { slot: u32::MAX, generation: (1 << GENERATION_BITS) - 1 };
        let data = user_data(kind::WRITABLE, conn);
        assert_eq!(data >> KIND_SHIFT, kind::WRITABLE);
        assert_eq!(conn_of(data), conn);
    }
}
