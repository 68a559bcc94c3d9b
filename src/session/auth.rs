//! Who somebody is, and what that allows (client-protocol section 6).
//!
//! A connection gathers identities: its address, what it proved by auth packets, what its TLS or
//! SASL handshake proved. A znode has a list of entries. [`allows`] compares the two, [`fix_acl`]
//! makes the list that is stored out of the list that a client wished.
//!
//! An identity's scheme counts only if its provider is there: `ip` always, the others as
//! [`Config`] says, as with Apache's `ProviderRegistry`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

use super::address;
use crate::types::limits::FRAME_BYTES_DEFAULT_MAX;
use crate::wire::stat::{Acl, AclList};
use crate::wire::submission::Identity;
use crate::wire::{ErrorCode, Record, Writer};

pub use crate::wire::stat::perms::{ADMIN, CREATE, DELETE, READ, WRITE};

/// Which providers there are, and who is above all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "one for each key of the configuration")]
pub struct Config {
    /// `zookeeper.skipACL`: everybody may do everything. Lists are still checked for their form.
    pub skip_acl: bool,
    /// `zookeeper.DigestAuthenticationProvider.enabled`, on unless it is "false".
    pub digest: bool,
    /// `zookeeper.DigestAuthenticationProvider.digestAlg`, the same on all servers.
    pub digest_algorithm: DigestAlgorithm,
    /// `zookeeper.DigestAuthenticationProvider.superDigest`: whoever proves this digest is super.
    pub super_digest: Option<String>,
    /// Whether X.509 identities may stand in lists: there is a secure port.
    pub x509: bool,
    /// `zookeeper.X509AuthenticationProvider.superUser`: matches every `x509` entry.
    pub x509_super_user: Option<String>,
    /// Whether SASL identities may stand in lists: the provider is configured.
    pub sasl: bool,
    /// `zookeeper.letAnySaslUserDoX`: a `sasl` entry that every SASL identity matches.
    pub sasl_any: Option<String>,
    /// The `ensemble` provider, if it is configured.
    pub ensemble: Option<Ensemble>,
}

/// A pseudo scheme by which clients make sure that they talk to the right ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ensemble {
    /// `zookeeper.ensembleAuthName`; empty: any name will do.
    pub names: Vec<String>,
}

/// Hash of the `digest` scheme: `user:base64(hash(user:password))`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// What Apache's servers use unless told otherwise.
    #[default]
    Sha1,
    /// SHA-2, 256 bits.
    Sha256,
    /// SHA-2, 512 bits.
    Sha512,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            skip_acl: false,
            digest: true,
            digest_algorithm: DigestAlgorithm::Sha1,
            super_digest: None,
            x509: false,
            x509_super_user: None,
            sasl: false,
            sasl_any: None,
            ensemble: None,
        }
    }
}

/// The list after [`fix_acl`] is smaller than what any server takes in one string or buffer.
const FIXED_ACL_BYTES_MAX: usize = FRAME_BYTES_DEFAULT_MAX;

/// Entries up to which duplicates are looked for by comparing each with each.
const FEW: usize = 16;

/// What an auth packet adds to the identities of a connection; `None`: refused, to be answered
/// with AuthFailed and hung up on.
///
/// `peer` is the connection's address identity. Nothing is an answer, too: the client is let go on.
pub fn authenticate(
    config: &Config,
    scheme: &str,
    auth: Option<&[u8]>,
    peer: &Identity,
) -> Option<Vec<Identity>> {
    match scheme {
        "digest" if config.digest => {
            let digest = digest_id(config.digest_algorithm, auth?);
            let mut added = Vec::with_capacity(2);
            if config.super_digest.as_deref() == Some(&digest) {
                added.push(Identity::new("super", ""));
            }
            added.push(Identity { scheme: scheme.to_owned(), id: digest });
            Some(added)
        }
        "ip" => Some(vec![peer.clone()]),
        "ensemble" => {
            let names = &config.ensemble.as_ref()?.names;
            let named = auth.unwrap_or_default();
            let right = named.is_empty()
                || names.is_empty()
                || names.iter().any(|name| name.as_bytes() == named);
            right.then(Vec::new)
        }
        // Proved by a handshake, not by a packet, or nobody's scheme.
        _ => None,
    }
}

/// `user:password` as an id: the user, and base64 of the hash of the whole
/// (`DigestAuthenticationProvider.generateDigest`).
pub fn digest_id(algorithm: DigestAlgorithm, auth: &[u8]) -> String {
    let text = String::from_utf8_lossy(auth);
    let user = text.split(':').next().unwrap_or_default();
    let hash = match algorithm {
        DigestAlgorithm::Sha1 => STANDARD.encode(Sha1::digest(text.as_bytes())),
        DigestAlgorithm::Sha256 => STANDARD.encode(Sha256::digest(text.as_bytes())),
        DigestAlgorithm::Sha512 => STANDARD.encode(Sha512::digest(text.as_bytes())),
    };
    format!("{user}:{hash}")
}

/// The address of a connection as an id of the scheme `ip`.
pub fn address_text(address: IpAddr) -> String {
    address::text(address)
}

/// What whoAmI tells of an identity: the user without secrets, "" for a scheme without users.
pub fn user_name(identity: &Identity) -> &str {
    match identity.scheme.as_str() {
        "digest" => identity.id.split(':').next().unwrap_or_default(),
        "ip" | "sasl" | "x509" => &identity.id,
        _ => "",
    }
}

/// The id of an entry as getACL tells it to somebody who may not change the list.
pub fn masked<'e>(entry: &'e Acl<'_>) -> Cow<'e, str> {
    match entry.id().split_once(':') {
        Some((user, _)) if entry.scheme() == "digest" => Cow::Owned(format!("{user}:x")),
        _ => Cow::Borrowed(entry.id()),
    }
}

/// Whether somebody with these identities has one of the permissions `wanted`
/// (`ZooKeeperServer.checkACL`).
pub fn allows(config: &Config, entries: AclList<'_>, wanted: i32, identities: &[Identity]) -> bool {
    if config.skip_acl || entries.is_empty() {
        return true;
    }
    // The usual list: world, and all of it.
    let is_anyone = |entry: &Acl<'_>| entry.scheme() == "world" && entry.id() == "anyone";
    let granting = || entries.iter().filter(|entry| entry.perms & wanted != 0);
    granting().any(|entry| is_anyone(&entry))
        || identities.iter().any(|identity| identity.scheme == "super")
        || granting().any(|entry| {
            let same = |identity: &&Identity| identity.scheme == entry.scheme();
            identities.iter().filter(same).any(|identity| matches(config, &identity.id, &entry))
        })
}

/// Whether an identity of the entry's scheme is meant by the entry.
fn matches(config: &Config, id: &str, entry: &Acl<'_>) -> bool {
    match entry.scheme() {
        "ip" => address::matches(id, entry.id()),
        "digest" => config.digest && id == entry.id(),
        "x509" => {
            config.x509 && (id == entry.id() || config.x509_super_user.as_deref() == Some(id))
        }
        "sasl" => {
            config.sasl
                && (id == entry.id()
                    || id == "super"
                    || config.sasl_any.as_deref() == Some(entry.id()))
        }
        _ => false,
    }
}

/// Appends the list that is stored for what a client wished, as a jute vector
/// (`PrepRequestProcessor.fixupACL`). After an error `out` is anywhere inside it.
///
/// # Errors
///
/// InvalidACL for an empty list and for entries that mean nothing; MarshallingError where Apache's
/// server stumbles over a null id.
pub fn fix_acl(
    config: &Config,
    wished: AclList<'_>,
    identities: &[Identity],
    out: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    if wished.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    let start = out.len();
    Writer::new(out).i32(0);
    let mut count = 0_i32;
    let mut seen = BTreeSet::new();
    for (index, entry) in wished.iter().enumerate() {
        let repeated = if wished.len() <= FEW {
            wished.iter().take(index).any(|before| before == entry)
        } else {
            let Acl { perms, scheme, id } = entry.clone();
            !seen.insert((perms, scheme, id))
        };
        if !repeated {
            count += fix_entry(config, &entry, identities, out)?;
        }
        // Entries for `auth` multiply; Apache would store a list that its peers cannot read.
        if out.len() - start > FIXED_ACL_BYTES_MAX {
            return Err(ErrorCode::InvalidAcl);
        }
    }
    out[start..start + 4].copy_from_slice(&count.to_be_bytes());
    Ok(())
}

/// Appends what one entry becomes, and says how many entries that is.
fn fix_entry(
    config: &Config,
    entry: &Acl<'_>,
    identities: &[Identity],
    out: &mut Vec<u8>,
) -> Result<i32, ErrorCode> {
    let mut out = Writer::new(out);
    let invalid = Err(ErrorCode::InvalidAcl);
    let Some(scheme) = entry.scheme.as_deref() else { return invalid };
    if scheme == "auth" {
        let mut count = 0;
        for identity in identities.iter().filter(|identity| is_authenticated(config, identity)) {
            Acl::new(entry.perms, &identity.scheme, &identity.id).encode(&mut out);
            count += 1;
        }
        return if count == 0 { invalid } else { Ok(count) };
    }
    let check: fn(&str) -> bool = match scheme {
        "world" => |id| id == "anyone",
        "ip" => address::is_valid,
        "digest" if config.digest => is_digest,
        "x509" if config.x509 => is_distinguished_name,
        "sasl" if config.sasl => is_principal,
        "ensemble" if config.ensemble.is_some() => |_| false,
        _ => return invalid,
    };
    let Some(id) = entry.id.as_deref() else { return Err(ErrorCode::MarshallingError) };
    if !check(id) {
        return invalid;
    }
    entry.encode(&mut out);
    Ok(1)
}

/// Whether an identity was proved, and so can stand for `auth`. An address proves nothing.
fn is_authenticated(config: &Config, identity: &Identity) -> bool {
    match identity.scheme.as_str() {
        "digest" => config.digest,
        "x509" => config.x509,
        "sasl" => config.sasl,
        _ => false,
    }
}

/// Two parts at a colon, where Java's `split` forgets empty ones at the end.
fn is_digest(id: &str) -> bool {
    let id = id.trim_end_matches(':');
    id.split(':').count() == 2
}

/// Attributes with values, as RFC 2253 lists them. Not a full parser: it decides only which ids
/// can ever be compared with the subject of a certificate.
fn is_distinguished_name(id: &str) -> bool {
    let mut attributes = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in id.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' | ';' | '+' if !quoted => {
                attributes.push(&id[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    attributes.push(&id[start..]);
    let is_attribute = |text: &&str| {
        let Some((key, _)) = text.split_once('=') else { return false };
        let key = key.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        !key.is_empty() && key.chars().all(plain)
    };
    let is_empty = id.trim().is_empty();
    is_empty || (!quoted && !escaped && attributes.iter().all(is_attribute))
}

/// `service[/host]@realm`, or anything without an `@` (`KerberosName.java`).
fn is_principal(id: &str) -> bool {
    let Some((name, realm)) = id.split_once('@') else { return true };
    let rest_is_plain = !realm.contains(['@', '/']);
    rest_is_plain && name.split('/').count() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Seq;
    use crate::wire::stat::perms::ALL;

    fn ip() -> Identity {
        Identity::new("ip", "127.0.0.1")
    }

    fn bob() -> Identity {
        Identity::new("digest", BOB)
    }

    const BOB: &str = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=";

    fn both() -> Config {
        Config { x509: true, sasl: true, ..Config::default() }
    }

    #[test]
    fn digests_are_javas() {
        #[rustfmt::skip]
        let table: [(&[u8], &str); 4] = [
            (b"bob:pw",       BOB),
            (b"super:admin",  "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="),
            (b"",             ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
            (b"nocolon",      "nocolon:"),
        ];
        for (auth, expected) in table {
            let id = digest_id(DigestAlgorithm::Sha1, auth);
            assert!(id.starts_with(expected), "{id}");
            assert_eq!(id.rsplit(':').next().expect("there is a colon").len(), 28);
        }
        assert_eq!(
            digest_id(DigestAlgorithm::Sha256, b"bob:pw"),
            "bob:lXdkgIa9O1CDDWAryQ0pe9wUYi2LkG6M7Uocn/Vyn2g="
        );
        assert_eq!(digest_id(DigestAlgorithm::Sha512, b"bob:pw").len(), 4 + 88);
    }

    #[test]
    fn packets_add_what_their_scheme_proves() {
        let default = Config::default();
        let superdigest = Config { super_digest: Some(BOB.to_owned()), ..Config::default() };
        let named = Config {
            ensemble: Some(Ensemble { names: vec!["east".to_owned()] }),
            ..Config::default()
        };
        let super_user = Identity::new("super", "");
        #[rustfmt::skip]
        let table: &[(&Config, &str, Option<&[u8]>, Option<Vec<Identity>>)] = &[
            (&default,     "digest",   Some(b"bob:pw"), Some(vec![bob()])),
            (&default,     "digest",   None,            None),
            (&superdigest, "digest",   Some(b"bob:pw"), Some(vec![super_user, bob()])),
            (&default,     "ip",       None,            Some(vec![ip()])),
            (&default,     "world",    Some(b"anyone"), None),
            (&default,     "super",    Some(b""),       None),
            (&default,     "auth",     Some(b""),       None),
            (&default,     "x509",     Some(b""),       None),
            (&default,     "foo",      Some(b""),       None),
            (&default,     "",         None,            None),
            (&default,     "ensemble", Some(b"east"),   None),
            (&named,       "ensemble", Some(b"east"),   Some(vec![])),
            (&named,       "ensemble", Some(b""),       Some(vec![])),
            (&named,       "ensemble", Some(b"west"),   None),
        ];
        for (config, scheme, auth, expected) in table {
            assert_eq!(authenticate(config, scheme, *auth, &ip()), *expected, "{scheme} {auth:?}");
        }
        let off = Config { digest: false, ..Config::default() };
        assert_eq!(authenticate(&off, "digest", Some(b"bob:pw"), &ip()), None);
    }

    #[test]
    fn names_and_masks_keep_secrets() {
        assert_eq!(user_name(&bob()), "bob");
        assert_eq!(user_name(&ip()), "127.0.0.1");
        assert_eq!(user_name(&Identity::new("super", "CN=root")), "");
        assert_eq!(user_name(&Identity::new("x509", "CN=root")), "CN=root");
        assert_eq!(masked(&Acl::new(1, "digest", BOB)), "bob:x");
        assert_eq!(masked(&Acl::new(1, "ip", "::1")), "::1");
    }

    /// Each row: the list, who asks, for what, and whether he may.
    #[test]
    fn entries_allow_what_they_say_to_whom_they_say() {
        let entry = Acl::new;
        let nobody: Vec<Identity> = vec![ip()];
        let somebody = vec![ip(), bob()];
        let root = vec![ip(), Identity::new("super", "")];
        let sasl = vec![Identity::new("sasl", "super")];
        let x509 = vec![Identity::new("x509", "CN=a")];
        #[rustfmt::skip]
        let table: &[(&[Acl<'_>], &[Identity], i32, bool)] = &[
            (&[],                                             &nobody,   WRITE,        true),
            (&[entry(ALL, "world", "anyone")],                &nobody,   WRITE,        true),
            (&[entry(READ, "world", "anyone")],               &nobody,   WRITE,        false),
            (&[entry(READ, "world", "anyone")],               &nobody,   READ | ADMIN, true),
            (&[entry(READ, "world", "anyone")],               &root,     WRITE,        true),
            (&[entry(0, "world", "anyone")],                  &nobody,   READ,         false),
            (&[entry(ALL, "digest", BOB)],                    &nobody,   READ,         false),
            (&[entry(ALL, "digest", BOB)],                    &somebody, READ,         true),
            (&[entry(ALL, "digest", "bob:other")],            &somebody, READ,         false),
            (&[entry(ALL, "ip", "127.0.0.0/8")],              &nobody,   DELETE,       true),
            (&[entry(ALL, "ip", "10.0.0.0/8")],               &nobody,   DELETE,       false),
            (&[entry(READ, "ip", "127.0.0.1"), entry(CREATE, "digest", BOB)],
                                                              &nobody,   CREATE,       false),
            (&[entry(ALL, "sasl", "x")],                      &sasl,     READ,         true),
            (&[entry(ALL, "x509", "CN=a")],                   &x509,     READ,         true),
            (&[entry(ALL, "x509", "CN=b")],                   &x509,     READ,         false),
            (&[entry(ALL, "super", "")],                      &nobody,   READ,         false),
        ];
        for (list, identities, wanted, expected) in table {
            let list = Seq::from(*list);
            let found = allows(&both(), list, *wanted, identities);
            assert_eq!(found, *expected, "{list:?} {identities:?} {wanted}");
            let skip = Config { skip_acl: true, ..Config::default() };
            assert!(allows(&skip, list, *wanted, identities));
        }
        // A scheme whose provider is not there matches nobody.
        let list = [entry(ALL, "x509", "CN=a"), entry(ALL, "sasl", "super")];
        for who in [&x509, &sasl] {
            assert!(!allows(&Config::default(), Seq::from(&list[..]), READ, who));
        }
        let any = Config { x509_super_user: Some("CN=a".to_owned()), ..both() };
        assert!(allows(&any, Seq::from(&[entry(ALL, "x509", "CN=b")][..]), READ, &x509));
    }

    fn fixed(config: &Config, list: &[Acl<'_>], who: &[Identity]) -> Result<Vec<u8>, ErrorCode> {
        let mut out = vec![9];
        fix_acl(config, Seq::from(list), who, &mut out).map(|()| out.split_off(1))
    }

    #[test]
    fn lists_are_fixed_as_apache_does() {
        use ErrorCode::{InvalidAcl, MarshallingError};
        let entry = Acl::new;
        let nobody = vec![ip()];
        let somebody = vec![ip(), bob(), Identity::new("super", "")];
        let null_id = |scheme| Acl { id: None, ..entry(31, scheme, "") };
        let null_scheme = Acl { scheme: None, ..entry(31, "", "") };
        let open = || entry(31, "world", "anyone");
        type Row<'r> = (&'r [Acl<'r>], &'r [Identity], Result<&'r [Acl<'r>], ErrorCode>);
        #[rustfmt::skip]
        let table: &[Row<'_>] = &[
            (&[],                               &nobody,   Err(InvalidAcl)),
            (&[open()],                         &nobody,   Ok(&[open()])),
            (&[open(), open()],                 &nobody,   Ok(&[open()])),
            (&[entry(-1, "world", "anyone")],   &nobody,   Ok(&[entry(-1, "world", "anyone")])),
            (&[entry(1, "world", "bob")],       &nobody,   Err(InvalidAcl)),
            (&[entry(1, "world", "")],          &nobody,   Err(InvalidAcl)),
            (&[null_scheme],                    &nobody,   Err(InvalidAcl)),
            (&[null_id("world")],               &nobody,   Err(MarshallingError)),
            (&[null_id("digest")],              &nobody,   Err(MarshallingError)),
            (&[null_id("foo")],                 &nobody,   Err(InvalidAcl)),
            (&[null_id("auth")],                &somebody, Ok(&[entry(31, "digest", BOB)])),
            (&[entry(7, "auth", "any")],        &nobody,   Err(InvalidAcl)),
            (&[entry(7, "auth", "any")],        &somebody, Ok(&[entry(7, "digest", BOB)])),
            (&[entry(7, "digest", BOB), entry(7, "auth", "")], &somebody,
                                     Ok(&[entry(7, "digest", BOB), entry(7, "digest", BOB)])),
            (&[entry(1, "digest", "a:b")],      &nobody,   Ok(&[entry(1, "digest", "a:b")])),
            (&[entry(1, "digest", ":b")],       &nobody,   Ok(&[entry(1, "digest", ":b")])),
            (&[entry(1, "digest", "a:b:")],     &nobody,   Ok(&[entry(1, "digest", "a:b:")])),
            (&[entry(1, "digest", "a")],        &nobody,   Err(InvalidAcl)),
            (&[entry(1, "digest", "a:")],       &nobody,   Err(InvalidAcl)),
            (&[entry(1, "digest", "a:b:c")],    &nobody,   Err(InvalidAcl)),
            (&[entry(1, "ip", "10.0.0.0/8")],   &nobody,   Ok(&[entry(1, "ip", "10.0.0.0/8")])),
            (&[entry(1, "ip", "10.0.0.0/33")],  &nobody,   Err(InvalidAcl)),
            (&[entry(1, "super", "")],          &somebody, Err(InvalidAcl)),
            (&[entry(1, "sasl", "bob")],        &nobody,   Err(InvalidAcl)),
            (&[entry(1, "x509", "CN=bob")],     &nobody,   Err(InvalidAcl)),
            // The first bad entry decides.
            (&[open(), null_id("digest"), entry(1, "foo", "")], &nobody, Err(MarshallingError)),
        ];
        for (list, who, expected) in table {
            let expected = expected.map(|list| Seq::from(list).to_bytes());
            assert_eq!(fixed(&Config::default(), list, who), expected, "{list:?}");
        }
        for id in ["bob", "zk/host@REALM", "bob@REALM"] {
            assert!(fixed(&both(), &[entry(1, "sasl", id)], &[]).is_ok(), "{id}");
        }
        for id in ["a@b@c", "a/b/c@d", "a@b/c"] {
            assert!(fixed(&both(), &[entry(1, "sasl", id)], &[]).is_err(), "{id}");
        }
        for (id, valid) in [("CN=a, O=\"x, y\"", true), ("a", false), ("=a", false), ("", true)] {
            assert_eq!(fixed(&both(), &[entry(1, "x509", id)], &[]).is_ok(), valid, "{id}");
        }
    }

    /// Long lists take time in proportion, and `auth` cannot multiply them without end.
    #[test]
    fn lists_are_bounded() {
        let many: Vec<_> = (0..60_000).map(|n| Acl::new(n % 100, "world", "anyone")).collect();
        let unique = fixed(&Config::default(), &many, &[]).expect("a long list");
        assert_eq!(AclList::from_bytes(&unique).expect("a list").len(), 100);
        let many: Vec<_> = (0..60_000).map(|n| Acl::new(n, "auth", "")).collect();
        let who: Vec<_> = (0..100).map(|n| Identity::new("digest", &format!("{n}:x"))).collect();
        assert_eq!(fixed(&Config::default(), &many, &who), Err(ErrorCode::InvalidAcl));
    }
}
