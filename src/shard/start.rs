//! From a configuration to running loops, and back to nothing.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use log::{info, warn};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::arrange::{Arrangement, cpus};
use super::background::Background;
use super::clients::Clients;
use super::engine::{Engine, Thread};
use super::front_loop::FrontLoop;
use super::mesh::{Batches, Mesh};
use super::one_loop::OneLoop;
use super::ordering::Ordering;
use super::replica_loop::ReplicaLoop;
use super::turn::{Spin, Stop};
use super::words::Facts;
use super::{Error, clock, settings};
use crate::config::Config;
use crate::front::Front;
use crate::net::{self, Admission, Net, Wake};
use crate::replica::{Recovery, Replica};
use crate::storage::tree_image::tree_of;
use crate::storage::{self, Identity, OpenedDir};
use crate::tree::{HashKey, Tree};
use crate::types::{Generation, Now, ShardId, messages};

/// Threads that verify a snapshot at start; more do not read faster.
const VERIFY_THREADS_MAX: usize = 4;

/// A server whose loops run. Dropping it leaves them running; [`Running::stop`] ends them.
pub struct Running {
    address: SocketAddr,
    stop: Arc<Stop>,
    bells: Vec<Arc<Wake>>,
    loops: Vec<(String, Thread<Result<(), Error>>)>,
    ended: Receiver<Ended>,
    end: Sender<Ended>,
}

/// Why a server has ended in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// [`Running::stop`] was called.
    Asked,
    /// This signal came.
    Signal(i32),
}

/// Runs a server until SIGTERM or SIGINT, or until it cannot go on. Blocking.
///
/// # Errors
/// It cannot start, or a write to the log failed: one sentence for the operator.
pub fn run(config: &Config) -> Result<Ended, Error> {
    let signals = Signals::new([SIGTERM, SIGINT]);
    let mut signals = signals
        .map_err(|error| Error::Thread { name: "signals".into(), error: error.to_string() })?;
    let running = start(config)?;
    let end = running.end.clone();
    // Not joined: it waits for signals until the process ends.
    let watcher = thread::Builder::new().name("signals".into()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            info!("stopping on signal {signal}");
            let _ = end.send(Ended::Signal(signal));
        }
    });
    watcher.map_err(|error| Error::Thread { name: "signals".into(), error: error.to_string() })?;
    running.wait()
}

/// Starts a server: opens its files, brings back its state, opens its port, starts its loops.
///
/// # Errors
/// Any of that failed; nothing keeps running.
pub fn start(config: &Config) -> Result<Running, Error> {
    let engine = Engine::choose(config.engine.engine)?;
    let ours = cpus();
    let arrangement = Arrangement::new(&config.engine.cores, &ours);
    let files_max = net::raise_file_limit();
    let listener = Arc::new(bind(config)?);
    net::tune(&listener, config.client.listen_backlog, config.client.tcp_keep_alive)
        .map_err(Error::Net)?;
    let address = listener.local_addr().map_err(Error::Net)?;

    let identity = Identity(random()?);
    let threads = ours.len().clamp(1, VERIFY_THREADS_MAX);
    let opened = storage::open(&settings::dirs(config, identity, threads));
    let mut store = opened.map_err(Error::Storage)?;
    for note in &store.opened.report.notes {
        warn!("{note}");
    }
    let mut replica = recover(config, &mut store)?;
    let nonce_key = random()?;
    let fronts = (0..arrangement.fronts()).map(|shard| {
        let shard = ShardId(u16::try_from(shard).expect("SHARDS_MAX is small"));
        let config = settings::front(config, shard, arrangement.fronts(), nonce_key);
        (shard, Front::new(config, replica.reader(), clock::now()))
    });
    let fronts: Vec<_> = fronts.collect();

    info!(
        "engine {engine}; {arrangement} of {} CPUs; every write is durable before it is \
         acknowledged{}",
        ours.len(),
        if store.disk.is_direct() { "" } else { ", through the page cache" }
    );
    let starter = Starter {
        config,
        engine,
        admission: Arc::new(Admission::new(
            config.client.max_client_cnxns,
            config.client.max_cnxns,
            files_max,
        )),
        facts: Arc::new(facts(config, address.port())),
        listener,
        stop: Arc::new(Stop::default()),
        channel: bounded(1024),
    };
    let (bells, loops) = match arrangement {
        Arrangement::One { cpu } => starter.one(replica, fronts, store, cpu)?,
        Arrangement::Dedicated { replica: cpu, fronts: cpus } => {
            starter.dedicated(replica, fronts, store, cpu, &cpus)?
        }
    };
    info!("{}", messages::binding(address));
    let (end, ended) = starter.channel;
    Ok(Running { address, stop: starter.stop, bells, loops, ended, end })
}

/// How long the port may stay taken before that is an error. A ring is torn down in the background
/// after its process has ended, and holds the listening socket until then: without patience a
/// server that was killed could not be started again at once.
const BIND_PATIENCE: Duration = Duration::from_secs(3);

/// Every address of the machine, of both families if it has both, unless one is configured.
fn bind(config: &Config) -> Result<TcpListener, Error> {
    let deadline = Instant::now() + BIND_PATIENCE;
    let mut told = false;
    loop {
        match bind_once(config) {
            Err(Error::Bind { address, error })
                if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline =>
            {
                if !told {
                    info!("{address} is taken, perhaps by a server that just ended: waiting");
                    told = true;
                }
                thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

fn bind_once(config: &Config) -> Result<TcpListener, Error> {
    let port = config.client.port.ok_or(Error::NoPort)?;
    let listen = |address| {
        let listener = net::listen(address)?;
        net::tune(&listener, config.client.listen_backlog, config.client.tcp_keep_alive)?;
        Ok(listener)
    };
    if config.client.address.is_none() {
        let both = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        match listen(both) {
            Ok(listener) => return Ok(listener),
            Err(error) if io::Error::kind(&error) == io::ErrorKind::AddrInUse => {
                return Err(Error::Bind { address: both, error });
            }
            // No IPv6 on this machine.
            Err(_) => {}
        }
    }
    let address = config.client.socket().ok_or(Error::NoPort)?;
    listen(address).map_err(|error| Error::Bind { address, error })
}

/// Bytes that nobody can guess.
fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map(|()| bytes).map_err(Error::LogFile)
}

/// The state as it was when the server last stopped, however it did.
fn recover(config: &Config, store: &mut OpenedDir) -> Result<Replica, Error> {
    let since = clock::mono();
    let rules = settings::tree(config);
    let tree = match &store.opened.snapshot {
        None => Tree::new(rules, HashKey(bytemuck::cast::<[u8; 16], _>(random()?))),
        Some(snapshot) => tree_of(snapshot, rules).map_err(|error| Error::State(error.0))?,
    };
    let mut recovery = Recovery::new(settings::replica(config), tree);
    let mut replayed = 0u64;
    while let Some((_, payload)) =
        store.opened.tail.next(&mut store.disk).map_err(Error::Storage)?
    {
        recovery.replay(payload).map_err(Error::State)?;
        replayed += 1;
    }
    let ms = clock::mono().nanos_since(since) / 1_000_000;
    info!("{}, up to {}", messages::loaded(replayed, ms), recovery.last_zxid());
    Ok(recovery.finish(clock::now(), Generation(1)))
}

fn facts(config: &Config, port: u16) -> Facts {
    Facts {
        white_list: settings::white_list(config),
        settings: settings::shown(config, port),
        dirs: [
            config.storage.data_dir.join(storage::dir::FOLDER),
            config.storage.log_dir().join(storage::dir::FOLDER),
        ],
        since: clock::mono(),
        trace_mask: AtomicI64::new(crate::admin::stats::TRACE_MASK),
    }
}

type Loops = (Vec<Arc<Wake>>, Vec<(String, Thread<Result<(), Error>>)>);

/// What all loops are started with.
struct Starter<'a> {
    config: &'a Config,
    engine: Engine,
    admission: Arc<Admission>,
    facts: Arc<Facts>,
    listener: Arc<TcpListener>,
    stop: Arc<Stop>,
    /// Something has ended, or a signal came.
    channel: (Sender<Ended>, Receiver<Ended>),
}

impl Starter<'_> {
    fn one(
        &self,
        replica: Replica,
        fronts: Vec<(ShardId, Front)>,
        store: OpenedDir,
        cpu: Option<u16>,
    ) -> Result<Loops, Error> {
        let bell = Arc::new(Wake::new().map_err(Error::Net)?);
        let ordering = self.ordering(replica, store, &bell)?;
        let (shard, front) = fronts.into_iter().next().expect("one front at least");
        let tick_ms = self.config.session.tick_time_ms;
        let (facts, listener) = (Arc::clone(&self.facts), Arc::clone(&self.listener));
        let spin = if cpu.is_some() { Spin::Allowed } else { Spin::Never };
        let bells = vec![Arc::clone(&bell)];
        let thread =
            self.spawn("server", cpu, &bells, &bell.clone(), move |mut net, stop, ready| {
                net.listen(listener).map_err(Error::Net)?;
                let clients = Clients::new(net, front, shard, tick_ms);
                ready();
                OneLoop { clients, ordering, bell, facts, spin }.run(stop)
            })?;
        Ok((bells, vec![thread]))
    }

    fn dedicated(
        &self,
        replica: Replica,
        fronts: Vec<(ShardId, Front)>,
        store: OpenedDir,
        cpu: u16,
        cpus: &[u16],
    ) -> Result<Loops, Error> {
        let mesh = Arc::new(Mesh::new(fronts.len()).map_err(Error::Net)?);
        let mut bells = vec![Arc::clone(&mesh.bell)];
        bells.extend(mesh.links.iter().map(|link| Arc::clone(&link.bell)));
        let ordering = self.ordering(replica, store, &mesh.bell)?;
        let mut loops = Vec::new();
        loops.push(self.spawn("replica", Some(cpu), &bells, &mesh.bell, {
            let mesh = Arc::clone(&mesh);
            move |net, stop, ready| {
                ready();
                let bell = Arc::clone(&mesh.bell);
                let batches = Batches::default();
                ReplicaLoop { net, ordering, mesh, spin: Spin::Allowed, batches }.run(&bell, stop)
            }
        })?);
        let tick_ms = self.config.session.tick_time_ms;
        for ((shard, front), cpu) in fronts.into_iter().zip(cpus) {
            let bell = Arc::clone(&mesh.links[usize::from(shard.0)].bell);
            let (mesh, facts) = (Arc::clone(&mesh), Arc::clone(&self.facts));
            let (admission, listener) = (Arc::clone(&self.admission), Arc::clone(&self.listener));
            let name = format!("front-{}", shard.0);
            let started =
                self.spawn(&name, Some(*cpu), &bells, &bell, move |mut net, stop, ready| {
                    if shard == ShardId(0) {
                        net.listen(listener).map_err(Error::Net)?;
                    }
                    let clients = Clients::new(net, front, shard, tick_ms);
                    ready();
                    FrontLoop::new(clients, shard, mesh, admission, facts).run(stop)
                });
            match started {
                Ok(thread) => loops.push(thread),
                Err(error) => {
                    self.stop.ask();
                    for bell in &bells {
                        bell.ring();
                    }
                    return Err(error);
                }
            }
        }
        Ok((bells, loops))
    }

    fn ordering(
        &self,
        replica: Replica,
        store: OpenedDir,
        bell: &Arc<Wake>,
    ) -> Result<Ordering, Error> {
        let OpenedDir { lock, disk, opened } = store;
        let keep = settings::keep(self.config);
        let background =
            Background::start(&self.engine, &disk, opened.identity, keep, Arc::clone(bell))?;
        let config = settings::ordering(self.config);
        let now: Now = clock::now();
        Ok(Ordering::new(config, replica, opened.log, disk, lock, background, now))
    }

    /// Starts a loop and waits until it is about to turn, or has failed.
    fn spawn(
        &self,
        name: &str,
        cpu: Option<u16>,
        bells: &[Arc<Wake>],
        bell: &Arc<Wake>,
        work: impl FnOnce(Net, &Stop, &dyn Fn()) -> Result<(), Error> + Send + 'static,
    ) -> Result<(String, Thread<Result<(), Error>>), Error> {
        let (tell, told) = bounded(1);
        let config = settings::net(self.config);
        let (backend, bell) = (self.engine.backend, Arc::clone(bell));
        let (admission, stop) = (Arc::clone(&self.admission), Arc::clone(&self.stop));
        let (bells, ended) = (bells.to_vec(), self.channel.0.clone());
        let thread = self.engine.spawn(name, cpu, move || {
            // The others end with this one, however it ends.
            let _end = EndAll { stop: Arc::clone(&stop), bells, ended };
            let net = Net::open(config, backend, admission, bell).map_err(Error::Net)?;
            work(net, &stop, &|| {
                let _ = tell.send(());
            })
        })?;
        match told.recv() {
            Ok(()) => Ok((name.to_owned(), thread)),
            Err(_) => Err(end_of(name, thread).err().unwrap_or_else(|| Error::Thread {
                name: name.to_owned(),
                error: "it ended before it began".to_owned(),
            })),
        }
    }
}

/// When one loop ends, for whatever reason, the server stops.
struct EndAll {
    stop: Arc<Stop>,
    bells: Vec<Arc<Wake>>,
    ended: Sender<Ended>,
}

impl Drop for EndAll {
    fn drop(&mut self) {
        if !self.stop.is_asked() {
            self.stop.ask();
        }
        self.bells.iter().for_each(|bell| bell.ring());
        let _ = self.ended.try_send(Ended::Asked);
    }
}

fn end_of(name: &str, thread: Thread<Result<(), Error>>) -> Result<(), Error> {
    match thread.join() {
        Ok(result) => result,
        Err(error) => Err(Error::Thread { name: name.to_owned(), error }),
    }
}

impl Running {
    /// Where clients connect, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a signal comes or a loop has ended, and stops.
    ///
    /// # Errors
    /// What made the server stop, if it was not asked to.
    pub fn wait(self) -> Result<Ended, Error> {
        let why = self.ended.recv().expect("we hold a sender ourselves");
        self.stop().map(|()| why)
    }

    /// Takes no more requests, answers those that were taken, and ends every loop; at most five
    /// seconds.
    ///
    /// # Errors
    /// The first loop that failed says why.
    pub fn stop(self) -> Result<(), Error> {
        if !self.stop.is_asked() {
            self.stop.ask();
        }
        self.bells.iter().for_each(|bell| bell.ring());
        let mut result = Ok(());
        for (name, thread) in self.loops {
            result = result.and(end_of(&name, thread));
        }
        result
    }
}
