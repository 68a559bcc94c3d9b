//! Reads `golden/*.hex`; the format stands in `golden/README.md`.

use std::fs;
use std::path::Path;

use ringkeeper::wire::connect::{ConnectRequest, ConnectResponse};
use ringkeeper::wire::jute::{DecodeError, Reader, Record};
use ringkeeper::wire::op::{Request, code};
use ringkeeper::wire::reply::{ReplyHeader, WatcherEvent};
use ringkeeper::wire::request::RequestHeader;

use crate::alike;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Reply,
}

/// A frame that went over a socket, without its length.
pub struct Golden {
    pub name: String,
    pub direction: Direction,
    pub op: i32,
    pub bytes: Vec<u8>,
}

/// Every frame of every file.
pub fn all() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/golden");
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("the captures are there") {
        let path = entry.expect("the folder is readable").path();
        if path.extension().is_some_and(|extension| extension == "hex") {
            let text = fs::read_to_string(&path).expect("captures are text");
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            all.extend(lines.map(parse));
        }
    }
    all
}

fn parse(line: &str) -> Golden {
    let fields: Vec<&str> = line.split(' ').collect();
    let [name, direction, op, hex] = fields[..] else { panic!("four fields: {line}") };
    let direction = match direction {
        "req" => Direction::Request,
        "rep" => Direction::Reply,
        other => panic!("no direction: {other}"),
    };
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    let bytes = (0..hex.len()).step_by(2).map(digit).collect();
    Golden {
        name: format!("{name} {}", fields[1]),
        direction,
        op: op.parse().expect("opcode"),
        bytes,
    }
}

impl Golden {
    /// Decodes `bytes` as this kind of frame and encodes what came out.
    pub fn again(&self, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut input = Reader::new(bytes);
        match (self.direction, self.op) {
            (Direction::Request, code::CreateSession) => {
                ConnectRequest::decode(&mut input).map(|record| record.to_bytes())
            }
            (Direction::Reply, code::CreateSession) => {
                ConnectResponse::decode(&mut input).map(|record| record.to_bytes())
            }
            (Direction::Request, _) => {
                let header = RequestHeader::decode(&mut input)?;
                let mut out = header.to_bytes();
                let request = Request::decode(self.op, &mut input)?;
                assert_eq!(request.code(), self.op);
                request.encode(&mut ringkeeper::wire::Writer::new(&mut out));
                Ok(out)
            }
            (Direction::Reply, 0) => {
                let mut out = ReplyHeader::decode(&mut input)?.to_bytes();
                out.extend(WatcherEvent::decode(&mut input)?.to_bytes());
                Ok(out)
            }
            (Direction::Reply, op) => {
                let header = ReplyHeader::decode(&mut input)?;
                let mut out = header.to_bytes();
                if header.err == 0 {
                    out.extend(alike::reply_body(op, input.rest())?);
                }
                Ok(out)
            }
        }
    }
}
