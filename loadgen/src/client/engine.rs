//! The loop: one epoll set, many connections, one script.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timer::TimerSetTimeFlags;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags};

use super::conn::{Conn, Reply};
use super::failure::Failure;

/// What the script wants after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Come back when something has arrived, or at this time.
    WaitUntil(Instant),
    /// The script is finished.
    Done,
}

/// Decides what is asked, and learns what is answered.
pub trait Script {
    /// Called before each wait. May open connections and queue requests on any of them. An error
    /// ends the run.
    fn on_turn(&mut self, conns: &mut Conns, now: Instant) -> Result<Turn, Failure>;

    /// A session is open.
    fn on_open(&mut self, _conn: &mut Conn, _now: Instant) {}

    /// One reply. May queue further requests on the same connection.
    fn on_reply(&mut self, conn: &mut Conn, reply: &Reply<'_>, now: Instant);

    /// One watch event.
    fn on_event(&mut self, _conn: &mut Conn, _now: Instant) {}

    /// A connection is lost. An error ends the run.
    fn on_failure(&mut self, _conn: &Conn, failure: Failure) -> Result<(), Failure> {
        Err(failure)
    }
}

/// All connections of an engine.
pub struct Conns {
    list: Vec<Conn>,
    touched: Vec<usize>,
    registry: Registry,
    /// Connections that are neither closed nor lost.
    alive: usize,
    opened: usize,
}

impl Conns {
    /// Begins to connect. The session's timeout is a wish; the server grants one.
    pub fn open(&mut self, addr: SocketAddr, timeout_ms: i32) -> Result<&mut Conn, Failure> {
        let index = self.list.len();
        let failed = |why| Failure::Connect { to: addr, why };
        let now = Instant::now();
        let mut socket = mio::net::TcpStream::connect(addr).map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        self.registry
            .register(&mut socket, Token(index), Interest::READABLE | Interest::WRITABLE)
            .map_err(|why| Failure::System { what: "adding a socket to epoll", why })?;
        self.list.push(Conn::new(index, addr, socket, timeout_ms, now));
        self.alive += 1;
        Ok(self.list.last_mut().expect("just pushed"))
    }

    /// Drops the connection without a word to the server.
    pub fn drop_connection(&mut self, index: usize) {
        let conn = &mut self.list[index];
        if !conn.is_closed() {
            // An error here means that the kernel has forgotten it already.
            let _ = self.registry.deregister(conn.socket());
            let _ = conn.socket().shutdown(std::net::Shutdown::Both);
            conn.mark_closed();
            self.alive -= 1;
        }
    }

    /// Forgets all connections. Those that are still open are dropped.
    pub fn clear(&mut self) {
        for index in 0..self.list.len() {
            self.drop_connection(index);
        }
        self.list.clear();
        self.touched.clear();
        self.opened = 0;
    }

    /// The connection, to queue requests on: they leave at the end of this turn.
    pub fn touch(&mut self, index: usize) -> &mut Conn {
        let conn = &mut self.list[index];
        if !conn.touched {
            conn.touched = true;
            self.touched.push(index);
        }
        conn
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn alive(&self) -> usize {
        self.alive
    }

    /// Sessions that were opened so far.
    pub fn opened(&self) -> usize {
        self.opened
    }

    pub fn outstanding(&self) -> usize {
        self.list.iter().map(Conn::outstanding).sum()
    }
}

/// One thread's connections and the epoll set they are in.
pub struct Engine {
    poll: Poll,
    events: Events,
    timer: TimerFd,
    armed: Option<Instant>,
    scratch: Vec<u8>,
    pub conns: Conns,
}

const TIMER: Token = Token(usize::MAX);
/// Events taken at once. More only delays what the script sends.
const EVENTS_MAX: usize = 1024;
/// Read at once from one connection.
const SCRATCH_BYTES: usize = 256 << 10;
/// How often idle sessions are looked at.
const TEND_EVERY: Duration = Duration::from_secs(1);

impl Engine {
    pub fn new() -> Result<Self, Failure> {
        let system = |what| move |why| Failure::System { what, why };
        let poll = Poll::new().map_err(system("making an epoll set"))?;
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)
            .map_err(|why| Failure::System { what: "making a timer", why: why.into() })?;
        poll.registry()
            .register(&mut SourceFd(&fd_of(&timer)), TIMER, Interest::READABLE)
            .map_err(system("adding a timer to epoll"))?;
        let registry = poll.registry().try_clone().map_err(system("sharing an epoll set"))?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            timer,
            armed: None,
            scratch: vec![0; SCRATCH_BYTES],
            conns: Conns { list: Vec::new(), touched: Vec::new(), registry, alive: 0, opened: 0 },
        })
    }

    /// Runs the script until it is done. Connections stay open for the next one.
    pub fn run(&mut self, script: &mut impl Script) -> Result<(), Failure> {
        let mut tend_at = Instant::now() + TEND_EVERY;
        loop {
            let now = Instant::now();
            if now >= tend_at {
                tend_at = now + TEND_EVERY;
                self.tend(script, now)?;
            }
            let turn = script.on_turn(&mut self.conns, now)?;
            self.flush_touched(script, now)?;
            let Turn::WaitUntil(at) = turn else { return Ok(()) };
            self.wait(at.min(tend_at), now)?;
            self.dispatch(script)?;
        }
    }

    fn dispatch(&mut self, script: &mut impl Script) -> Result<(), Failure> {
        for event in &self.events {
            let Token(index) = event.token();
            if event.token() == TIMER {
                self.armed = None; // Arming it again also clears its readiness.
                continue;
            }
            let Some(conn) = self.conns.list.get_mut(index) else { continue };
            if conn.is_closed() {
                continue;
            }
            let was_open = conn.is_open();
            let mut result = Ok(());
            if event.is_writable() {
                result = conn.on_writable(Instant::now());
            }
            if result.is_ok() && (event.is_readable() || event.is_read_closed()) {
                result = conn.on_readable(&mut self.scratch, event.is_read_closed(), script);
                if result.is_ok() {
                    result = conn.flush(Instant::now());
                }
            }
            if !was_open && conn.is_open() {
                self.conns.opened += 1;
            }
            if let Err(failure) = result {
                fail(&mut self.conns, script, index, failure)?;
            }
        }
        Ok(())
    }

    fn flush_touched(&mut self, script: &mut impl Script, now: Instant) -> Result<(), Failure> {
        while let Some(index) = self.conns.touched.pop() {
            let conn = &mut self.conns.list[index];
            conn.touched = false;
            if let Err(failure) = conn.flush(now) {
                fail(&mut self.conns, script, index, failure)?;
            }
        }
        Ok(())
    }

    fn tend(&mut self, script: &mut impl Script, now: Instant) -> Result<(), Failure> {
        for index in 0..self.conns.list.len() {
            if let Err(failure) = self.conns.list[index].tend(now) {
                fail(&mut self.conns, script, index, failure)?;
            }
        }
        Ok(())
    }

    /// epoll's own time-outs are whole milliseconds; a schedule of 50,000 a second needs better.
    fn wait(&mut self, until: Instant, now: Instant) -> Result<(), Failure> {
        if until <= now {
            return self.poll_events(Some(Duration::ZERO));
        }
        if self.armed != Some(until) {
            let wait = TimeSpec::from_duration(until - now);
            self.timer
                .set(Expiration::OneShot(wait), TimerSetTimeFlags::empty())
                .map_err(|why| Failure::System { what: "setting a timer", why: why.into() })?;
            self.armed = Some(until);
        }
        self.poll_events(None)
    }

    fn poll_events(&mut self, timeout: Option<Duration>) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => Ok(()),
            Err(why) if why.kind() == ErrorKind::Interrupted => Ok(()),
            Err(why) => Err(Failure::System { what: "waiting for events", why }),
        }
    }
}

/// Drops the connection and lets the script decide whether the run can go on.
fn fail(
    conns: &mut Conns,
    script: &mut impl Script,
    index: usize,
    failure: Failure,
) -> Result<(), Failure> {
    let failure = match failure {
        Failure::ClosedAtOnce { by, .. } => Failure::ClosedAtOnce { by, open_before: conns.opened },
        other => other,
    };
    let verdict = script.on_failure(&conns.list[index], failure);
    conns.drop_connection(index);
    verdict
}

fn fd_of(timer: &TimerFd) -> std::os::fd::RawFd {
    use std::os::fd::AsFd;
    timer.as_fd().as_raw_fd()
}
