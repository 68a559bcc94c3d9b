//! The table of connections and the rules of their lives; the same over both back ends.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use log::{info, warn};
use rustix::net::{SendFlags, Shutdown};

use super::connection::{Connection, Stage};
use super::epoll::Epoll;
use super::inbound::{BadLength, Taken};
use super::limiter::Limiter;
use super::listen::{Admission, Refusal};
use super::outbound::Pool;
use super::uring::Uring;
use super::{Backend, Config, DiskWrite, DiskWritten, Flow, Result, Service, Wake};
use crate::types::limits::{
    HANDSHAKE_BYTES_MAX, INPUTS_PER_TURN_MAX, OUTBOUND_BYTES_PAUSE, OUTBOUND_BYTES_PER_CONN_MAX,
};
use crate::types::{ConnId, Instant, messages};

/// Slots that one sweep looks at for deadlines: bounds a turn.
const SWEEP_SLOTS_MAX: usize = 1024;

/// Time between two sweeps, in ms.
const SWEEP_PERIOD_MS: u64 = 50;

/// Bytes thrown away after a hang-up before the connection is closed by force.
const DRAIN_BYTES_MAX: u32 = 4 << 20;

/// Time without accepting after the system refused a descriptor, in ms.
const ACCEPT_PAUSE_MS: u64 = 100;

/// Below this room for connections each is accepted by itself, so that the limit is never passed.
const ACCEPT_MANY_ROOM: usize = 4096;

/// What a back end reports. `reading` and `writing` of the row are the back end's to change.
pub(super) enum Event {
    Accepted(OwnedFd),
    /// Accepting has stopped; an error if it was not for want of room.
    AcceptEnded(Option<io::Error>),
    Received {
        conn: ConnId,
        what: Received,
        /// The receive has ended (io_uring).
        last: bool,
    },
    /// There is something to receive (epoll).
    Readable(ConnId),
    Writable(ConnId),
    Written(DiskWritten),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Received {
    /// `len` bytes in the back end's buffer, to be released.
    Bytes {
        buffer: u16,
        len: usize,
    },
    /// The other side has shut its side.
    End,
    Failed,
    /// No bytes: the buffers had run out, or the receive was given back.
    Nothing,
}

/// What a row wants from the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    pub(super) bytes: bool,
    pub(super) many: bool,
    pub(super) room: bool,
}

#[allow(clippy::large_enum_variant, reason = "there is one of it in a core")]
enum Kernel {
    Uring(Uring),
    Epoll(Epoll),
}

macro_rules! kernel {
    ($self:expr, $kernel:ident => $call:expr) => {
        match &mut $self.kernel {
            Kernel::Uring($kernel) => $call,
            Kernel::Epoll($kernel) => $call,
        }
    };
}

/// Sockets and log writes of one core; see the module's text.
pub struct Net {
    config: Config,
    kernel: Kernel,
    admission: Arc<Admission>,
    listener: Option<Arc<TcpListener>>,
    accepting: bool,
    accept_again_at: Instant,
    connections: Vec<Connection>,
    free: Vec<u32>,
    pool: Pool,
    /// Connections with something to send.
    dirty: Vec<u32>,
    /// Connections whose kept frames may be handed over again.
    backlog: Vec<u32>,
    backlog_turn: Vec<u32>,
    /// Connections that the service has still to be told about.
    gone: Vec<ConnId>,
    condemned: Vec<ConnId>,
    now: Instant,
    inputs: usize,
    full: bool,
    swept_at: Instant,
    sweep_from: usize,
    limiter: Limiter,
}

impl Net {
    /// Opens the back end. The calling thread must be the one that drives it; `wake` is the bell
    /// by which others reach it.
    pub fn open(
        config: Config,
        backend: Backend,
        admission: Arc<Admission>,
        wake: Arc<Wake>,
    ) -> Result<Self> {
        let kernel = match backend {
            Backend::Uring { deferred } => {
                Kernel::Uring(Uring::open(deferred, config.receive_buffers, wake)?)
            }
            Backend::Epoll => Kernel::Epoll(Epoll::open(wake)?),
        };
        Ok(Self {
            config,
            kernel,
            admission,
            listener: None,
            accepting: false,
            accept_again_at: Instant::default(),
            connections: Vec::new(),
            free: Vec::new(),
            pool: Pool::default(),
            dirty: Vec::new(),
            backlog: Vec::new(),
            backlog_turn: Vec::new(),
            gone: Vec::new(),
            condemned: Vec::new(),
            now: Instant::default(),
            inputs: 0,
            full: false,
            swept_at: Instant::default(),
            sweep_from: 0,
            limiter: Limiter::default(),
        })
    }

    /// Starts to accept.
    pub fn listen(&mut self, listener: Arc<TcpListener>) -> Result<()> {
        if matches!(self.kernel, Kernel::Epoll(_)) {
            listener.set_nonblocking(true)?;
        }
        self.listener = Some(listener);
        self.accept_again()
    }

    /// Accepts no more; open connections go on.
    pub fn stop_listening(&mut self) -> Result<()> {
        if let Some(listener) = self.listener.take()
            && self.accepting
        {
            kernel!(self, kernel => kernel.stop_accepting(&listener))?;
            self.accepting = false;
        }
        Ok(())
    }

    /// Connections in the table, those included that are about to vanish.
    pub fn connections(&self) -> usize {
        self.connections.len() - self.free.len()
    }

    /// Where a connection comes from, while it is open.
    pub fn peer(&self, conn: ConnId) -> Option<SocketAddr> {
        self.slot_of(conn).map(|slot| self.connections[slot].peer)
    }

    /// All connections, those included that have not sent anything yet.
    pub fn peers(&self) -> impl Iterator<Item = (ConnId, SocketAddr)> {
        let rows = self.connections.iter().enumerate();
        rows.filter(|(_, row)| !matches!(row.stage, Stage::Free | Stage::Dead))
            .map(|(slot, row)| (row.id(slot_of(slot)), row.peer))
    }

    /// Whether something has happened that was not delivered yet.
    pub fn has_events(&mut self) -> bool {
        !self.gone.is_empty()
            || !self.backlog.is_empty()
            || kernel!(self, kernel => kernel.has_events())
    }

    /// Log writes that have not ended.
    pub fn writes_under_way(&self) -> usize {
        match &self.kernel {
            Kernel::Uring(kernel) => kernel.writes_under_way(),
            Kernel::Epoll(kernel) => kernel.writes_under_way(),
        }
    }

    /// Hands everything that was asked for to the kernel, and waits until something has happened,
    /// at most `timeout` (`None`: for ever).
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<()> {
        let at_once = !self.gone.is_empty() || !self.backlog.is_empty();
        let timeout = if at_once { Some(Duration::ZERO) } else { timeout };
        kernel!(self, kernel => kernel.wait(timeout))
    }

    /// Hands what has happened to `service`, at most [`INPUTS_PER_TURN_MAX`] frames.
    pub fn deliver(&mut self, now: Instant, service: &mut impl Service) -> Result<()> {
        assert!(now >= self.now, "time goes forward");
        self.now = now;
        self.inputs = 0;
        self.full = false;
        self.tell_gone(service);
        self.go_on_with_backlog(service)?;
        while !self.is_full() {
            let Some(event) = kernel!(self, kernel => kernel.next_event()) else { break };
            self.on_event(event, service)?;
        }
        self.tell_gone(service);
        if now.nanos_since(self.swept_at) >= SWEEP_PERIOD_MS * 1_000_000 {
            self.swept_at = now;
            self.sweep()?;
            self.accept_again()?;
        }
        Ok(())
    }

    /// Adds complete frames to what a connection is sent. Unknown connections are ignored.
    pub fn queue(&mut self, conn: ConnId, bytes: &[u8]) -> Result<()> {
        let Some(slot) = self.slot_of(conn) else { return Ok(()) };
        let connection = &mut self.connections[slot];
        if !matches!(connection.stage, Stage::Word | Stage::Open | Stage::Condemned) {
            return Ok(());
        }
        connection.outbound.push(bytes, &mut self.pool);
        if connection.outbound.len() > OUTBOUND_BYTES_PER_CONN_MAX {
            let peer = connection.peer;
            self.complain(format_args!("{peer} does not read what it asked for: closed"));
            return self.close(slot);
        }
        self.mark_dirty(slot);
        Ok(())
    }

    /// Sends what is queued, then closes. [`Service::closed`] follows.
    pub fn hang_up(&mut self, conn: ConnId) -> Result<()> {
        let Some(slot) = self.slot_of(conn) else { return Ok(()) };
        let connection = &mut self.connections[slot];
        match connection.stage {
            Stage::Fresh | Stage::Word | Stage::Open | Stage::Condemned => {}
            Stage::Free | Stage::Ending | Stage::Draining | Stage::Dead => return Ok(()),
        }
        if connection.stage != Stage::Fresh {
            self.gone.push(conn);
        }
        connection.stage = Stage::Ending;
        connection.deadline = self.now.plus_millis(self.config.linger_ms);
        connection.inbound.clear(&mut self.pool);
        self.mark_dirty(slot);
        self.update(slot)
    }

    /// [`Service::accepts`] the connection again.
    pub fn resume(&mut self, conn: ConnId) -> Result<()> {
        let Some(slot) = self.slot_of(conn) else { return Ok(()) };
        if mem::take(&mut self.connections[slot].paused) {
            self.go_on_later(slot);
        }
        Ok(())
    }

    /// Writes durably to a file; [`Service::written`] is the answer.
    ///
    /// # Safety
    /// The file stays open and the memory where it is, unchanged, until the answer has come or
    /// this `Net` is dropped, which waits for all answers.
    #[allow(unsafe_code)]
    pub unsafe fn write(&mut self, write: DiskWrite) -> Result<()> {
        kernel!(self, kernel => kernel.write(write))
    }

    /// Tells the kernel once and for all where log writes come from, so that it need not look at
    /// each. `false` if it may not (epoll, or a small RLIMIT_MEMLOCK): all works without.
    ///
    /// # Safety
    /// The memory stays where it is for as long as this `Net` lives, or is never named by a later
    /// [`DiskWrite::registered`].
    #[allow(unsafe_code)]
    pub unsafe fn register_memory(&mut self, memory: &[(*const u8, usize)]) -> bool {
        match &mut self.kernel {
            // SAFETY: as the caller promises.
            Kernel::Uring(kernel) => unsafe { kernel.register_memory(memory) },
            Kernel::Epoll(_) => false,
        }
    }

    /// Keeps a file open for as long as the kernel may still carry out writes of this core, which
    /// can be a moment longer than the process lives: for the lock of a directory.
    pub fn keep_open(&mut self, file: BorrowedFd<'_>) -> Result<()> {
        match &mut self.kernel {
            Kernel::Uring(kernel) => kernel.keep_open(file),
            // Its writes are system calls of threads, which end before their process does.
            Kernel::Epoll(_) => Ok(()),
        }
    }

    /// Sends what is queued: one `send` for each connection that has something new.
    pub fn flush(&mut self) -> Result<()> {
        for index in 0..self.condemned.len() {
            self.hang_up(self.condemned[index])?;
        }
        self.condemned.clear();
        for index in 0..self.dirty.len() {
            let slot = usize_of(self.dirty[index]);
            self.connections[slot].dirty = false;
            self.send(slot)?;
        }
        self.dirty.clear();
        Ok(())
    }

    /// Takes over a socket that another core has accepted.
    pub fn adopt(&mut self, socket: OwnedFd, peer: SocketAddr) -> Result<()> {
        let slot = self.free.pop().map_or_else(
            || {
                self.connections.push(Connection::vacant());
                self.connections.len() - 1
            },
            usize_of,
        );
        let connection = &mut self.connections[slot];
        assert_eq!(connection.stage, Stage::Free);
        connection.stage = Stage::Fresh;
        connection.peer = peer;
        connection.deadline = self.now.plus_millis(self.config.handshake_ms);
        let conn = connection.id(slot_of(slot));
        kernel!(self, kernel => kernel.register(socket.as_fd(), conn))?;
        connection.socket = Some(socket);
        self.update(slot)
    }

    fn is_full(&self) -> bool {
        self.full || self.inputs >= INPUTS_PER_TURN_MAX
    }

    fn on_event(&mut self, event: Event, service: &mut impl Service) -> Result<()> {
        match event {
            Event::Accepted(socket) => self.on_accepted(socket, service),
            Event::AcceptEnded(error) => self.on_accept_ended(error),
            Event::Received { conn, what, last } => self.on_received(conn, what, last, service),
            Event::Readable(conn) => {
                let Some(slot) = self.row_of(conn) else { return Ok(()) };
                let Kernel::Epoll(kernel) = &mut self.kernel else {
                    unreachable!("io_uring receives by itself")
                };
                let what = kernel.receive(&self.connections[slot]);
                self.on_received(conn, what, false, service)
            }
            Event::Writable(conn) => {
                let Some(slot) = self.row_of(conn) else { return Ok(()) };
                if matches!(self.kernel, Kernel::Uring(_)) {
                    self.connections[slot].writing = false;
                }
                if self.connections[slot].stage == Stage::Dead {
                    return self.bury(slot);
                }
                self.send(slot)
            }
            Event::Written(written) => {
                self.inputs += 1;
                service.written(written);
                Ok(())
            }
        }
    }

    fn on_accepted(&mut self, socket: OwnedFd, service: &mut impl Service) -> Result<()> {
        // A client that has left already has no address any more.
        let Ok(Some(Ok(peer))) =
            rustix::net::getpeername(&socket).map(|p| p.map(SocketAddr::try_from))
        else {
            return Ok(());
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if let Err(refusal) = self.admission.admit(peer.ip()) {
            let (address, all) = self.admission.limits();
            match refusal {
                Refusal::Address => {
                    let what = messages::too_many_from(peer.ip(), address);
                    self.complain(format_args!("{what}"));
                }
                Refusal::All => {
                    let count = u64::try_from(self.admission.open()).expect("a count fits");
                    self.complain(format_args!("{}", messages::too_many(count, all)));
                }
            }
            return Ok(());
        }
        match service.place(socket, peer) {
            Some(socket) => self.adopt(socket, peer),
            None => Ok(()),
        }
    }

    fn on_accept_ended(&mut self, error: Option<io::Error>) -> Result<()> {
        self.accepting = false;
        if let Some(error) = error {
            // Out of descriptors or memory: those who are in go on, the others wait outside.
            self.accept_again_at = self.now.plus_millis(ACCEPT_PAUSE_MS);
            self.complain(format_args!("accepting pauses: {error}"));
            return Ok(());
        }
        self.accept_again()
    }

    fn accept_again(&mut self) -> Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        if self.accepting || self.now < self.accept_again_at {
            return Ok(());
        }
        let room = self.admission.room();
        if room == 0 {
            self.accept_again_at = self.now.plus_millis(ACCEPT_PAUSE_MS);
            self.complain(format_args!(
                "accepting pauses: as many connections are open as the limit of open files allows"
            ));
            return Ok(());
        }
        kernel!(self, kernel => kernel.accept(listener, room > ACCEPT_MANY_ROOM))?;
        self.accepting = true;
        Ok(())
    }

    fn on_received(
        &mut self,
        conn: ConnId,
        what: Received,
        last: bool,
        service: &mut impl Service,
    ) -> Result<()> {
        let Some(slot) = self.row_of(conn) else { unreachable!("a row outlives its receives") };
        if last {
            self.connections[slot].reading = false;
            self.connections[slot].cancelling = false;
        }
        match what {
            Received::Bytes { buffer, len } => self.on_bytes(slot, buffer, len, service)?,
            Received::End => {
                self.connections[slot].ended = true;
                self.close_if_ended(slot)?;
            }
            Received::Failed if self.connections[slot].stage == Stage::Dead => {}
            Received::Failed => self.close(slot)?,
            Received::Nothing => {}
        }
        if self.connections[slot].stage == Stage::Dead {
            return self.bury(slot);
        }
        self.update(slot)
    }

    fn on_bytes(
        &mut self,
        slot: usize,
        buffer: u16,
        len: usize,
        service: &mut impl Service,
    ) -> Result<()> {
        // The buffer belongs to the kernel's side and the row to ours: look at both at once.
        let Self { kernel, connections, pool, .. } = self;
        let (bytes, buffer_len) = match kernel {
            Kernel::Uring(kernel) => (kernel.bytes(buffer, len), super::uring::BUFFER_BYTES),
            Kernel::Epoll(kernel) => (kernel.bytes(len), usize::MAX),
        };
        let row = &mut connections[slot];
        row.cautious &= len == buffer_len;
        let result = match row.stage {
            Stage::Fresh => on_first_bytes(row, slot, bytes, pool, service),
            Stage::Open if row.paused || row.backlogged || row.congested => {
                row.inbound.keep(bytes, pool);
                Ok(Cut::default())
            }
            Stage::Open => {
                let room = INPUTS_PER_TURN_MAX.saturating_sub(self.inputs);
                self.config.on_more_bytes(row, slot, bytes, pool, room, service)
            }
            Stage::Draining => {
                row.drained = row.drained.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
                Ok(Cut::default())
            }
            Stage::Free | Stage::Word | Stage::Condemned | Stage::Ending | Stage::Dead => {
                Ok(Cut::default())
            }
        };
        if let Kernel::Uring(kernel) = kernel {
            kernel.release(buffer);
        }
        if self.connections[slot].drained > DRAIN_BYTES_MAX
            && self.connections[slot].stage == Stage::Draining
        {
            return self.close(slot);
        }
        self.after_cut(slot, result)
    }

    /// Hands over kept frames of connections that may go on.
    fn go_on_with_backlog(&mut self, service: &mut impl Service) -> Result<()> {
        // What is put on the list meanwhile has its turn next time.
        mem::swap(&mut self.backlog, &mut self.backlog_turn);
        for index in 0..self.backlog_turn.len() {
            let slot = usize_of(self.backlog_turn[index]);
            if self.is_full() {
                self.backlog.push(slot_of(slot));
                continue;
            }
            let row = &mut self.connections[slot];
            row.backlogged = false;
            if row.stage != Stage::Open || row.paused || row.congested {
                continue;
            }
            let room = INPUTS_PER_TURN_MAX.saturating_sub(self.inputs);
            let result = self.config.on_more_bytes(row, slot, &[], &mut self.pool, room, service);
            self.after_cut(slot, result)?;
            self.close_if_ended(slot)?;
            self.update(slot)?;
        }
        self.backlog_turn.clear();
        Ok(())
    }

    fn after_cut(
        &mut self,
        slot: usize,
        result: std::result::Result<Cut, BadLength>,
    ) -> Result<()> {
        match result {
            Ok(cut) => {
                self.inputs += cut.inputs;
                self.full |= cut.full;
                let row = &mut self.connections[slot];
                if row.stage == Stage::Open && cut.more {
                    self.go_on_later(slot);
                }
                Ok(())
            }
            Err(BadLength(length)) => {
                let row = &mut self.connections[slot];
                let (peer, conn) = (row.peer, row.id(slot_of(slot)));
                let max = match row.stage {
                    Stage::Fresh => HANDSHAKE_BYTES_MAX - 4,
                    _ => self.config.frame_bytes_max,
                };
                let max = u32::try_from(max).unwrap_or(u32::MAX);
                let what = messages::bad_length(peer, i64::from(length), max);
                self.complain(format_args!("{what}"));
                if self.connections[slot].stage == Stage::Fresh {
                    return self.hang_up(conn);
                }
                // Replies to what came before the garbage are queued in this turn.
                self.connections[slot].stage = Stage::Condemned;
                self.condemned.push(conn);
                Ok(())
            }
        }
    }

    /// The row is looked at in the next turn, whatever the kernel says.
    fn go_on_later(&mut self, slot: usize) {
        let row = &mut self.connections[slot];
        if !row.backlogged {
            row.backlogged = true;
            self.backlog.push(slot_of(slot));
        }
    }

    /// The other side has ended: close, unless frames that came before are still to be handed
    /// over (a closeSession may be the last of them).
    fn close_if_ended(&mut self, slot: usize) -> Result<()> {
        let row = &self.connections[slot];
        let frames_wait = row.stage == Stage::Open
            && !row.inbound.is_empty()
            && (row.paused || row.backlogged || row.congested);
        if !row.ended || frames_wait || matches!(row.stage, Stage::Free | Stage::Dead) {
            return Ok(());
        }
        if row.stage == Stage::Ending && !row.outbound.is_empty() {
            return Ok(());
        }
        self.close(slot)
    }

    fn send(&mut self, slot: usize) -> Result<()> {
        let row = &mut self.connections[slot];
        if matches!(row.stage, Stage::Free | Stage::Draining | Stage::Dead) {
            return Ok(());
        }
        let socket = row.socket.as_ref().expect("a connection in use has a socket");
        if !row.outbound.is_empty() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(socket, row.outbound.unsent(), flags) {
                Ok(count) => {
                    row.outbound.advance(count, &mut self.pool);
                    if row.stage == Stage::Ending {
                        row.deadline = self.now.plus_millis(self.config.linger_ms);
                    }
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(_) => return self.close(slot),
            }
        }
        let waiting = row.outbound.len();
        if waiting == 0 && row.stage == Stage::Ending {
            if row.ended || rustix::net::shutdown(socket, Shutdown::Write).is_err() {
                return self.close(slot);
            }
            row.stage = Stage::Draining;
            row.deadline = self.now.plus_millis(self.config.linger_ms);
        }
        if waiting > OUTBOUND_BYTES_PAUSE {
            row.congested = true;
        } else if row.congested && waiting <= OUTBOUND_BYTES_PAUSE / 2 {
            row.congested = false;
            if !row.inbound.is_empty() {
                self.go_on_later(slot);
            }
        }
        self.update(slot)
    }

    /// Tells the kernel what the row wants now.
    fn update(&mut self, slot: usize) -> Result<()> {
        let row = &mut self.connections[slot];
        if matches!(row.stage, Stage::Free | Stage::Dead) {
            return Ok(());
        }
        let bytes = row.wants_bytes();
        row.cautious |= row.stage == Stage::Open && !bytes;
        let wants = Wants { bytes, many: row.is_calm(), room: row.wants_room() };
        kernel!(self, kernel => kernel.update(row, slot_of(slot), wants))
    }

    /// Closes without further ado. What is queued is lost; the service is told.
    fn close(&mut self, slot: usize) -> Result<()> {
        let row = &mut self.connections[slot];
        match row.stage {
            Stage::Free | Stage::Dead => return Ok(()),
            Stage::Word | Stage::Open | Stage::Condemned => self.gone.push(row.id(slot_of(slot))),
            Stage::Fresh | Stage::Ending | Stage::Draining => {}
        }
        row.stage = Stage::Dead;
        row.inbound.clear(&mut self.pool);
        row.outbound.clear(&mut self.pool);
        self.bury(slot)
    }

    /// Frees the row of a dead connection as soon as the kernel has let go of it.
    fn bury(&mut self, slot: usize) -> Result<()> {
        let row = &mut self.connections[slot];
        assert_eq!(row.stage, Stage::Dead);
        let socket = row.socket.as_ref().expect("a connection in use has a socket");
        if matches!(self.kernel, Kernel::Uring(_)) && (row.reading || row.writing) {
            // Ends a receive or poll that is under way. It fails if the other side was faster.
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
            return Ok(());
        }
        kernel!(self, kernel => kernel.forget(socket.as_fd()))?;
        let row = &mut self.connections[slot];
        self.admission.release(row.peer.ip());
        row.vacate();
        self.free.push(slot_of(slot));
        if !self.accepting {
            self.accept_again()?;
        }
        Ok(())
    }

    fn tell_gone(&mut self, service: &mut impl Service) {
        for conn in self.gone.drain(..) {
            service.closed(conn);
        }
    }

    fn sweep(&mut self) -> Result<()> {
        let end = (self.sweep_from + SWEEP_SLOTS_MAX).min(self.connections.len());
        for slot in self.sweep_from..end {
            let row = &self.connections[slot];
            if row.has_deadline() && self.now >= row.deadline {
                if row.stage == Stage::Fresh {
                    info!("{} sent no request in time: closed", row.peer);
                }
                self.close(slot)?;
            }
        }
        self.sweep_from = if end == self.connections.len() { 0 } else { end };
        Ok(())
    }

    fn mark_dirty(&mut self, slot: usize) {
        let row = &mut self.connections[slot];
        if !row.dirty {
            row.dirty = true;
            self.dirty.push(slot_of(slot));
        }
    }

    /// The row that a connection lives in, while it does.
    fn slot_of(&self, conn: ConnId) -> Option<usize> {
        self.row_of(conn).filter(|slot| self.connections[*slot].stage != Stage::Dead)
    }

    fn row_of(&self, conn: ConnId) -> Option<usize> {
        let slot = usize_of(conn.slot);
        let row = self.connections.get(slot)?;
        (row.generation == conn.generation && row.stage != Stage::Free).then_some(slot)
    }

    fn complain(&mut self, what: std::fmt::Arguments<'_>) {
        match self.limiter.admit(self.now) {
            None => {}
            Some(0) => warn!("{what}"),
            Some(swallowed) => warn!("{what} ({swallowed} lines like this were left out)"),
        }
    }
}

/// What came of handing over frames.
#[derive(Debug, Default)]
struct Cut {
    inputs: usize,
    /// The service wants no more in this turn.
    full: bool,
    /// Complete frames may be left that the service would accept.
    more: bool,
}

fn on_first_bytes(
    row: &mut Connection,
    slot: usize,
    bytes: &[u8],
    pool: &mut Pool,
    service: &mut impl Service,
) -> std::result::Result<Cut, BadLength> {
    let (conn, peer) = (row.id(slot_of(slot)), row.peer);
    let mut prefix = row.inbound.kept().iter().chain(bytes).copied();
    let mut word = [0; 4];
    for byte in &mut word {
        let Some(next) = prefix.next() else {
            row.inbound.keep(bytes, pool);
            return Ok(Cut::default());
        };
        *byte = next;
    }
    if let Some(argument_len) = service.word_argument_len(word) {
        row.inbound.keep(bytes, pool);
        if let Some(argument) = row.inbound.kept()[4..].get(..argument_len) {
            row.stage = Stage::Word;
            service.word(conn, peer, word, argument);
            row.inbound.clear(pool);
        }
        return Ok(Cut::default());
    }
    let mut cut = Cut::default();
    row.inbound.cut(bytes, HANDSHAKE_BYTES_MAX - 4, pool, |frame| {
        cut.inputs += 1;
        cut.full = service.frame(conn, peer, true, frame) == Flow::Full;
        Taken::Last
    })?;
    if cut.inputs > 0 {
        row.stage = Stage::Open;
        cut.more = !row.inbound.is_empty();
    }
    Ok(cut)
}

impl Config {
    fn on_more_bytes(
        &self,
        row: &mut Connection,
        slot: usize,
        bytes: &[u8],
        pool: &mut Pool,
        room: usize,
        service: &mut impl Service,
    ) -> std::result::Result<Cut, BadLength> {
        let (conn, peer) = (row.id(slot_of(slot)), row.peer);
        let mut cut = Cut::default();
        let mut paused = false;
        let result = row.inbound.cut(bytes, self.frame_bytes_max, pool, |frame| {
            if cut.full || cut.inputs >= room {
                cut.more = true;
                return Taken::Not;
            }
            if !service.accepts(conn) {
                paused = true;
                return Taken::Not;
            }
            cut.inputs += 1;
            cut.full = service.frame(conn, peer, false, frame) == Flow::Full;
            Taken::More
        });
        row.paused = paused;
        result.map(|()| cut)
    }
}

fn slot_of(index: usize) -> u32 {
    u32::try_from(index).expect("the file limit keeps the table far smaller")
}

fn usize_of(slot: u32) -> usize {
    usize::try_from(slot).expect("an address is at least 32 bits wide")
}
