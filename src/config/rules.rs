//! Keys whose values have a grammar of their own. Each rule puts what it read into the
//! configuration, or says in a few words what is wrong and leaves the field alone.

use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use log::LevelFilter;

use super::settings::{AuthProvider, Config, Cores, DigestAlgorithm, Engine, LogFormat, Secret};

/// CPUs in a list are numbered below this; a larger machine is not what a list of CPUs is for.
const CPUS_MAX: u16 = 4096;

/// A path that says something.
pub fn path(value: &str) -> Result<PathBuf, String> {
    if value.is_empty() { Err("no path".to_owned()) } else { Ok(PathBuf::from(value)) }
}

/// `clientPortAddress`: a name is resolved at once, as Java does.
pub fn client_address(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    config.client.address = Some(resolved(value)?);
    Ok(())
}

/// The first address of a host's name.
pub fn resolved(host: &str) -> Result<IpAddr, String> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut found = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().map(|socket| socket.ip()).ok_or_else(|| "it has no address".to_owned())
}

/// `secureClientPort`: refused, because its clients would find nobody.
pub fn secure_port(_config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    value.parse::<u16>().map_err(|_| "not a port".to_owned())?;
    Err("TLS comes in a later release, so this server cannot open the port".to_owned())
}

/// `observerMasterPort`: 0 and below is off.
pub fn observer_master_port(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    let port: i32 = value.parse().map_err(|_| "not a whole number".to_owned())?;
    config.ensemble.observer_master_port =
        u16::try_from(port.max(0)).map_err(|_| "not a port".to_owned())?;
    Ok(())
}

/// `autopurge.purgeInterval`: hours, or a number with its unit.
pub fn purge_interval(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms: u64 = match &value[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "" | "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("not a number of hours, nor one with ms, s, m, h or d".to_owned()),
    };
    let count: i64 = digits.trim().parse().map_err(|_| "not a whole number".to_owned())?;
    let count = u64::try_from(count).unwrap_or(0);
    config.purge.interval_ms = count.checked_mul(unit_ms).ok_or("too long")?;
    Ok(())
}

/// `autopurge.snapRetainCount`: never fewer than 3.
pub fn snap_retain_count(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    let count: i32 = value.parse().map_err(|_| "not a whole number".to_owned())?;
    config.purge.snap_retain_count = u32::try_from(count).unwrap_or(0).max(3);
    Ok(())
}

/// `snapshot.compression.method`.
pub fn compression(_config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    match value {
        "" | "gz" | "snappy" => Ok(()),
        _ => Err("neither gz nor snappy".to_owned()),
    }
}

/// `server.N`, `group.N`, `weight.N`.
pub fn member(config: &mut Config, key: &str, value: &str) -> Result<(), String> {
    config.ensemble.members.add(key, value)
}

/// `electionAlg`.
pub fn election_alg(_config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    let kind: i32 = value.parse().map_err(|_| "not a whole number".to_owned())?;
    if kind == 3 { Ok(()) } else { Err("only 3 exists".to_owned()) }
}

/// `peerType`.
pub fn peer_type(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    config.ensemble.peer_type_observer = match value.to_ascii_lowercase().as_str() {
        "observer" => true,
        "participant" => false,
        _ => return Err("neither participant nor observer".to_owned()),
    };
    Ok(())
}

/// `DigestAuthenticationProvider.superDigest`.
pub fn super_digest(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    if !value.contains(':') {
        return Err("not USER:HASH, so nobody is super".to_owned());
    }
    config.auth.super_digest = Some(Secret(value.to_owned()));
    Ok(())
}

/// `DigestAuthenticationProvider.digestAlg`: another hash than the one that ACLs were made with
/// would lock everybody out, so an unknown one is refused rather than ignored.
pub fn digest_algorithm(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    config.auth.digest_algorithm = match value.to_ascii_uppercase().as_str() {
        "SHA1" | "SHA-1" | "SHA" => DigestAlgorithm::Sha1,
        "SHA-256" => DigestAlgorithm::Sha256,
        "SHA-512" => DigestAlgorithm::Sha512,
        _ => return Err("neither SHA1, SHA-256 nor SHA-512".to_owned()),
    };
    Ok(())
}

/// `authProvider.*`: Java's classes, by their last name.
pub fn auth_provider(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    let class = value.rsplit('.').next().unwrap_or(value);
    let provider = match class {
        "IPAuthenticationProvider" => AuthProvider::Ip,
        "DigestAuthenticationProvider" => AuthProvider::Digest,
        "X509AuthenticationProvider" => AuthProvider::X509,
        "SASLAuthenticationProvider" => AuthProvider::Sasl,
        "EnsembleAuthenticationProvider" => AuthProvider::Ensemble,
        _ => return Err("no class that this server knows, so its scheme is not offered".to_owned()),
    };
    if !config.auth.providers.contains(&provider) {
        config.auth.providers.push(provider);
    }
    Ok(())
}

/// `SASLAuthenticationProvider.superPassword`.
pub fn sasl_super_password(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    config.auth.sasl_super_password = Some(Secret(value.to_owned()));
    Ok(())
}

/// `superUser`, `superUser.*`.
pub fn sasl_super_user(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("no identity".to_owned());
    }
    config.auth.sasl_super_users.push(value.to_owned());
    Ok(())
}

/// `metricsProvider.className`.
pub fn metrics_provider(_config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    match value.strip_prefix("org.apache.zookeeper.metrics.") {
        Some(
            "impl.DefaultMetricsProvider"
            | "impl.NullMetricsProvider"
            | "prometheus.PrometheusMetricsProvider",
        ) => Ok(()),
        _ => Err("metrics provider class was not found".to_owned()),
    }
}

/// `engine`.
pub fn engine(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    config.engine.engine = match value {
        "auto" => Engine::Auto,
        "uring" => Engine::Uring,
        "epoll" => Engine::Epoll,
        _ => return Err("neither auto, uring nor epoll".to_owned()),
    };
    Ok(())
}

/// `cores`.
pub fn cores(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    config.engine.cores = match value {
        "auto" => Cores::Auto,
        "none" => Cores::None,
        list => Cores::List(cpus(list)?),
    };
    Ok(())
}

fn cpus(list: &str) -> Result<Vec<u16>, String> {
    let mut cpus = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            let cpu = text.trim().parse().ok().filter(|cpu| *cpu < CPUS_MAX);
            cpu.ok_or_else(|| format!("\"{text}\" is no CPU; write auto, none or 0,2-5"))
        };
        let (first, last): (u16, u16) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("{part} ends before it begins"));
        }
        cpus.extend(first..=last);
    }
    let mut sorted = cpus.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == cpus.len() { Ok(cpus) } else { Err("a CPU stands there twice".to_owned()) }
}

/// `log.format`.
pub fn log_format(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    config.log.format = match value {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => return Err("neither text nor json".to_owned()),
    };
    Ok(())
}

/// `log.level`.
pub fn log_level(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    config.log.level = level(value)?;
    Ok(())
}

/// `console.threshold`.
pub fn log_threshold(config: &mut Config, _key: &str, value: &str) -> Result<(), String> {
    config.log.threshold = level(value)?;
    Ok(())
}

/// `log.level.*`: the last mention of a module counts.
pub fn log_module_level(config: &mut Config, key: &str, value: &str) -> Result<(), String> {
    let level = level(value)?;
    let module = key.strip_prefix("log.level.").unwrap_or(key).replace('.', "::");
    config.log.modules.retain(|(other, _)| *other != module);
    config.log.modules.push((module, level));
    Ok(())
}

fn level(value: &str) -> Result<LevelFilter, String> {
    LevelFilter::from_str(value)
        .map_err(|_| "not OFF, ERROR, WARN, INFO, DEBUG or TRACE".to_owned())
}
