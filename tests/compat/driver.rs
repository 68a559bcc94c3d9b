//! Runs the commands of case files against one server and writes down what comes back.
//!
//! After each block every open connection is asked to `sync`: whatever the block caused on it,
//! events above all, has arrived before that answer, and is part of the block's transcript.

use super::client::{Client, Expected, Received};
use super::four_letter;
use super::ops::{self, Op};
use super::sasl::JaasFile;
use super::server::{Options, Running, Server};
use super::show::{self, Fields, Sessions};
use super::words::{self, Word};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How long an answer may take before the transcript says `silence`.
const PATIENCE: Duration = Duration::from_secs(15);

/// The first xid of the rig's own `sync`s; no case uses numbers that high.
const BARRIER_XID: i32 = 0x7000_0000;

/// A frame that went by, for the golden files. `payload` is the frame without its length.
#[derive(Clone, Debug)]
pub struct Seen {
    pub name: String,
    pub is_request: bool,
    pub code: i32,
    pub payload: Vec<u8>,
}

/// The opcode column of a notification, which answers nothing.
pub const NOTIFICATION: i32 = 0;
/// The opcode column of both halves of the handshake.
pub const CONNECT: i32 = -10;

pub struct Driver {
    server: Server,
    running: Option<Running>,
    jaas: Option<JaasFile>,
    clients: BTreeMap<String, Client>,
    sessions: Sessions,
    next_barrier: i32,
    has_barriers: bool,
    shows_zxids: bool,
    pub seen: Vec<Seen>,
}

impl Driver {
    pub fn new(server: Server) -> Driver {
        Driver {
            server,
            running: None,
            jaas: None,
            clients: BTreeMap::new(),
            sessions: Sessions::new(),
            next_barrier: BARRIER_XID,
            has_barriers: true,
            shows_zxids: true,
            seen: Vec::new(),
        }
    }

    /// Runs one block's commands; returns the lines of its transcript.
    pub fn answer(&mut self, commands: &[&str]) -> Result<String, String> {
        let mut lines = Vec::new();
        let mut asked: Vec<String> = Vec::new();
        let mut waits = Vec::new();
        if self.running.is_none() && !commands.iter().any(|line| line.starts_with("server")) {
            self.start(&[])?;
        }
        for line in commands {
            let words = words::parse(line);
            let (name, rest) = words.split_first().expect("a command has words");
            let name = name.text();
            if is_global(name) {
                self.global(name, rest, &mut lines)?;
                continue;
            }
            if !asked.iter().any(|known| known == name) {
                asked.push(name.to_string());
            }
            self.on_client(name, rest, &mut lines, &mut waits);
        }
        for name in &asked {
            if let Some(client) = self.clients.get_mut(name) {
                client.flush();
            }
        }
        for name in &asked {
            self.collect(name, &mut lines);
        }
        for (name, max, frames) in waits {
            self.wait(&name, max, frames, &mut lines);
        }
        self.barrier(&mut lines);
        Ok(if lines.is_empty() { "nothing".to_string() } else { lines.join("\n") })
    }

    fn global(
        &mut self,
        name: &str,
        words: &[Word],
        lines: &mut Vec<String>,
    ) -> Result<(), String> {
        match name {
            "server" => {
                let settings: Vec<&str> = words.iter().map(Word::text).collect();
                self.start(&settings)?;
                lines.push("serving".to_string());
            }
            "4lw" => {
                let word = words[0].text();
                let running = self.running.as_ref().expect("a server runs");
                let answer = running.word(word).map_err(|why| format!("{word}: {why}"))?;
                lines.extend(four_letter::mask(word, &answer));
            }
            "sleep" => {
                let millis = u64::try_from(words[0].number()).expect("no negative sleep");
                std::thread::sleep(Duration::from_millis(millis));
            }
            "restart" => {
                let running = self.running.as_mut().expect("a server runs");
                match words[0].text() {
                    "kill" => running.kill(),
                    "term" => {
                        running.stop(Duration::from_secs(5))?;
                    }
                    other => panic!("restart kill or restart term, not {other}"),
                }
                running.start_again()?;
                lines.push("serving".to_string());
            }
            other => panic!("no command is called {other}"),
        }
        Ok(())
    }

    fn start(&mut self, settings: &[&str]) -> Result<(), String> {
        let mut options = Options::default();
        for setting in settings {
            match setting.strip_prefix("-D") {
                Some(flag) => options.flags.push(flag.to_string()),
                None if *setting == "barriers=off" => self.has_barriers = false,
                None if *setting == "zxids=off" => self.shows_zxids = false,
                None if *setting == "jaas" => {
                    let file = JaasFile::write();
                    let flag = format!("java.security.auth.login.config={}", file.0.display());
                    options.flags.push(flag);
                    self.jaas = Some(file);
                }
                None => options.config.push((*setting).to_string()),
            }
        }
        self.running = None;
        self.running = Some(Running::start(self.server, &options)?);
        Ok(())
    }

    fn on_client(
        &mut self,
        name: &str,
        words: &[Word],
        lines: &mut Vec<String>,
        waits: &mut Vec<(String, Duration, i64)>,
    ) {
        let mut words = words;
        let mut xid = None;
        if let Word::Text(first) = &words[0]
            && let Some(number) = first.strip_prefix(b"xid=")
        {
            xid = Some(std::str::from_utf8(number).expect("a number").parse().expect("a number"));
            words = &words[1..];
        }
        let verb = words[0].text().to_string();
        let words = &words[1..];
        if !self.clients.contains_key(name) && !matches!(verb.as_str(), "open" | "connect") {
            lines.push(format!("{name} is not connected"));
            return;
        }
        match verb.as_str() {
            "open" => {
                let _ = self.open(name, "127.0.0.1", lines);
            }
            "connect" => self.connect(name, words, lines),
            "drop" => {
                self.clients.remove(name);
            }
            "mute" => self.client(name).is_muted = true,
            "raw" => {
                let (bytes, expected) = raw_words(words);
                let client = self.client(name);
                client.push(&bytes);
                client.expect_frames(expected);
            }
            "frame" => {
                let (bytes, expected) = raw_words(words);
                let client = self.client(name);
                client.push_frame(&bytes);
                client.expect_frames(expected);
            }
            "wait" => {
                let millis = u64::try_from(words[0].number()).expect("no negative wait");
                let frames = words.get(1).map_or(1, Word::number);
                waits.push((name.to_string(), Duration::from_millis(millis), frames));
            }
            "saslAnswer" => {
                let words: Vec<&str> = words.iter().map(Word::text).collect();
                let answer = self.client(name).sasl.answer(&words);
                let op = ops::by_name("sasl").expect("sasl is an operation");
                let body = ops::encode(op, &[Word::Text(answer.into_bytes())]);
                self.request(name, op, xid, &body);
            }
            "op" => {
                let code = i32::try_from(words[0].number()).expect("an opcode is an int");
                let unknown = Op { name: "unknown", code, request: "", reply: "" };
                let op = ops::by_code(code).unwrap_or(unknown);
                self.request(name, op, xid, &raw_words(&words[1..]).0);
            }
            verb => {
                let op = ops::by_name(verb).unwrap_or_else(|| panic!("no operation {verb:?}"));
                let body = ops::encode(op, words);
                self.request(name, op, xid, &body);
            }
        }
    }

    fn client(&mut self, name: &str) -> &mut Client {
        self.clients.get_mut(name).unwrap_or_else(|| panic!("no connection is called {name}"))
    }

    fn open(&mut self, name: &str, via: &str, lines: &mut Vec<String>) -> Option<&mut Client> {
        let port = self.running.as_ref().expect("a server runs").port();
        let ip = via.parse().expect("via=ADDRESS");
        match Client::open(SocketAddr::new(ip, port)) {
            Ok(client) => {
                self.clients.insert(name.to_string(), client);
                self.clients.get_mut(name)
            }
            Err(why) => {
                self.clients.remove(name);
                lines.push(format!("{name} cannot connect: {:?}", why.kind()));
                None
            }
        }
    }

    /// `connect timeout=… readOnly=0|1|none lastZxid=… session=NAME|ID password=HEX|~|wrong
    /// protocol=… tail=HEX via=ADDRESS here`. `here` uses the connection that is open already.
    fn connect(&mut self, name: &str, words: &[Word], lines: &mut Vec<String>) {
        let settings: Vec<&str> = words.iter().map(Word::text).collect();
        let find =
            |key: &str| settings.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let number = |key: &str, default: i64| {
            find(key).map_or(default, |text| text.parse().expect("a number"))
        };
        let session = match find("session") {
            None => 0,
            Some(text) => match self.sessions.iter().find(|(_, known)| *known == text) {
                Some((id, _)) => *id,
                None => text.parse().expect("session=NAME or session=ID"),
            },
        };
        let derived = if session == 0 { [0; 16] } else { show::password_of(session) };
        let password = match find("password") {
            None => Word::Text(derived.to_vec()),
            Some("~") => Word::Null,
            Some("wrong") => Word::Text(vec![7; 16]),
            Some(hex) => Word::Text(unhex(hex)),
        };
        let mut payload = Vec::new();
        let int = |value: i64| i32::try_from(value).expect("an int").to_be_bytes();
        payload.extend(int(number("protocol", 0)));
        payload.extend(number("lastZxid", 0).to_be_bytes());
        payload.extend(int(number("timeout", 40_000)));
        payload.extend(session.to_be_bytes());
        match &password {
            Word::Text(bytes) => {
                payload.extend(int(i64::try_from(bytes.len()).expect("short")));
                payload.extend(bytes);
            }
            _ => payload.extend(int(-1)),
        }
        match find("readOnly") {
            Some("none") => {}
            Some(byte) => payload.push(byte.parse().expect("readOnly is a byte")),
            None => payload.push(0),
        }
        payload.extend(unhex(find("tail").unwrap_or("")));
        self.note(true, "connect", CONNECT, &payload);
        let via = find("via").unwrap_or("127.0.0.1");
        if !settings.contains(&"here") && self.open(name, via, lines).is_none() {
            return;
        }
        let client = self.client(name);
        client.push_frame(&payload);
        client.expect_frames(1);
    }

    fn request(&mut self, name: &str, op: Op, xid: Option<i32>, body: &[u8]) {
        let client = self.client(name);
        let xid = xid.unwrap_or_else(|| match op.name {
            "ping" => -2,
            "auth" => -4,
            "setWatches" | "setWatches2" => -8,
            _ => client.take_xid(),
        });
        let mut payload = xid.to_be_bytes().to_vec();
        payload.extend(op.code.to_be_bytes());
        payload.extend(body);
        client.push_frame(&payload);
        let answered = if op.name == "ping" { -2 } else { xid };
        client.expected.push_back(Expected::Reply { xid: answered, op });
        self.note(true, op.name, op.code, &payload);
    }

    /// Reads until everything that was asked on a connection is answered.
    fn collect(&mut self, name: &str, lines: &mut Vec<String>) {
        while let Some(client) = self.clients.get(name) {
            if client.expected.is_empty() {
                return;
            }
            if !self.receive(name, PATIENCE, lines) {
                lines.push(format!("{name} silence"));
                self.client(name).expected.clear();
            }
        }
    }

    /// Reads `frames` frames that nobody asked for, or the end, each within `max`.
    fn wait(&mut self, name: &str, max: Duration, frames: i64, lines: &mut Vec<String>) {
        for _ in 0..frames {
            if !self.clients.contains_key(name) {
                return;
            }
            if !self.receive(name, max, lines) {
                lines.push(format!("{name} nothing"));
                return;
            }
        }
    }

    /// Reads one frame, or the end, into the transcript. False when nothing came.
    fn receive(&mut self, name: &str, max: Duration, lines: &mut Vec<String>) -> bool {
        match self.client(name).receive(max) {
            Received::Silence => false,
            Received::Closed => {
                self.clients.remove(name);
                lines.push(format!("{name} closed"));
                true
            }
            Received::Frame(frame) => {
                if let Some(line) = self.on_frame(name, &frame) {
                    lines.push(format!("{name} {line}"));
                }
                true
            }
        }
    }

    /// A frame as a line; `None` for the answer to a barrier.
    fn on_frame(&mut self, name: &str, frame: &[u8]) -> Option<String> {
        if let Some(Expected::Reply { op, .. }) = self.client(name).expected.front()
            && op.name == "createSession"
            && frame.len() >= 36
        {
            self.client(name).expected.pop_front();
            return Some(self.on_connected(name, frame));
        }
        if let Some(Expected::Connect) = self.client(name).expected.front() {
            self.client(name).expected.pop_front();
            self.note(false, "connect", CONNECT, frame);
            return Some(self.on_connected(name, frame));
        }
        let mut fields = Fields::new(frame);
        let (Some(xid), Some(zxid), Some(error)) = (fields.int(), fields.long(), fields.int())
        else {
            return Some(format!("hex={}", show::hex(frame)));
        };
        let body = &frame[16..];
        let is_reply = self.client(name).expected.iter().any(|expected| expected.has_xid(xid));
        if xid == -1 && !is_reply {
            self.note(false, "notification", NOTIFICATION, frame);
            return Some(show::event(zxid, body));
        }
        let unknown = Op { name: "unknown", code: i32::MAX, request: "", reply: "" };
        let op = match self.client(name).expectation(xid) {
            Some(Expected::Barrier { .. }) => return None,
            Some(Expected::Reply { op, .. }) => op,
            Some(Expected::Connect | Expected::Unknown) | None => unknown,
        };
        if op.name != "unknown" {
            self.note(false, op.name, op.code, frame);
        }
        let text = match error {
            0 if op.name == "sasl" => self.client(name).sasl.show(body),
            0 => show::body(op, body, &self.sessions),
            _ if body.is_empty() => String::new(),
            _ => format!("hex={}", show::hex(body)),
        };
        let space = if text.is_empty() { "" } else { " " };
        let zxid = if self.shows_zxids { zxid.to_string() } else { "any".to_string() };
        Some(format!("xid={xid} zxid={zxid} {}{space}{text}", show::error(error)))
    }

    fn on_connected(&mut self, name: &str, frame: &[u8]) -> String {
        let id = frame.get(8..16).map_or(0, |id| i64::from_be_bytes(id.try_into().expect("eight")));
        if id != 0 && !self.sessions.contains_key(&id) {
            let mut fresh = name.to_string();
            let mut number = 1;
            while self.sessions.values().any(|known| *known == fresh) {
                number += 1;
                fresh = format!("{name}.{number}");
            }
            self.sessions.insert(id, fresh);
        }
        let client = self.client(name);
        client.is_established = id != 0;
        if id == 0 {
            // A refusal, behind which the server closes.
            client.expected.push_front(Expected::Unknown);
        }
        show::connect_response(frame, &self.sessions)
    }

    fn barrier(&mut self, lines: &mut Vec<String>) {
        if !self.has_barriers {
            return;
        }
        let names: Vec<String> = self
            .clients
            .iter()
            .filter(|(_, client)| client.is_established && !client.is_muted)
            .map(|(name, _)| name.clone())
            .collect();
        let op = ops::by_name("sync").expect("sync is an operation");
        for name in names {
            let xid = self.next_barrier;
            self.next_barrier += 1;
            let mut payload = xid.to_be_bytes().to_vec();
            payload.extend(op.code.to_be_bytes());
            payload.extend(ops::encode(op, &[Word::Text(b"/".to_vec())]));
            let client = self.client(&name);
            client.push_frame(&payload);
            client.expected.push_back(Expected::Barrier { xid });
            client.flush();
            self.collect(&name, lines);
        }
    }

    fn note(&mut self, is_request: bool, name: &str, code: i32, payload: &[u8]) {
        let name = name.to_string();
        self.seen.push(Seen { name, is_request, code, payload: payload.to_vec() });
    }
}

/// Is this a command to the rig, not to a connection?
fn is_global(name: &str) -> bool {
    matches!(name, "server" | "4lw" | "sleep" | "restart")
}

/// `HEX… replies=N`: the bytes, and how many frames should come back. Without `replies` one frame
/// or the end of the connection is waited for.
fn raw_words(words: &[Word]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    let mut replies = 1;
    for word in words {
        match word.text().strip_prefix("replies=") {
            Some(number) => replies = number.parse().expect("replies=NUMBER"),
            None => bytes.extend(unhex(word.text())),
        }
    }
    (bytes, replies)
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().collect();
    assert!(digits.len().is_multiple_of(2), "an odd number of hex digits in {text:?}");
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hex digits are ASCII");
        u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{pair:?} is no hex number"))
    };
    digits.chunks(2).map(byte).collect()
}
