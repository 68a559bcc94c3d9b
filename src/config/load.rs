//! Reads a server's settings: flags, then the log's file, then the file, then the members' file.
//!
//! What comes later wins, as with Java, where the file sets system properties after the command
//! line did. Every key is looked up in the table, tried, and told about where there is something
//! to tell; nothing stops at the first error, so that `ringkeeper check` can print them all.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use log::Level;

use super::check;
use super::finding::{Findings, Place, Stops, shown};
use super::key::{Kind, Row, Tried};
use super::keys;
use super::properties::{self, CONFIG_BYTES_MAX, Property};
use super::settings::Config;

/// One `-Dkey=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Who gave it: `command line`, `JVMFLAGS`, `SERVER_JVMFLAGS`.
    pub origin: &'static str,
    /// The key as given, with its prefix if it has one.
    pub key: String,
    /// The value; empty where none is given.
    pub value: String,
}

/// What the command line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A configuration file.
    File(PathBuf),
    /// `PORT DATADIR [TICKTIME [MAXCNXNS]]`, as Java's standalone main takes them.
    Arguments(Vec<String>),
}

/// Everything that settings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// What the command line names.
    pub form: Form,
    /// Flags, the later one wins.
    pub flags: Vec<Flag>,
}

/// What was read: settings, and all there is to tell about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings. Not to be used if [`Findings::fatal`] names something.
    pub config: Config,
    /// What there is to tell.
    pub findings: Findings,
}

/// Reads everything. Never fails: what is wrong is a finding.
pub fn load(sources: &Sources) -> Loaded {
    let mut reader = Reader::default();
    for flag in &sources.flags {
        reader.flag(flag);
    }
    match &sources.form {
        Form::File(path) => reader.main_file(path),
        Form::Arguments(arguments) => reader.arguments(arguments),
    }
    if !reader.is_unread {
        check::whole(&mut reader);
    }
    Loaded { config: reader.config, findings: reader.findings }
}

/// A value that was given for a key.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub place: Place,
    pub value: String,
}

/// What was read so far.
#[derive(Default)]
pub(super) struct Reader {
    pub config: Config,
    pub findings: Findings,
    /// By the table's spelling of the key.
    given: HashMap<String, Given>,
    /// The file, for findings that are about no line of it.
    main: Option<Place>,
    /// Whether there was nothing to read keys from, so that none can be missing.
    is_unread: bool,
    /// Keys for which the nearest known one was looked for.
    suggested: usize,
}

impl Reader {
    /// What was given for a key, last.
    pub fn given(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// Where a key was given, or the file as a whole.
    pub fn place(&self, name: &str) -> Place {
        let given = self.given.get(name).map(|given| given.place.clone());
        given.or(self.main.clone()).unwrap_or(Place::Argument)
    }

    fn flag(&mut self, flag: &Flag) {
        let place = Place::Flag(flag.origin);
        let plain = flag.key.strip_prefix("zookeeper.");
        let key = plain.unwrap_or(&flag.key);
        let Some(row) = row_of(key) else {
            return self.unknown(&place, &format!("-D{}", shown(&flag.key)), key);
        };
        match (row.kind, plain.is_some()) {
            (Kind::Fixed, _) => {
                let text = format!(
                    "-D{} has no effect: {} is read from the configuration file alone",
                    flag.key, row.name
                );
                self.findings.fault(&place, text);
            }
            (Kind::Property, false) if !row.bare_too => {
                let text = format!("-D{key} has no effect: write -Dzookeeper.{key}, as for Java");
                self.findings.fault(&place, text);
            }
            (Kind::Property | Kind::Bare | Kind::Own, _) => {
                self.put(row, key, &flag.value, place);
            }
        }
    }

    fn main_file(&mut self, path: &Path) {
        self.main = Some(Place::File(path.display().to_string()));
        let Some(properties) = self.read(path) else {
            self.is_unread = true;
            return;
        };
        self.log_file(path, &properties);
        for property in &properties {
            let place = Place::Line(path.display().to_string(), property.line);
            self.file_key(place, property);
        }
        if let Some(members) = self.config.ensemble.dynamic_config_file.clone() {
            self.members_file(path, &members, &properties);
        }
    }

    fn file_key(&mut self, place: Place, property: &Property) {
        let Property { key, value, .. } = property;
        if let Some(row) = row_of(key) {
            self.put(row, key, value, place);
        } else {
            let near = key.strip_prefix("zookeeper.").unwrap_or(key);
            self.unknown(&place, &shown(key), near);
        }
    }

    /// Keys of the log have a file of their own, because levels are looked up and changed apart
    /// from the rest.
    fn log_file(&mut self, main: &Path, properties: &[Property]) {
        let named = properties.iter().find(|property| property.key == "log.config");
        let beside = main.parent().unwrap_or(Path::new(""));
        let path = beside.join(named.map_or("log.cfg", |property| property.value.as_str()));
        if named.is_none() && !path.exists() {
            return;
        }
        let Some(properties) = self.read(&path) else { return };
        for property in &properties {
            let place = Place::Line(path.display().to_string(), property.line);
            if property.key.starts_with("log.") {
                self.file_key(place, property);
            } else {
                let text = format!("{} is not a key of the log", shown(&property.key));
                self.findings.fault(&place, text);
            }
        }
    }

    fn members_file(&mut self, main: &Path, members: &Path, properties: &[Property]) {
        let is_member =
            |key: &str| ["server.", "group", "weight"].iter().any(|p| key.starts_with(p));
        for property in properties.iter().filter(|property| is_member(&property.key)) {
            let place = Place::Line(main.display().to_string(), property.line);
            let text = format!("{} must stand in dynamicConfigFile", shown(&property.key));
            self.findings.error(&place, text);
        }
        let Some(properties) = self.read(members) else { return };
        for property in &properties {
            let place = Place::Line(members.display().to_string(), property.line);
            if property.key == "version" {
                let text = "the version is the end of the file's name, not a line of it".to_owned();
                self.findings.error(&place, text);
            } else if is_member(&property.key) {
                self.file_key(place, property);
            } else {
                let text = format!("{} is neither server.N, group.N nor weight.N", property.key);
                self.findings.error(&place, text);
            }
        }
    }

    /// The last of equal keys, in the file's order; or nothing, and a finding that says why.
    fn read(&mut self, path: &Path) -> Option<Vec<Property>> {
        let place = Place::File(path.display().to_string());
        let bytes = match bounded(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let missing = error.kind() == io::ErrorKind::NotFound;
                let why = if missing { "file is missing".to_owned() } else { error.to_string() };
                self.findings.error(&place, why);
                return None;
            }
        };
        let properties = match properties::parse(&bytes) {
            Ok(properties) => properties,
            Err(bad) => {
                let place = Place::Line(path.display().to_string(), bad.line);
                self.findings.error(&place, "\\u needs four hexadecimal digits".to_owned());
                return None;
            }
        };
        let mut last = HashMap::new();
        for property in &properties {
            last.insert(property.key.clone(), property.line);
        }
        let mut kept = Vec::with_capacity(last.len());
        for property in properties {
            let wins = last[&property.key];
            if wins == property.line {
                kept.push(property);
                continue;
            }
            let place = Place::Line(path.display().to_string(), property.line);
            let text = format!("{} stands again on line {wins}, which wins", shown(&property.key));
            self.findings.warn(&place, text);
        }
        Some(kept)
    }

    fn arguments(&mut self, arguments: &[String]) {
        // Java's standalone main knows no limit of connections but its fourth argument.
        self.config.client.max_client_cnxns = 0;
        let names = ["clientPort", "dataDir", "tickTime", "maxClientCnxns"];
        if !(2..=names.len()).contains(&arguments.len()) {
            let text = format!(
                "{} arguments; they are CONFIG, or PORT DATADIR [TICKTIME [MAXCNXNS]]",
                arguments.len()
            );
            self.is_unread = true;
            return self.findings.error(&Place::Argument, text);
        }
        for (name, value) in names.into_iter().zip(arguments) {
            let row = row_of(name).expect("the table has these four");
            self.put(row, name, value, Place::Argument);
        }
    }

    /// Tries a value on its row and tells what there is to tell.
    fn put(&mut self, row: &'static Row, key: &str, value: &str, place: Place) {
        let value_shown = if row.secret { "***".to_owned() } else { shown(value) };
        let name = if row.stem().is_some() { key } else { row.name };
        if row.stem().is_none() && key != row.name {
            self.findings.info(&place, format!("{key} is taken for {}", row.name));
        }
        self.tell_override(name, key, value, &place, row.secret);
        let alarm = row.warns.filter(|(alarming, _)| value.eq_ignore_ascii_case(alarming));
        match row.set.put(&mut self.config, row.kind, key, value) {
            Tried::Taken if row.idle.is_empty() || alarm.is_some() => {}
            Tried::Taken => {
                let text = format!("{key}={value_shown} has no effect: {}", row.idle);
                self.findings.info(&place, text);
            }
            Tried::Wrong(why) => {
                let text = format!("{key}={value_shown}: {why}");
                if row.kind.is_strict() || row.stops {
                    self.findings.error(&place, text);
                } else {
                    self.findings.fault(&place, text);
                }
            }
        }
        if let Some((_, sentence)) = alarm {
            self.findings.warn(&place, format!("{key}={value_shown}: {sentence}"));
        }
        self.given.insert(name.to_owned(), Given { place, value: value.to_owned() });
    }

    /// The same setting from two places is worth a line when they disagree.
    fn tell_override(&mut self, name: &str, key: &str, value: &str, place: &Place, secret: bool) {
        let Some(before) = self.given.get(name) else { return };
        if before.value == value {
            return;
        }
        let was = if secret { "***".to_owned() } else { shown(&before.value) };
        let text = format!("{key} takes the place of {name}={was} ({})", before.place);
        self.findings.warn(place, text);
    }

    fn unknown(&mut self, place: &Place, shown_key: &str, key: &str) {
        self.suggested += 1;
        let near = if self.suggested > SUGGESTIONS_MAX { None } else { nearest(key) };
        let text = match near {
            Some(near) => format!("{shown_key} is not a known key; the nearest is {near}"),
            None => format!("{shown_key} is not a known key"),
        };
        self.findings.push(Level::Warn, Stops::Strict, place, text);
    }
}

/// The row of a key: an exact spelling before a pattern.
fn row_of(key: &str) -> Option<&'static Row> {
    let exact = |row: &&Row| row.name == key || row.also.contains(&key);
    keys::rows().find(exact).or_else(|| keys::rows().find(|row| row.is_named(key)))
}

/// The known spelling nearest to `key`, if any is near: at most a third of it is different.
fn nearest(key: &str) -> Option<&'static str> {
    if key.len() > SPELLING_BYTES_MAX {
        return None;
    }
    let wanted = key.to_ascii_lowercase();
    let spellings = keys::rows().flat_map(|row| std::iter::once(&row.name).chain(row.also));
    let apart = |name: &str| strsim::damerau_levenshtein(&name.to_ascii_lowercase(), &wanted);
    let (distance, name) = spellings.map(|name| (apart(name), *name)).min()?;
    (distance <= (key.len() / 3).max(2)).then_some(name)
}

/// A key longer than this is compared with nothing; the longest known one has 55 characters.
const SPELLING_BYTES_MAX: usize = 64;

/// Unknown keys for which the nearest known one is looked for. A file with more is no zoo.cfg.
const SUGGESTIONS_MAX: usize = 64;

pub(super) fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = u64::try_from(CONFIG_BYTES_MAX).expect("1 MiB fits");
    let mut file = io::Read::take(fs::File::open(path)?, bytes + 1);
    let mut content = Vec::new();
    io::Read::read_to_end(&mut file, &mut content)?;
    if content.len() > CONFIG_BYTES_MAX {
        return Err(io::Error::other("larger than 1 MiB, so it is not a configuration"));
    }
    Ok(content)
}
