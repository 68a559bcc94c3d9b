//! What reading a configuration found: one sentence each, with the place it is about.

use std::fmt;

use log::Level;

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Line of a file, from 1.
    Line(String, usize),
    /// A file as a whole.
    File(String),
    /// A `-D` flag, and who gave it: an argument or a variable of the environment.
    Flag(&'static str),
    /// The command line.
    Argument,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(path, line) => write!(f, "{path}:{line}"),
            Self::File(path) => f.write_str(path),
            Self::Flag(origin) => f.write_str(origin),
            Self::Argument => f.write_str("command line"),
        }
    }
}

/// Whether a finding keeps the server from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stops {
    /// Never.
    Never,
    /// With `strict=true`; and it is an error to `ringkeeper check`.
    Strict,
    /// Always: exit 2.
    Always,
}

/// One thing worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Level of its log line.
    pub level: Level,
    /// Whether it keeps the server from starting.
    pub stops: Stops,
    /// Where.
    pub place: Place,
    /// What: a sentence without a full stop. Never holds a secret.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Findings kept. Beyond it only the first of a kind is added, so that what stops a server is never
/// lost; a file with more is no zoo.cfg.
const FINDINGS_MAX: usize = 1000;

/// All that was found, in the order of reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Adds a note.
    pub fn info(&mut self, place: &Place, text: String) {
        self.push(Level::Info, Stops::Never, place, text);
    }

    /// Adds a warning.
    pub fn warn(&mut self, place: &Place, text: String) {
        self.push(Level::Warn, Stops::Never, place, text);
    }

    /// Adds a warning that a strict reader takes for an error.
    pub fn fault(&mut self, place: &Place, text: String) {
        self.push(Level::Warn, Stops::Strict, place, text);
    }

    /// Adds an error.
    pub fn error(&mut self, place: &Place, text: String) {
        self.push(Level::Error, Stops::Always, place, text);
    }

    /// Adds a line of any kind.
    pub fn push(&mut self, level: Level, stops: Stops, place: &Place, text: String) {
        let is_first = || !self.0.iter().any(|finding| finding.stops == stops);
        if self.0.len() >= FINDINGS_MAX && !is_first() {
            return;
        }
        self.0.push(Finding { level, stops, place: place.clone(), text });
    }

    /// What keeps a server from starting, the first such finding; `strict` as configured.
    pub fn fatal(&self, strict: bool) -> Option<&Finding> {
        let always = self.0.iter().find(|finding| finding.stops == Stops::Always);
        always.or_else(|| self.0.iter().find(|finding| strict && finding.stops == Stops::Strict))
    }

    /// Findings that `ringkeeper check` counts as errors.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|finding| finding.stops != Stops::Never).count()
    }
}

/// Characters of a value that a line shows; a longer one is cut.
const SHOWN_CHARS_MAX: usize = 100;

/// A value as a line shows it: cut, and with its control characters escaped.
pub fn shown(value: &str) -> String {
    let mut shown = String::new();
    for c in value.chars().take(SHOWN_CHARS_MAX) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if value.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
