//! What this server calls itself where a client asks for a ZooKeeper version.
//!
//! Clients, agents and exporters take the text apart with regular expressions, so it has Apache's
//! shape and names the Apache release whose behaviour is the model. Who this really is stands in
//! `envi` as `ringkeeper.version` and in `ringkeeper --version`.

/// The Apache release whose wire and behaviour this server has.
pub const COMPATIBLE: &str = "3.9.5";

/// `3.9.5-<revision>, built on <date> UTC`: revision and date are this program's.
pub const FULL: &str =
    concat!("3.9.5-", env!("RINGKEEPER_REVISION"), ", built on ", env!("RINGKEEPER_DATE"), " UTC");

/// What `ringkeeper --version` says.
pub const OWN: &str = concat!("ringkeeper ", env!("CARGO_PKG_VERSION"));

/// Revision that this program was built from, 40 hexadecimal digits; zeros where it is not known.
pub const REVISION: &str = env!("RINGKEEPER_REVISION");
