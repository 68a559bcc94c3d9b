//! The four-letter words, as far as a load generator asks them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// The answer to a word; `None` when nobody answers.
pub fn ask(addr: SocketAddr, word: &str) -> Option<String> {
    let mut socket = TcpStream::connect_timeout(&addr, WAIT).ok()?;
    socket.set_read_timeout(Some(WAIT)).ok()?;
    socket.write_all(word.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}
