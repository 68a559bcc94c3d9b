//! Whole servers inside the test's process, in both arrangements and over both back ends: real
//! sockets, real files, a small client.

#![allow(missing_docs)]

#[allow(dead_code)]
#[path = "../support/zk.rs"]
mod zk;

mod serving;
mod stopping;
mod words;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use ringkeeper::config::{Config, Cores, Engine};
use ringkeeper::shard::{self, Running};

/// What a server runs on.
#[derive(Clone, Debug)]
pub struct On {
    engine: Engine,
    cores: Cores,
}

/// Runs a test once for each back end and arrangement.
macro_rules! everywhere {
    ($($name:ident)*) => {
        mod one_uring {
            $(#[test] fn $name() { super::$name(&crate::one(super::Engine::Uring)); })*
        }
        mod one_epoll {
            $(#[test] fn $name() { super::$name(&crate::one(super::Engine::Epoll)); })*
        }
        mod dedicated_uring {
            $(#[test] fn $name() { super::$name(&crate::dedicated(super::Engine::Uring)); })*
        }
        mod dedicated_epoll {
            $(#[test] fn $name() { super::$name(&crate::dedicated(super::Engine::Epoll)); })*
        }
    };
}
pub(crate) use everywhere;

pub fn one(engine: Engine) -> On {
    On { engine, cores: Cores::None }
}

/// A replica's core and two fronts, however few CPUs there are.
pub fn dedicated(engine: Engine) -> On {
    On { engine, cores: Cores::List(vec![0, 1, 0]) }
}

/// A server on a directory of its own, which goes with it.
pub struct Server {
    running: Option<Running>,
    pub config: Config,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(on: &On) -> Self {
        Self::with(on, |_| {})
    }

    pub fn with(on: &On, change: impl FnOnce(&mut Config)) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringkeeper-shard-{}-{number}", std::process::id());
        let mut config = Config::default();
        config.storage.data_dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&config.storage.data_dir).unwrap();
        config.client.port = Some(0);
        config.client.address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        config.client.max_client_cnxns = 0;
        config.admin.four_letter_whitelist = vec!["*".to_owned()];
        config.engine.engine = on.engine;
        config.engine.cores = on.cores.clone();
        change(&mut config);
        let running = shard::start(&config).unwrap();
        let address = running.address();
        Self { running: Some(running), config, address }
    }

    pub fn stop(&mut self) {
        self.running.take().unwrap().stop().unwrap();
    }

    /// Stops and starts on the same directory.
    pub fn restart(&mut self) {
        if self.running.is_some() {
            self.stop();
        }
        let running = shard::start(&self.config).unwrap();
        self.address = running.address();
        self.running = Some(running);
    }

    pub fn data_dir(&self) -> PathBuf {
        self.config.storage.data_dir.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let result = running.stop();
            assert!(std::thread::panicking() || result.is_ok(), "{result:?}");
        }
        let _ = std::fs::remove_dir_all(self.data_dir());
    }
}
