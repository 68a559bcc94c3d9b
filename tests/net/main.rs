//! Both back ends of `net` under a service of a few lines, with well and ill behaved clients.
//!
//! The service echoes frames. Some frames ask for more: `bye` is answered and hung up on, `hold`
//! stops its connection until the test lets it go on, `big N` is answered with N bytes, `word` as
//! the very first four bytes is an operator's word with two bytes of argument.

mod clients;
mod disk;
mod limits;
mod server;

/// Runs a test once for each back end.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod uring {
            $(#[test] fn $name() { super::$name(crate::server::uring()); })*
        }
        mod epoll {
            $(#[test] fn $name() { super::$name(ringkeeper::net::Backend::Epoll); })*
        }
    };
}
pub(crate) use on_both;
