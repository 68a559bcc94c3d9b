//! Files: the log, snapshots, and the metadata block.
pub mod block;
pub mod dir;
pub mod disk;
pub mod driver;
pub mod error;
pub mod log;
pub mod log_format;
pub mod map;
pub mod meta;
pub mod open;
pub mod purge;
pub mod reader;
pub mod recover;
pub mod scan;
pub mod segment;
pub mod snapshot;
pub mod snapshot_format;
pub mod tree_image;

pub use dir::{DirConfig, Lock, OpenedDir, open};
pub use error::Error;
pub use log_format::Identity;
pub use open::{OpenConfig, Opened, Report};
