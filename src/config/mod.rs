//! Keys become values: a Java server's zoo.cfg, flags and arguments -> one [`Config`].
//!
//! # What it decides
//!
//! Which keys there are, what each may hold, which of two values wins, and what keeps a server
//! from starting. The table in [`keys`] has each key once; `conf/zoo.cfg` is written from it by
//! [`manual`]. A key of Java's parser with a wrong value, or a contradiction between keys, is an
//! error; a property of Java's with a malformed value, or a key that nobody knows, is a warning,
//! and an error to `strict=true` and to `ringkeeper check`.
//!
//! # How it is driven
//!
//! `main` gathers [`Sources`] and calls [`load`] once; the loops fill the modules' own settings
//! from the result. Nothing reads a key by its name later.
//!
//! # What it promises
//!
//! Whatever bytes the file holds, [`load`] returns, in time that grows with their number, and
//! never panics. No finding shows a secret.

mod check;
mod finding;
mod jaas;
pub mod key;
pub mod keys;
mod load;
pub mod manual;
pub mod members;
pub mod properties;
mod rules;
mod settings;

pub use finding::{Finding, Findings, Place, Stops};
pub use load::{Flag, Form, Loaded, Sources, load};
pub use settings::{
    AdminConfig, AuthConfig, AuthProvider, ClientConfig, Config, Cores, DigestAlgorithm, Engine,
    EngineConfig, EnsembleConfig, LimitsConfig, LogConfig, LogFormat, PurgeConfig, Secret,
    SessionConfig, StorageConfig, ThrottleConfig, TreeConfig,
};
