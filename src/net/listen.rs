//! Listening sockets, and who may come in.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that clients never get: log segments, snapshots, rings, peers, the standard three.
const FILES_RESERVED: usize = 64;

/// Binds and listens. The socket is closed on exec, its connections send without delay, and its
/// address can be used again at once after a restart.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    // Inherited by every accepted socket: one call here instead of one a connection.
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    Ok(listener)
}

/// What an operator may change of a listening socket: `clientPortListenBacklog`, where -1 leaves it
/// as it is, and `clientTcpKeepAlive`, which every connection accepted later inherits.
pub fn tune(listener: &TcpListener, backlog: i32, keep_alive: bool) -> io::Result<()> {
    if backlog >= 0 {
        rustix::net::listen(listener, backlog)?;
    }
    rustix::net::sockopt::set_socket_keepalive(listener, keep_alive)?;
    Ok(())
}

/// Raises the soft limit of open files to the hard one, and says how many connections fit.
pub fn raise_file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let files = limit.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    files.saturating_sub(FILES_RESERVED).max(1)
}

/// Counts the connections of the whole process. Touched when one comes or goes, never between.
#[derive(Debug)]
pub struct Admission {
    open: AtomicUsize,
    /// Only kept while there is a limit for an address.
    by_address: Mutex<HashMap<IpAddr, u32>>,
    address_max: u32,
    open_max: u32,
    files_max: usize,
}

/// Why a connection is closed as soon as it was accepted (client-protocol section 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `maxClientCnxns`.
    Address,
    /// `maxCnxns`.
    All,
}

impl Admission {
    /// `address_max` is `maxClientCnxns`, `open_max` is `maxCnxns`; 0 means no limit.
    /// `files_max` is where accepting pauses because the machine has no more descriptors.
    pub fn new(address_max: u32, open_max: u32, files_max: usize) -> Self {
        assert!(files_max > 0, "without descriptors nobody can be served");
        Self {
            open: AtomicUsize::new(0),
            by_address: Mutex::default(),
            address_max,
            open_max,
            files_max,
        }
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The limits of an address and of all, 0 for none.
    pub(super) fn limits(&self) -> (u32, u32) {
        (self.address_max, self.open_max)
    }

    pub(super) fn admit(&self, address: IpAddr) -> Result<(), Refusal> {
        let open = u32::try_from(self.open()).unwrap_or(u32::MAX);
        if self.open_max > 0 && open >= self.open_max {
            return Err(Refusal::All);
        }
        if self.address_max > 0 {
            let mut by_address = self.by_address.lock().expect("nobody panics while counting");
            let count = by_address.entry(address).or_default();
            if *count >= self.address_max {
                return Err(Refusal::Address);
            }
            *count += 1;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A connection that was admitted is closed, or was never taken over by a core.
    pub fn release(&self, address: IpAddr) {
        let before = self.open.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "a connection is released once");
        if self.address_max > 0 {
            let mut by_address = self.by_address.lock().expect("nobody panics while counting");
            let count = by_address.get_mut(&address).expect("an open connection is counted");
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }

    /// How many more connections the machine's file limit allows.
    pub(super) fn room(&self) -> usize {
        self.files_max.saturating_sub(self.open())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_inherit_what_was_tuned() {
        for keep_alive in [true, false] {
            let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
            tune(&listener, 16, keep_alive).expect("the system knows both");
            let address = listener.local_addr().expect("it is bound");
            let _client = std::net::TcpStream::connect(address).expect("it listens");
            let (accepted, _) = listener.accept().expect("it was connected to");
            let is_on = rustix::net::sockopt::socket_keepalive(&accepted).expect("an option");
            assert_eq!(is_on, keep_alive);
        }
    }

    #[test]
    fn limits_hold_and_places_come_back() {
        let [a, b] = [[1, 2, 3, 4], [1, 2, 3, 5]].map(IpAddr::from);
        let admission = Admission::new(2, 3, 10);
        assert_eq!(admission.admit(a), Ok(()));
        assert_eq!(admission.admit(a), Ok(()));
        assert_eq!(admission.admit(a), Err(Refusal::Address));
        assert_eq!(admission.admit(b), Ok(()));
        assert_eq!(admission.admit(b), Err(Refusal::All));
        admission.release(a);
        assert_eq!(admission.admit(a), Ok(()));
        admission.release(a);
        admission.release(a);
        admission.release(b);
        assert_eq!(admission.open(), 0);
        assert!(admission.by_address.lock().unwrap().is_empty());
        assert_eq!(admission.room(), 10);
    }
}
