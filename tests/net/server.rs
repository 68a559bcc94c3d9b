//! A thread with a [`Net`] on it, and the echo service.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringkeeper::net::{
    Admission, Backend, Config, DiskWrite, DiskWritten, Flow, Net, Service, Wake, listen, probe,
};
use ringkeeper::types::{ConnId, Instant as Moment};

pub fn uring() -> Backend {
    probe().expect("these tests need io_uring")
}

/// What the test sees of the server.
pub struct Server {
    pub address: SocketAddr,
    pub admission: Arc<Admission>,
    pub shared: Arc<Shared>,
    wake: Arc<Wake>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
pub struct Shared {
    stop: AtomicBool,
    /// Connections that have said `hold` go on.
    release: AtomicBool,
    pub frames: AtomicUsize,
    pub closed: AtomicUsize,
    pub opened: AtomicUsize,
    writes: Mutex<Vec<DiskWrite>>,
    written: Mutex<Option<Sender<DiskWritten>>>,
}

pub struct Limits {
    pub config: Config,
    pub address_max: u32,
    pub open_max: u32,
    pub files_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let config = Config { handshake_ms: 400, linger_ms: 300, ..Config::default() };
        Self { config, address_max: 0, open_max: 0, files_max: 10_000 }
    }
}

impl Server {
    pub fn start(backend: Backend) -> Self {
        Self::with(backend, Limits::default())
    }

    pub fn with(backend: Backend, limits: Limits) -> Self {
        let admission =
            Arc::new(Admission::new(limits.address_max, limits.open_max, limits.files_max));
        let listener = Arc::new(listen("127.0.0.1:0".parse().unwrap()).unwrap());
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let wake = Arc::new(Wake::new().unwrap());
        let thread = std::thread::spawn({
            let (admission, shared) = (Arc::clone(&admission), Arc::clone(&shared));
            let wake = Arc::clone(&wake);
            move || {
                let mut net =
                    Net::open(limits.config, backend, admission, Arc::clone(&wake)).unwrap();
                net.listen(listener).unwrap();
                run(net, &wake, &shared);
            }
        });
        Self { address, admission, shared, wake, thread: Some(thread) }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Connects and says hello.
    pub fn open(&self) -> TcpStream {
        let mut stream = self.connect();
        send(&mut stream, b"hello");
        assert_eq!(receive(&mut stream), b"hello");
        stream
    }

    pub fn release(&self) {
        self.shared.release.store(true, Ordering::SeqCst);
        self.wake.ring();
    }

    pub fn write(&self, writes: Vec<DiskWrite>) -> Receiver<DiskWritten> {
        let (tell, told) = channel();
        *self.shared.written.lock().unwrap() = Some(tell);
        self.shared.writes.lock().unwrap().extend(writes);
        self.wake.ring();
        told
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.wake.ring();
        let result = self.thread.take().unwrap().join();
        assert!(std::thread::panicking() || result.is_ok());
    }
}

struct Echo<'a> {
    shared: &'a Shared,
    held: HashSet<ConnId>,
    out: Vec<(ConnId, Vec<u8>, bool)>,
    alive: HashSet<ConnId>,
    written: Vec<DiskWritten>,
}

impl Service for Echo<'_> {
    fn accepts(&mut self, conn: ConnId) -> bool {
        assert!(self.alive.contains(&conn));
        !self.held.contains(&conn)
    }

    fn frame(&mut self, conn: ConnId, _: SocketAddr, first: bool, frame: &[u8]) -> Flow {
        assert_eq!(first, self.alive.insert(conn), "first means first");
        assert!(!self.held.contains(&conn), "a frame came while none was accepted");
        self.shared.frames.fetch_add(1, Ordering::SeqCst);
        if frame == b"hold" {
            self.held.insert(conn);
        }
        let reply = match frame.strip_prefix(b"big ") {
            Some(size) => vec![b'x'; std::str::from_utf8(size).unwrap().parse().unwrap()],
            None => frame.to_vec(),
        };
        self.out.push((conn, framed(&reply), frame == b"bye"));
        if frame == b"full" { Flow::Full } else { Flow::Go }
    }

    fn word_argument_len(&self, word: [u8; 4]) -> Option<usize> {
        (&word == b"word").then_some(2)
    }

    fn word(&mut self, conn: ConnId, peer: SocketAddr, word: [u8; 4], argument: &[u8]) {
        assert!(peer.ip().is_loopback());
        assert!(self.alive.insert(conn));
        self.out.push((conn, [&word, argument].concat(), true));
    }

    fn closed(&mut self, conn: ConnId) {
        assert!(self.alive.remove(&conn), "closed comes once, and only for one that had a frame");
        self.held.remove(&conn);
        self.shared.closed.fetch_add(1, Ordering::SeqCst);
    }

    fn place(&mut self, socket: OwnedFd, _: SocketAddr) -> Option<OwnedFd> {
        self.shared.opened.fetch_add(1, Ordering::SeqCst);
        assert!(rustix::net::sockopt::tcp_nodelay(&socket).unwrap(), "replies wait for nothing");
        let flags = rustix::io::fcntl_getfd(&socket).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        Some(socket)
    }

    fn written(&mut self, written: DiskWritten) {
        self.written.push(written);
    }
}

fn run(mut net: Net, wake: &Wake, shared: &Shared) {
    let origin = Instant::now();
    let mut echo = Echo {
        shared,
        held: HashSet::new(),
        out: Vec::new(),
        alive: HashSet::new(),
        written: Vec::new(),
    };
    while !shared.stop.load(Ordering::SeqCst) {
        wake.prepare_sleep();
        let called = shared.stop.load(Ordering::SeqCst)
            || shared.release.load(Ordering::SeqCst)
            || !shared.writes.lock().unwrap().is_empty();
        let timeout = if called { Duration::ZERO } else { Duration::from_millis(100) };
        net.wait(Some(timeout)).unwrap();
        wake.awake();
        let now = Moment(u64::try_from(origin.elapsed().as_nanos()).unwrap());
        net.deliver(now, &mut echo).unwrap();
        if shared.release.swap(false, Ordering::SeqCst) {
            for conn in echo.held.drain() {
                net.resume(conn).unwrap();
            }
        }
        for write in shared.writes.lock().unwrap().drain(..) {
            // SAFETY: `tests/net/disk.rs` keeps file and memory until all answers have come.
            #[allow(unsafe_code)]
            unsafe { net.write(write) }.unwrap();
        }
        for written in echo.written.drain(..) {
            shared.written.lock().unwrap().as_ref().unwrap().send(written).unwrap();
        }
        for (conn, reply, bye) in echo.out.drain(..) {
            net.queue(conn, &reply).unwrap();
            if bye {
                net.hang_up(conn).unwrap();
            }
        }
        net.flush().unwrap();
    }
}

pub fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(bytes);
    frame
}

pub fn send(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(&framed(bytes)).unwrap();
}

pub fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut frame).unwrap();
    frame
}

/// The server has ended the connection, by a close or a reset.
pub fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            true
        }
    }
}

pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn temporary_file(name: &str) -> (std::path::PathBuf, Arc<File>) {
    let path = std::env::temp_dir().join(format!("ringkeeper-net-{}-{name}", std::process::id()));
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    (path, Arc::new(file))
}
