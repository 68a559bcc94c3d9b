//! The same life without io_uring: readiness from epoll, one receive buffer for all, and log
//! writes on a few threads that ring the core's bell.

#![allow(unsafe_code)]

use std::net::TcpListener;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use crossbeam::channel::{Receiver, Sender, bounded};
use rustix::event::{Timespec, epoll};
use rustix::io::{Errno, pwritev2};
use rustix::net::{RecvFlags, SocketFlags};

use super::connection::Connection;
use super::disk::durably;
use super::net::{Event, Received, Wants};
use super::{DiskWrite, DiskWritten, Wake};
use crate::types::ConnId;
use crate::types::limits::LOG_BATCHES_IN_FLIGHT_MAX;

/// Bytes taken from one socket at a time. What does not fit is reported again.
const BUFFER_BYTES: usize = 64 << 10;

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 1024;

/// Sockets accepted before others get their turn again.
const ACCEPTS_MAX: usize = 64;

/// Writes that may wait for a thread; the log never has more under way.
const WRITES_MAX: usize = 64;

const _: () = assert!(LOG_BATCHES_IN_FLIGHT_MAX <= WRITES_MAX);

/// Names in an event that are no connection: generations start at 1.
const LISTENER: u64 = 0;
const BELL: u64 = 1;

fn data_of(conn: ConnId) -> epoll::EventData {
    epoll::EventData::new_u64(u64::from(conn.generation) << 32 | u64::from(conn.slot))
}

fn conn_of(data: u64) -> ConnId {
    let low = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).expect("masked to 32 bits");
    ConnId { slot: low(data), generation: low(data >> 32) }
}

/// A core's epoll; see the module's text.
pub(super) struct Epoll {
    ready: OwnedFd,
    wake: Arc<Wake>,
    listener: Option<Arc<TcpListener>>,
    accept_many: bool,
    /// Accepts that the current event may still be used for.
    accepts_left: usize,
    accept_ended: bool,
    events: Vec<epoll::Event>,
    next: usize,
    /// A connection that is writable beside being readable, to be reported next.
    writable: Option<ConnId>,
    buffer: Box<[u8]>,
    writers: Option<Writers>,
    under_way: usize,
}

impl Epoll {
    pub(super) fn open(wake: Arc<Wake>) -> io::Result<Self> {
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&ready, &wake, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN)?;
        Ok(Self {
            ready,
            wake,
            listener: None,
            accept_many: false,
            accepts_left: 0,
            accept_ended: false,
            events: Vec::with_capacity(EVENTS_MAX),
            next: 0,
            writable: None,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            writers: None,
            under_way: 0,
        })
    }

    pub(super) fn accept(&mut self, listener: &Arc<TcpListener>, many: bool) -> io::Result<()> {
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&self.ready, listener, data, epoll::EventFlags::IN)?;
        self.listener = Some(Arc::clone(listener));
        self.accept_many = many;
        Ok(())
    }

    pub(super) fn stop_accepting(&mut self, listener: &Arc<TcpListener>) -> io::Result<()> {
        self.listener = None;
        self.accepts_left = 0;
        Ok(epoll::delete(&self.ready, listener)?)
    }

    pub(super) fn register(&mut self, socket: BorrowedFd<'_>, conn: ConnId) -> io::Result<()> {
        Ok(epoll::add(&self.ready, socket, data_of(conn), epoll::EventFlags::empty())?)
    }

    pub(super) fn forget(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.ready, socket)?)
    }

    pub(super) fn update(
        &mut self,
        row: &mut Connection,
        slot: u32,
        wants: Wants,
    ) -> io::Result<()> {
        if (row.reading, row.writing) == (wants.bytes, wants.room) {
            return Ok(());
        }
        (row.reading, row.writing) = (wants.bytes, wants.room);
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, wants.bytes);
        flags.set(epoll::EventFlags::OUT, wants.room);
        let socket = row.socket.as_ref().expect("a connection in use has a socket");
        Ok(epoll::modify(&self.ready, socket, data_of(row.id(slot)), flags)?)
    }

    /// Whether an event is here that was not taken yet.
    pub(super) fn has_events(&self) -> bool {
        self.next < self.events.len()
            || self.accepts_left > 0
            || self.accept_ended
            || self.writable.is_some()
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if self.has_events() {
            return Ok(());
        }
        let timeout = timeout.map(|timeout| {
            Timespec::try_from(timeout).expect("no timeout of a loop is longer than a year")
        });
        self.events.clear();
        self.next = 0;
        let room = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.ready, room, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        loop {
            if std::mem::take(&mut self.accept_ended) {
                return Some(Event::AcceptEnded(None));
            }
            if let Some(conn) = self.writable.take() {
                return Some(Event::Writable(conn));
            }
            if self.accepts_left > 0
                && let Some(event) = self.next_accepted()
            {
                return Some(event);
            }
            if let Some(writers) = &self.writers
                && let Ok(written) = writers.done.try_recv()
            {
                self.under_way -= 1;
                return Some(Event::Written(written));
            }
            let event = self.events.get(self.next)?;
            self.next += 1;
            let (flags, data) = (event.flags, event.data.u64());
            match data {
                BELL => self.wake.silence(),
                LISTENER => {
                    self.accepts_left = if self.accept_many { ACCEPTS_MAX } else { 1 };
                }
                data => {
                    let conn = conn_of(data);
                    // Errors and resets are reported whether they were asked for or not.
                    if flags.contains(epoll::EventFlags::OUT) {
                        self.writable = Some(conn);
                    }
                    if flags != epoll::EventFlags::OUT {
                        return Some(Event::Readable(conn));
                    }
                }
            }
        }
    }

    fn next_accepted(&mut self) -> Option<Event> {
        let listener = self.listener.as_ref()?;
        self.accepts_left -= 1;
        match rustix::net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => {
                if !self.accept_many {
                    self.end_accepting();
                    self.accept_ended = true;
                }
                Some(Event::Accepted(socket))
            }
            Err(Errno::AGAIN) => {
                self.accepts_left = 0;
                None
            }
            // The client left between its arrival and the accept.
            Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => None,
            Err(error) => {
                self.end_accepting();
                Some(Event::AcceptEnded(Some(error.into())))
            }
        }
    }

    fn end_accepting(&mut self) {
        self.accepts_left = 0;
        if let Some(listener) = self.listener.take() {
            // It fails only if the listener is not registered, which is what is wanted.
            let _ = epoll::delete(&self.ready, &listener);
        }
    }

    /// Takes what has arrived into the shared buffer.
    pub(super) fn receive(&mut self, row: &Connection) -> Received {
        if !row.reading {
            // Only an error or a reset is reported without being asked for.
            return Received::Failed;
        }
        let socket = row.socket.as_ref().expect("a connection in use has a socket");
        match rustix::net::recv(socket, &mut *self.buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => Received::End,
            Ok((len, _)) => Received::Bytes { buffer: 0, len },
            Err(Errno::AGAIN | Errno::INTR) => Received::Nothing,
            Err(_) => Received::Failed,
        }
    }

    /// What the last receive has brought.
    pub(super) fn bytes(&self, len: usize) -> &[u8] {
        &self.buffer[..len]
    }

    pub(super) fn write(&mut self, write: DiskWrite) -> io::Result<()> {
        if self.writers.is_none() {
            self.writers = Some(Writers::start(&self.wake)?);
        }
        let writers = self.writers.as_ref().expect("made above");
        self.under_way += 1;
        assert!(self.under_way <= WRITES_MAX, "the log keeps fewer writes under way");
        let jobs = writers.jobs.as_ref().expect("it is taken only at the end");
        jobs.try_send(write).map_err(|_| io::Error::other("the log's writing threads are gone"))
    }

    pub(super) fn writes_under_way(&self) -> usize {
        self.under_way
    }
}

/// Threads that each keep one write of the log under way.
struct Writers {
    jobs: Option<Sender<DiskWrite>>,
    done: Receiver<DiskWritten>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    fn start(wake: &Arc<Wake>) -> io::Result<Self> {
        let (jobs, todo) = bounded(WRITES_MAX);
        let (answers, done) = bounded(WRITES_MAX);
        let mut threads = Vec::new();
        for number in 0..LOG_BATCHES_IN_FLIGHT_MAX {
            let (todo, answers, wake) = (todo.clone(), answers.clone(), Arc::clone(wake));
            let name = format!("log-{number}");
            threads.push(thread::Builder::new().name(name).spawn(move || {
                while let Ok(write) = todo.recv() {
                    if answers.send(write_durably(write)).is_err() {
                        return;
                    }
                    wake.ring();
                }
            })?);
        }
        Ok(Self { jobs: Some(jobs), done, threads })
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

fn write_durably(write: DiskWrite) -> DiskWritten {
    // SAFETY: whoever called `Net::write` keeps file and memory until the answer has come.
    let (file, bytes) = unsafe {
        (BorrowedFd::borrow_raw(write.fd), std::slice::from_raw_parts(write.address, write.len))
    };
    let slices = [io::IoSlice::new(bytes)];
    let result = match pwritev2(file, &slices, write.offset, durably()) {
        // Older kernels and some file systems know no flags.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => rustix::io::pwrite(file, bytes, write.offset)
            .and_then(|count| rustix::fs::fdatasync(file).map(|()| count)),
        result => result,
    };
    DiskWritten { id: write.id, result: result.map_err(Errno::raw_os_error) }
}
