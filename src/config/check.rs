//! What must hold between keys, after all of them were read. In the order in which Apache 3.9's
//! `QuorumPeerConfig` asks, so that the first complaint about a file is the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use log::Level;

use super::finding::{Stops, shown};
use super::jaas;
use super::load::{Reader, bounded};
use super::members::Role;
use super::rules;
use super::settings::Secret;

/// Everything that is about more than one key.
pub(super) fn whole(reader: &mut Reader) {
    quorum_sasl(reader);
    snap_retain_count(reader);
    directories(reader);
    ports(reader);
    timeouts(reader);
    authentication(reader);
    sasl_users(reader);
    if !reader.config.storage.data_dir.as_os_str().is_empty() {
        my_id(reader);
    }
    members(reader);
    client_address(reader);
}

fn quorum_sasl(reader: &mut Reader) {
    const ENABLE: &str = "quorum.auth.enableSasl";
    const LEARNER: &str = "quorum.auth.learnerRequireSasl";
    const SERVER: &str = "quorum.auth.serverRequireSasl";
    let is_on = |reader: &Reader, name| {
        reader.given(name).is_some_and(|given| given.value.eq_ignore_ascii_case("true"))
    };
    for (off, on) in [(ENABLE, SERVER), (ENABLE, LEARNER), (LEARNER, SERVER)] {
        if !is_on(reader, off) && is_on(reader, on) {
            let place = reader.place(on);
            reader.findings.error(&place, format!("{off} is disabled, so cannot enable {on}"));
        }
    }
}

fn snap_retain_count(reader: &mut Reader) {
    const NAME: &str = "autopurge.snapRetainCount";
    let Some(given) = reader.given(NAME).cloned() else { return };
    if given.value.parse::<i64>().is_ok_and(|count| count < 3) {
        let text = format!("Invalid {NAME}: {}. Defaulting to 3", given.value);
        reader.findings.warn(&given.place, text);
    }
}

fn directories(reader: &mut Reader) {
    if reader.config.storage.data_dir.as_os_str().is_empty() {
        let place = reader.place("dataDir");
        reader.findings.error(&place, "dataDir is not set".to_owned());
    }
    for name in ["dataDir", "dataLogDir"] {
        let Some(given) = reader.given(name).cloned() else { continue };
        let path = Path::new(&given.value);
        if path.is_relative() && !given.value.starts_with("./") && !given.value.is_empty() {
            let text = format!(
                "{} is relative. Prepend ./ to indicate that you're sure!",
                shown(&given.value)
            );
            reader.findings.warn(&given.place, text);
        }
    }
}

fn ports(reader: &mut Reader) {
    for (address, port) in
        [("clientPortAddress", "clientPort"), ("secureClientPortAddress", "secureClientPort")]
    {
        if reader.given(address).is_some() && reader.given(port).is_none() {
            let place = reader.place(address);
            reader.findings.error(&place, format!("{address} is set but {port} is not set"));
        }
    }
}

fn timeouts(reader: &mut Reader) {
    let session = &reader.config.session;
    let (min, max) = (session.timeout_ms_min(), session.timeout_ms_max());
    if min > max {
        let name = if reader.given("minSessionTimeout").is_some() {
            "minSessionTimeout"
        } else {
            "maxSessionTimeout"
        };
        let place = reader.place(name);
        let text = format!(
            "minSessionTimeout must not be larger than maxSessionTimeout: {min} ms and {max} ms"
        );
        reader.findings.error(&place, text);
    }
}

fn authentication(reader: &mut Reader) {
    let auth = &mut reader.config.auth;
    if auth.session_require_sasl {
        auth.enforce_auth_enabled = true;
        auth.enforce_auth_schemes = vec!["sasl".to_owned()];
    }
    if !auth.enforce_auth_enabled {
        return;
    }
    let mut offered: Vec<&str> = auth.providers.iter().map(|known| known.scheme()).collect();
    offered.push("ip");
    if auth.digest_auth_enabled {
        offered.push("digest");
    }
    let missing =
        auth.enforce_auth_schemes.iter().find(|scheme| !offered.contains(&scheme.as_str()));
    let text = match missing {
        _ if auth.enforce_auth_schemes.is_empty() => {
            "enforce.auth.enabled is true but enforce.auth.schemes names none".to_owned()
        }
        Some(scheme) => format!("Authentication scheme {} is not available", shown(scheme)),
        None => return,
    };
    let place = reader.place("enforce.auth.enabled");
    reader.findings.error(&place, text);
}

/// The users that clients may authenticate as with SASL. Java, too, stays down when it was given a
/// JAAS file that it cannot read, and goes on without SASL when the file lacks the section.
fn sasl_users(reader: &mut Reader) {
    let auth = &mut reader.config.auth;
    let Some(path) = auth.jaas_file.clone() else { return };
    let section = auth.jaas_section.as_deref().unwrap_or("Server");
    let read = bounded(&path).map_err(|why| why.to_string());
    match read.and_then(|bytes| jaas::users(&String::from_utf8_lossy(&bytes), section)) {
        Ok(None) => {}
        Ok(Some(users)) => {
            let hidden = users.into_iter().map(|(user, password)| (user, Secret(password)));
            let mut users: BTreeMap<String, Secret> = hidden.collect();
            if let Some(password) = &auth.sasl_super_password {
                users.insert("super".to_owned(), password.clone());
            }
            auth.sasl_users = Some(users);
        }
        Err(why) => {
            let place = reader.place("java.security.auth.login.config");
            reader.findings.error(&place, format!("JAAS file {}: {why}", path.display()));
        }
    }
}

/// The first line of `myid`. A server that runs alone does not need it, so a Debian package's
/// sentence in it is no reason to stay down there.
fn my_id(reader: &mut Reader) {
    let path = reader.config.storage.data_dir.join("myid");
    let Ok(file) = fs::File::open(&path) else { return };
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return;
    }
    let mut line = String::new();
    let read = BufReader::new(file.take(MYID_BYTES_MAX)).read_line(&mut line);
    let id = line.trim_end_matches(['\n', '\r']);
    match id.parse() {
        Ok(id) if read.is_ok() => reader.config.ensemble.my_id = Some(id),
        _ => {
            let place = super::Place::File(path.display().to_string());
            reader.findings.fault(&place, format!("serverid {} is not a number", shown(id)));
        }
    }
}

/// Longest first line of `myid`: a number has 20 digits at most.
const MYID_BYTES_MAX: u64 = 256;

fn members(reader: &mut Reader) {
    let (voters, observers) =
        (reader.config.ensemble.members.voters(), reader.config.ensemble.members.observers());
    let several = |reader: &Reader| {
        let servers = &reader.config.ensemble.members.servers;
        servers.iter().find(|(_, member)| member.addresses.len() > 1).map(|(id, _)| *id)
    };
    if let Some(id) = several(reader).filter(|_| !reader.config.ensemble.multi_address_enabled) {
        let place = reader.place(&format!("server.{id}"));
        let text = format!("server.{id} has several addresses but multiAddress.enabled is false");
        reader.findings.error(&place, text);
    }
    let place = place_of_members(reader);
    let standalone = reader.config.ensemble.standalone_enabled;
    match voters {
        0 if !standalone => {
            let text = "standaloneEnabled=false needs at least one voter in server.N".to_owned();
            reader.findings.error(&place, text);
        }
        0 if observers > 0 => {
            let text = "Observers w/o participants is an invalid configuration".to_owned();
            reader.findings.error(&place, text);
        }
        0 => {}
        1 if standalone => {
            let text = "Invalid configuration, only one server specified (ignoring)".to_owned();
            reader.findings.push(Level::Error, Stops::Never, &place, text);
            if observers > 0 {
                let text = "Observers w/o quorum is an invalid configuration".to_owned();
                reader.findings.error(&place, text);
            }
        }
        _ => distributed(reader, voters),
    }
}

/// Where to point for a fault of the members as a whole.
fn place_of_members(reader: &Reader) -> super::Place {
    if reader.given("standaloneEnabled").is_some() && !reader.config.ensemble.standalone_enabled {
        return reader.place("standaloneEnabled");
    }
    let first = reader.config.ensemble.members.servers.keys().next();
    let first = first.map(|id| format!("server.{id}"));
    reader.place(first.as_deref().unwrap_or("standaloneEnabled"))
}

fn distributed(reader: &mut Reader, voters: usize) {
    let place = place_of_members(reader);
    let ensemble = &reader.config.ensemble;
    let what = match voters {
        1 => "standaloneEnabled=false makes one server.N an ensemble".to_owned(),
        _ => format!("{voters} voters in server.N make an ensemble"),
    };
    let refused = "this release runs one server alone, with at most one server.N";
    let mut faults = vec![format!("{what}; {refused}")];
    if !ensemble.members.groups.is_empty() || !ensemble.members.weights.is_empty() {
        for (id, member) in &ensemble.members.servers {
            if member.role == Role::Voter && !ensemble.members.groups.contains_key(id) {
                faults.push(format!("Server {id} is not in a group"));
            }
        }
    }
    if ensemble.init_limit == 0 {
        faults.push("initLimit is not set".to_owned());
    }
    if ensemble.sync_limit == 0 {
        faults.push("syncLimit is not set".to_owned());
    }
    if ensemble.my_id.is_none() {
        faults.push("myid file is missing or holds no number".to_owned());
    }
    for fault in faults {
        reader.findings.error(&place, fault);
    }
}

/// `server.N` of this very server may say where clients connect: official images rely on it.
fn client_address(reader: &mut Reader) {
    let ensemble = &reader.config.ensemble;
    let me = ensemble.my_id.and_then(|id| ensemble.members.servers.get(&id));
    if let (Some(id), Some(there)) = (ensemble.my_id, me.and_then(|me| me.client.clone())) {
        let place = reader.place(&format!("server.{id}"));
        let address = match there.host.as_deref().map(rules::resolved) {
            None => None,
            Some(Ok(address)) => Some(address).filter(|address| !address.is_unspecified()),
            Some(Err(why)) => {
                let host = there.host.as_deref().unwrap_or_default();
                return reader.findings.error(&place, format!("{}: {why}", shown(host)));
            }
        };
        let client = &mut reader.config.client;
        let before = client.port.map(|port| (client.address, port));
        let differs = match before {
            None => false,
            Some((None, port)) => port != there.port,
            Some(before) => before != (address, there.port),
        };
        (client.address, client.port) = (address, Some(there.port));
        if differs {
            let text = format!(
                "its client address differs from clientPort in {}",
                reader.place("clientPort")
            );
            reader.findings.error(&place, text);
        }
    }
    let asked = ["clientPort", "secureClientPort"].iter().any(|port| reader.given(port).is_some());
    if reader.config.client.port.is_none() && !asked {
        let place = reader.place("clientPort");
        reader.findings.error(&place, "clientPort is not set, so no client can connect".to_owned());
    }
}
