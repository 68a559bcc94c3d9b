//! The client: many sessions on one thread, as cheap as a client can be.
//!
//! An [`Engine`] owns an epoll set and its connections and is driven by a [`Script`], which decides
//! what is asked and what is made of the answers. The engine promises the script that replies come
//! in the order of the requests, that xids match and that the zxid of a session never goes back;
//! a server that breaks this ends the connection with a [`Failure`] that says what was seen.
//!
//! It shares two cores with the server it measures, so per request it costs one copy of a prepared
//! frame ([`frames`]), and per turn of a connection one read, one clock and one write.

mod conn;
mod engine;
mod failure;
pub mod frames;

pub use conn::{Conn, Kind, Reply};
pub use engine::{Conns, Engine, Script, Turn};
pub use failure::{Failure, error_name};
