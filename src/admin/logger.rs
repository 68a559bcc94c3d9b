//! Where log lines go: from the `log` macros of any thread to standard output, without ever making
//! a loop wait.
//!
//! A line is rendered by the thread that logs and handed to a queue of [`QUEUED_LINES_MAX`]; one
//! thread writes. If the reader of standard output is slow, lines are dropped and counted, and the
//! count is written once there is room: a server must not stall because nobody reads its log.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use jiff::Zoned;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::log_limit::Limit;
use super::log_line::{self, Line};

/// Lines waiting to be written, of all threads together. Each has at most 8 KiB and some 100 bytes
/// in practice, so a reader may pause for some thousand lines.
pub const QUEUED_LINES_MAX: usize = 4096;

/// Longest wait of [`flush`]: standard output may be a pipe that nobody reads.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// What the command line tells about the settings comes once, and all of it counts.
const UNLIMITED: &str = "ringkeeper::cli";

/// What is written, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// JSON instead of text.
    pub json: bool,
    /// Level of modules that have none of their own.
    pub level: LevelFilter,
    /// Levels by path below this crate; the longest one that fits decides.
    pub modules: Vec<(String, LevelFilter)>,
    /// Nothing below it is written.
    pub threshold: LevelFilter,
    /// Lines a second from one place in the code, 0 = no limit.
    pub lines_per_second_max: u32,
    /// What stands in `[myid:…]`; empty if there is none.
    pub my_id: String,
}

impl Settings {
    /// The level of a module, by the path that the `log` macros give.
    pub fn level_of(&self, path: &str) -> LevelFilter {
        let path = path.strip_prefix("ringkeeper::").unwrap_or(path);
        let fits = |module: &str| {
            path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let own = self.modules.iter().filter(|(module, _)| fits(module));
        let own = own.max_by_key(|(module, _)| module.len());
        own.map_or(self.level, |(_, level)| *level).min(self.threshold)
    }

    fn level_max(&self) -> LevelFilter {
        let levels = self.modules.iter().map(|(_, level)| *level);
        levels.fold(self.level, Ord::max).min(self.threshold)
    }
}

enum Message {
    Line(String),
    Flush(SyncSender<()>),
}

/// Lines left out since the start: by the limit of their place, or by a full queue.
#[derive(Default)]
struct LeftOut {
    by_limit: AtomicU64,
    by_queue: AtomicU64,
}

struct Logger {
    settings: Settings,
    start: Instant,
    limit: Mutex<Limit>,
    queue: SyncSender<Message>,
    left_out: LeftOut,
}

static LOGGER: OnceLock<Arc<Logger>> = OnceLock::new();

/// Lines that were not written since the start, for whatever reason.
pub fn left_out() -> u64 {
    LOGGER.get().map_or(0, |logger| {
        logger.left_out.by_limit.load(Relaxed) + logger.left_out.by_queue.load(Relaxed)
    })
}

/// Waits until what was logged is written, but not for ever.
pub fn flush() {
    if let Some(logger) = LOGGER.get() {
        logger.flush();
    }
}

/// Takes the `log` macros' records from now on. A second call changes nothing and is an error.
pub fn install(settings: Settings) -> io::Result<()> {
    let (queue, lines) = sync_channel(QUEUED_LINES_MAX);
    let logger = Arc::new(Logger {
        start: Instant::now(),
        limit: Mutex::new(Limit::new(settings.lines_per_second_max)),
        queue,
        left_out: LeftOut::default(),
        settings,
    });
    let level = logger.settings.level_max();
    let writer = Arc::clone(&logger);
    LOGGER.set(Arc::clone(&logger)).map_err(|_| io::Error::other("the log is there already"))?;
    thread::Builder::new().name("log".to_owned()).spawn(move || writer.write(&lines))?;
    log::set_boxed_logger(Box::new(logger)).map_err(io::Error::other)?;
    log::set_max_level(level);
    Ok(())
}

impl Logger {
    fn second(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    fn render(&self, level: Level, module: &str, line: u32, message: &str) -> String {
        let thread = thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let line = Line { time: Zoned::now(), level, thread, module, line, message };
        let mut out = String::with_capacity(128 + message.len());
        let my_id = &self.settings.my_id;
        if self.settings.json {
            log_line::json(&line, my_id, &mut out);
        } else {
            log_line::text(&line, my_id, &mut out);
        }
        out
    }

    fn put(&self, level: Level, module: &str, line: u32, message: fmt::Arguments<'_>) {
        let text = match message.as_str() {
            Some(message) => self.render(level, module, line, message),
            None => self.render(level, module, line, &message.to_string()),
        };
        if self.queue.try_send(Message::Line(text)).is_err() {
            self.left_out.by_queue.fetch_add(1, Relaxed);
        }
    }

    /// The writing thread: whatever is there goes out, then one flush.
    fn write(&self, lines: &Receiver<Message>) {
        let mut out = io::BufWriter::new(io::stdout());
        let mut told = 0;
        let mut second = 0;
        loop {
            let mut next = match lines.recv_timeout(Duration::from_secs(1)) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while let Some(message) = next {
                // Nobody may read any more; there is nobody to tell that either.
                match message {
                    Message::Line(text) => drop(out.write_all(text.as_bytes())),
                    Message::Flush(done) => {
                        let _ = out.flush();
                        let _ = done.try_send(());
                    }
                }
                next = lines.try_recv().ok();
            }
            if self.second() > second {
                second = self.second();
                let _ = out.write_all(self.tell_left_out(second, &mut told).as_bytes());
            }
            let _ = out.flush();
        }
    }

    /// Lines about lines that were left out.
    fn tell_left_out(&self, second: u64, told: &mut u64) -> String {
        let by_place =
            self.limit.lock().unwrap_or_else(PoisonError::into_inner).take_left_out(second);
        let mut text = String::new();
        for ((file, line), count) in by_place {
            let message = format!("{count} more lines like those of {file}:{line} were left out");
            text.push_str(&self.render(Level::Warn, module_path!(), line!(), &message));
        }
        let by_queue = self.left_out.by_queue.load(Relaxed);
        if by_queue > *told {
            let message = format!("{} lines found the log's queue full", by_queue - *told);
            text.push_str(&self.render(Level::Warn, module_path!(), line!(), &message));
            *told = by_queue;
        }
        text
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.settings.level_of(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = record.line().unwrap_or(0);
        let place = (record.file_static().unwrap_or(""), line);
        let admitted = record.target() == UNLIMITED || {
            let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
            limit.admits(place, self.second())
        };
        if admitted {
            self.put(record.level(), record.target(), line, *record.args());
        } else {
            self.left_out.by_limit.fetch_add(1, Relaxed);
        }
    }

    fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_WAIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_that_fits_decides() {
        let modules = [("net", LevelFilter::Warn), ("net::engine", LevelFilter::Trace)];
        let settings = Settings {
            json: false,
            level: LevelFilter::Info,
            modules: modules.map(|(module, level)| (module.to_owned(), level)).to_vec(),
            threshold: LevelFilter::Debug,
            lines_per_second_max: 0,
            my_id: String::new(),
        };
        for (path, level) in [
            ("ringkeeper::front", LevelFilter::Info),
            ("ringkeeper::net", LevelFilter::Warn),
            ("ringkeeper::net::listen", LevelFilter::Warn),
            ("ringkeeper::net::engine", LevelFilter::Debug),
            ("ringkeeper::net::engine::uring", LevelFilter::Debug),
            ("ringkeeper::network", LevelFilter::Info),
            ("glommio", LevelFilter::Info),
        ] {
            assert_eq!(settings.level_of(path), level, "{path}");
        }
        assert_eq!(settings.level_max(), LevelFilter::Debug);
    }
}
