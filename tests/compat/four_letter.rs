//! Answers to four-letter words as lines of a transcript: the form stays, values go.

/// The lines of an answer, each behind `| ` so that an empty line does not end the block, and a
/// last line that says whether the answer ended with a newline.
pub fn mask(word: &str, answer: &str) -> Vec<String> {
    // What follows the word's four letters is ignored by servers.
    let word = &word[..4];
    let mut lines: Vec<String> = answer.lines().map(|line| mask_line(word, line)).collect();
    if matches!(word, "dump" | "stat" | "cons") {
        // How many connections there are, and in which buckets, is a matter of the moment.
        let mut known = std::collections::BTreeSet::new();
        lines.retain(|line| known.insert(line.clone()));
    }
    if word == "cons" {
        // The order is that of a hash table.
        lines.sort();
    }
    if word == "mntr" && answer.starts_with("zk_") {
        lines.retain(|line| MNTR_KEYS.iter().any(|key| line.split(' ').next() == Some(key)));
        // So is this one.
        lines.sort();
    }
    for line in &mut lines {
        *line = format!("| {line}").trim_end().to_string();
    }
    if !answer.ends_with('\n') {
        lines.push("no newline at the end".to_string());
    }
    lines
}

/// The keys of `mntr` that every server of every role gives.
#[rustfmt::skip]
const MNTR_KEYS: &[&str] = &[
    "zk_version", "zk_server_state", "zk_avg_latency", "zk_max_latency", "zk_min_latency",
    "zk_packets_received", "zk_packets_sent", "zk_num_alive_connections", "zk_outstanding_requests",
    "zk_uptime", "zk_znode_count", "zk_watch_count", "zk_ephemerals_count",
    "zk_approximate_data_size", "zk_global_sessions", "zk_local_sessions",
    "zk_open_file_descriptor_count", "zk_max_file_descriptor_count",
    "zk_connection_drop_probability", "zk_last_client_response_size",
    "zk_max_client_response_size", "zk_min_client_response_size", "zk_outstanding_tls_handshake",
    "zk_auth_failed_count", "zk_non_mtls_remote_conn_count", "zk_non_mtls_local_conn_count",
];

fn mask_line(word: &str, line: &str) -> String {
    match word {
        "srvr" | "stat" => mask_srvr(line),
        "mntr" => mask_mntr(line),
        "envi" => line.split_once('=').map_or(line.to_string(), |(key, _)| format!("{key}=V")),
        "conf" => match line.split_once('=') {
            Some((key @ ("dataDir" | "dataLogDir" | "clientPort"), _)) => format!("{key}=V"),
            Some((key @ ("dataDirSize" | "dataLogSize"), value)) => format!("{key}={}", n(value)),
            _ => line.to_string(),
        },
        "dump" if line.contains(" expire at ") => "N expire at DATE:".to_string(),
        "dirs" | "hash" | "dump" | "cons" | "wchc" | "wchp" => n(line),
        _ => line.to_string(),
    }
}

fn mask_srvr(line: &str) -> String {
    if let Some(version) = line.strip_prefix("Zookeeper version: ") {
        let (version, built) = version.split_once(", built on ").unwrap_or((version, ""));
        let shape: String =
            built.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let dashed = if version.contains('-') { "V-R" } else { "V" };
        return format!("Zookeeper version: {dashed}, built on {shape}");
    }
    let keeps = ["Zxid:", "Mode:", "Node count:"];
    if keeps.iter().any(|key| line.starts_with(key)) { line.to_string() } else { n(line) }
}

fn mask_mntr(line: &str) -> String {
    let (key, value) = line.split_once('\t').unwrap_or((line, ""));
    let shape = match value.parse::<f64>() {
        Ok(_) if value.contains('.') => "DECIMAL",
        Ok(_) => "INTEGER",
        Err(_) if key == "zk_version" => "TEXT",
        Err(_) => value,
    };
    format!("{key} {shape}")
}

/// The line with each number (also a hexadecimal one behind `0x`) as N.
fn n(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let hex = rest.strip_prefix("0x");
        let digits = match hex {
            Some(hex) => 2 + hex.chars().take_while(char::is_ascii_hexdigit).count(),
            None => rest.chars().take_while(char::is_ascii_digit).count(),
        };
        if digits == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out += if hex.is_some() { "0xN" } else { "N" };
            rest = &rest[digits..];
        }
    }
    out
}
