//! `server.N`, `group.N` and `weight.N`: who is in the ensemble, as the text of a key says it.
//!
//! The grammar is Apache 3.9's (`QuorumPeer.QuorumServer`, ops-surface section 1.0):
//!
//! ```text
//! server.N = HOST:QUORUM:ELECTION[:participant|observer] { | … } [ ; [ [CLIENTADDR]: ] CLIENTPORT ]
//! group.G  = N { : N }          weight.N = WEIGHT
//! ```
//!
//! Host names are kept as text: a peer's name may not resolve yet when a server starts.

use std::collections::BTreeMap;
use std::fmt;

/// A server's share in quorums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Votes.
    #[default]
    Voter,
    /// Follows, and never votes.
    Observer,
}

/// Where the other servers reach one server: one of several, if `multiAddress.enabled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Name or address, without brackets.
    pub host: String,
    /// Port of proposals and acks.
    pub quorum_port: u16,
    /// Port of votes.
    pub election_port: u16,
}

/// Where clients reach a server, by its `server.N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// Name or address to bind, without brackets; `None` where the text gives a port alone.
    pub host: Option<String>,
    /// Port for plain connections.
    pub port: u16,
}

/// One `server.N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// One address or more, as given.
    pub addresses: Vec<PeerAddress>,
    /// Voter unless the text says observer.
    pub role: Role,
    /// What follows the semicolon.
    pub client: Option<ClientAddress>,
}

/// All of `server.N`, `group.N` and `weight.N`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ensemble {
    /// `server.N` by N.
    pub servers: BTreeMap<i64, Member>,
    /// Group by server id: hierarchical quorums.
    pub groups: BTreeMap<i64, i64>,
    /// Weight by server id; 1 where none is given.
    pub weights: BTreeMap<i64, i64>,
}

impl Ensemble {
    /// How many servers vote.
    pub fn voters(&self) -> usize {
        self.servers.values().filter(|member| member.role == Role::Voter).count()
    }

    /// How many servers only follow.
    pub fn observers(&self) -> usize {
        self.servers.len() - self.voters()
    }

    /// Takes one key. `key` is `server.N`, `group.N` or `weight.N`; the error says what is wrong.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), String> {
        let (kind, id) = key.split_once('.').unwrap_or((key, ""));
        let id: i64 = id.parse().map_err(|_| format!("\"{id}\" is not a server's number"))?;
        match kind {
            "server" => {
                self.servers.insert(id, Member::parse(value)?);
            }
            "group" => {
                for server in value.split(':') {
                    let server =
                        server.parse().map_err(|_| format!("\"{server}\" is not a server"))?;
                    if self.groups.insert(server, id).is_some_and(|other| other != id) {
                        return Err(format!("server {server} is in two groups"));
                    }
                }
            }
            _ => {
                let weight = value.parse().map_err(|_| format!("\"{value}\" is not a number"))?;
                self.weights.insert(id, weight);
            }
        }
        Ok(())
    }
}

impl Member {
    /// Reads the value of a `server.N`; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (servers, client) = match text.split_once(';') {
            Some((servers, client)) => (servers, Some(client)),
            None => (text, None),
        };
        let mut addresses = Vec::new();
        let mut roles = Vec::new();
        for server in servers.split('|') {
            let (address, role) = peer_address(server)?;
            addresses.push(address);
            roles.extend(role);
        }
        let role = roles.first().copied().unwrap_or_default();
        if roles.iter().any(|other| *other != role) {
            return Err("its addresses have different roles".to_owned());
        }
        let client = client.filter(|client| !client.is_empty()).map(client_address).transpose()?;
        Ok(Self { addresses, role, client })
    }
}

impl fmt::Display for Member {
    /// The text that clients read in `/zookeeper/config`, as Java's `QuorumServer.toString`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, address) in self.addresses.iter().enumerate() {
            let bar = if nth == 0 { "" } else { "|" };
            let PeerAddress { host, quorum_port, election_port } = address;
            write!(f, "{bar}{}:{quorum_port}:{election_port}", bracketed(host))?;
        }
        let role = if self.role == Role::Voter { "participant" } else { "observer" };
        write!(f, ":{role}")?;
        match &self.client {
            Some(ClientAddress { host, port }) => {
                let host = host.as_deref().unwrap_or("0.0.0.0");
                write!(f, ";{}:{port}", bracketed(host))
            }
            None => Ok(()),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn peer_address(text: &str) -> Result<(PeerAddress, Option<Role>), String> {
    let (host, rest) = host_and_rest(text)?;
    let parts: Vec<&str> = rest.split(':').collect();
    let (quorum, election, role) = match parts[..] {
        [quorum, election] => (quorum, election, None),
        [quorum, election, role] => (quorum, election, Some(role)),
        _ => {
            return Err(format!("\"{text}\" is not HOST:QUORUMPORT:ELECTIONPORT[:ROLE]"));
        }
    };
    let role = match role.map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("participant") => Some(Role::Voter),
        Some("observer") => Some(Role::Observer),
        Some(other) => return Err(format!("\"{other}\" is neither participant nor observer")),
    };
    let address = PeerAddress { host, quorum_port: port(quorum)?, election_port: port(election)? };
    if address.quorum_port == address.election_port {
        return Err(format!("quorum and election port are both {}", address.quorum_port));
    }
    Ok((address, role))
}

fn client_address(text: &str) -> Result<ClientAddress, String> {
    if text.contains(';') {
        return Err("a second client address, for TLS, is Apache 3.10's; this is 3.9".to_owned());
    }
    if !text.contains(':') {
        return Ok(ClientAddress { host: None, port: port(text)? });
    }
    let (host, rest) = host_and_rest(text)?;
    let host = Some(host).filter(|host| !host.is_empty());
    Ok(ClientAddress { host, port: port(rest)? })
}

/// Cuts `HOST:` off, the host in brackets if it is an IPv6 address.
fn host_and_rest(text: &str) -> Result<(String, &str), String> {
    let cut = match text.strip_prefix('[') {
        Some(inner) => inner.split_once("]:"),
        None => text.split_once(':'),
    };
    let (host, rest) = cut.ok_or_else(|| format!("\"{text}\" has no port"))?;
    Ok((host.to_owned(), rest))
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not a port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_java_does() {
        let rows = [
            ("zoo1:2888:3888", "zoo1:2888:3888:participant"),
            ("zoo1:2888:3888;2181", "zoo1:2888:3888:participant;0.0.0.0:2181"),
            ("zoo1:2888:3888:observer;2181", "zoo1:2888:3888:observer;0.0.0.0:2181"),
            ("zoo1:2888:3888:PARTICIPANT", "zoo1:2888:3888:participant"),
            ("10.0.0.1:1:2;10.0.0.9:2181", "10.0.0.1:1:2:participant;10.0.0.9:2181"),
            ("[::1]:1:2;[::]:2181", "[::1]:1:2:participant;[::]:2181"),
            ("a:1:2|b:3:4", "a:1:2|b:3:4:participant"),
            ("a:1:2:observer|b:3:4:observer", "a:1:2|b:3:4:observer"),
            ("a:1:2;", "a:1:2:participant"),
        ];
        for (given, shown) in rows {
            let member = Member::parse(given).expect("each row is well formed");
            assert_eq!(member.to_string(), shown);
            assert_eq!(Member::parse(shown), Ok(with_client(member)), "{shown}");
        }
    }

    /// A client port alone is written with its wildcard, which reads back as a host.
    fn with_client(mut member: Member) -> Member {
        if let Some(client) = &mut member.client {
            client.host.get_or_insert_with(|| "0.0.0.0".to_owned());
        }
        member
    }

    #[test]
    fn says_what_is_wrong() {
        let rows = [
            ("zoo1", "\"zoo1\" has no port"),
            ("zoo1:2888", "\"zoo1:2888\" is not HOST:QUORUMPORT:ELECTIONPORT[:ROLE]"),
            ("zoo1:2888:x", "\"x\" is not a port"),
            ("zoo1:2888:70000", "\"70000\" is not a port"),
            ("zoo1:2888:2888", "quorum and election port are both 2888"),
            ("zoo1:1:2:king", "\"king\" is neither participant nor observer"),
            ("a:1:2:observer|b:3:4:participant", "its addresses have different roles"),
            ("a:1:2;x", "\"x\" is not a port"),
            ("a:1:2;2181;2182", "a second client address, for TLS, is Apache 3.10's; this is 3.9"),
            ("[::1:1:2", "\"[::1:1:2\" has no port"),
        ];
        for (given, why) in rows {
            assert_eq!(Member::parse(given), Err(why.to_owned()), "{given}");
        }
    }

    #[test]
    fn groups_and_weights_are_by_server() {
        let mut ensemble = Ensemble::default();
        for (key, value) in [("group.1", "1:2"), ("group.2", "3"), ("weight.3", "5")] {
            ensemble.add(key, value).expect("well formed");
        }
        assert_eq!(ensemble.groups, BTreeMap::from([(1, 1), (2, 1), (3, 2)]));
        assert_eq!(ensemble.weights, BTreeMap::from([(3, 5)]));
        assert_eq!(ensemble.add("group.3", "2"), Err("server 2 is in two groups".to_owned()));
        assert_eq!(ensemble.add("server.x", "a:1:2"), Err("\"x\" is not a server's number".into()));
    }
}
