//! SASL DIGEST-MD5, the server's half (RFC 2831), as Java's server speaks it to clients.
//!
//! One [`Exchange`] per connection: [`Exchange::challenge`] answers the client's first, empty token,
//! [`Exchange::verify`] its second one. Service, server name and realm are Apache's fixed ones;
//! the quality of protection is authentication alone. It decides who somebody is, never what that
//! allows, and it has no randomness: the nonce is handed in.
//!
//! Whatever the bytes of a token, both return in time that grows with their number.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

/// The realm, and the host in the client's `digest-uri`.
pub const SERVER_NAME: &str = "zk-sasl-md5";
/// The service in the client's `digest-uri`.
const SERVICE: &str = "zookeeper";
/// Longest token taken (Java's `DigestMD5Server.MAX_RESPONSE_LENGTH`).
pub const TOKEN_BYTES_MAX: usize = 4096;
/// A nonce serves for one answer, so its count is always one.
const NONCE_COUNT: &str = "00000001";

/// Names and passwords, from the JAAS section of the server.
pub type Users = BTreeMap<String, String>;

/// What a right answer proves, and the token that proves the server in turn.
#[derive(Debug, PartialEq, Eq)]
pub struct Proof {
    /// The user's name.
    pub user: String,
    /// `rspauth=…`.
    pub token: Vec<u8>,
}

/// One client's authentication under way.
#[derive(Debug)]
pub struct Exchange {
    nonce: String,
}

impl Exchange {
    /// Begins one; `nonce` must be new and not foreseeable, and of characters that need no escape.
    pub fn new(nonce: String) -> Self {
        debug_assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'='));
        Self { nonce }
    }

    /// The token that answers a client's first one.
    pub fn challenge(&self) -> Vec<u8> {
        let nonce = &self.nonce;
        format!("realm=\"{SERVER_NAME}\",nonce=\"{nonce}\",charset=utf-8,algorithm=md5-sess")
            .into_bytes()
    }

    /// Judges the client's answer. `None`: it proves nothing.
    pub fn verify(&self, users: &Users, token: &[u8]) -> Option<Proof> {
        let answer = Answer::parse(token)?;
        let password = users.get(&answer.username)?;
        let uri = format!("{SERVICE}/{SERVER_NAME}");
        let is_for_us = answer.realm == SERVER_NAME
            && answer.nonce == self.nonce
            && answer.nonce_count == NONCE_COUNT
            && answer.qop == "auth"
            && answer.digest_uri.eq_ignore_ascii_case(&uri);
        if !is_for_us || !same(&answer.response, &answer.digest("AUTHENTICATE", password)) {
            return None;
        }
        let token = format!("rspauth={}", answer.digest("", password)).into_bytes();
        Some(Proof { user: answer.username, token })
    }
}

/// The client's directives.
#[derive(Debug)]
struct Answer {
    username: String,
    realm: String,
    nonce: String,
    cnonce: String,
    nonce_count: String,
    qop: String,
    digest_uri: String,
    authzid: Option<String>,
    response: String,
}

impl Answer {
    fn parse(token: &[u8]) -> Option<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut found = directives(std::str::from_utf8(token).ok()?)?;
        Some(Self {
            username: found.remove("username")?,
            realm: found.remove("realm").unwrap_or_default(),
            nonce: found.remove("nonce")?,
            cnonce: found.remove("cnonce")?,
            nonce_count: found.remove("nc")?,
            qop: found.remove("qop").unwrap_or_else(|| "auth".to_owned()),
            digest_uri: found.remove("digest-uri")?,
            authzid: found.remove("authzid"),
            response: found.remove("response")?,
        })
    }

    /// RFC 2831 section 2.1.2.1; `method` is empty for what the server sends back.
    fn digest(&self, method: &str, password: &str) -> String {
        let mut secret = Md5::new();
        for (part, text) in [&self.username, &self.realm, password].into_iter().enumerate() {
            if part > 0 {
                secret.update(b":");
            }
            secret.update(latin1_or_utf8(text));
        }
        let mut first = Md5::new();
        first.update(secret.finalize());
        first.update(format!(":{}:{}", self.nonce, self.cnonce));
        if let Some(authzid) = &self.authzid {
            first.update(format!(":{authzid}"));
        }
        let first = hex(first);
        let second = hex(Md5::new_with_prefix(format!("{method}:{}", self.digest_uri)));
        let Self { nonce, nonce_count, cnonce, qop, .. } = self;
        let all = format!("{first}:{nonce}:{nonce_count}:{cnonce}:{qop}:{second}");
        hex(Md5::new_with_prefix(all))
    }
}

/// `key=value` or `key="value"` with backslash escapes, between commas and blanks. `None` for any
/// other form, and for a key that comes twice.
fn directives(text: &str) -> Option<BTreeMap<&str, String>> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim_start_matches([',', ' ', '\t', '\r', '\n']);
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            unquote(quoted)?
        } else {
            let end = after.find([',', ' ', '\t', '\r', '\n']).unwrap_or(after.len());
            (after[..end].to_owned(), &after[end..])
        };
        if found.insert(key.trim(), value).is_some() {
            return None;
        }
        rest = after.trim_start_matches([',', ' ', '\t', '\r', '\n']);
    }
    Some(found)
}

/// A quoted value and what follows its closing quote.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// Text in ISO 8859-1 where that can hold it, as the RFC asks, else in UTF-8.
fn latin1_or_utf8(text: &str) -> Vec<u8> {
    let narrow: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    narrow.unwrap_or_else(|| text.as_bytes().to_vec())
}

fn hex(digest: Md5) -> String {
    digest.finalize().iter().fold(String::with_capacity(32), |mut text, byte| {
        use std::fmt::Write;
        write!(text, "{byte:02x}").expect("a string takes it");
        text
    })
}

/// Compares in a time that does not tell where they differ.
fn same(one: &str, other: &str) -> bool {
    let differs = one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        [("bob", "secret"), ("é", "ü"), ("中", "x")]
            .map(|(user, password)| (user.to_owned(), password.to_owned()))
            .into()
    }

    fn answer(user: &str, password: &str, change: (&str, &str)) -> String {
        let mut answer = Answer {
            username: user.to_owned(),
            realm: SERVER_NAME.to_owned(),
            nonce: "abc".to_owned(),
            cnonce: "xyz".to_owned(),
            nonce_count: NONCE_COUNT.to_owned(),
            qop: "auth".to_owned(),
            digest_uri: "zookeeper/zk-sasl-md5".to_owned(),
            authzid: None,
            response: String::new(),
        };
        answer.response = answer.digest("AUTHENTICATE", password);
        let text = format!(
            "username=\"{}\",realm=\"{}\",nonce=\"{}\",cnonce=\"{}\",nc={},qop={},\
             digest-uri=\"{}\",response={},charset=utf-8",
            answer.username,
            answer.realm,
            answer.nonce,
            answer.cnonce,
            answer.nonce_count,
            answer.qop,
            answer.digest_uri,
            answer.response
        );
        text.replace(change.0, change.1)
    }

    /// The example of RFC 2831 section 4, whose realm, service and host are others.
    #[test]
    fn the_digests_are_those_of_the_rfc() {
        let answer = Answer {
            username: "chris".to_owned(),
            realm: "elwood.innosoft.com".to_owned(),
            nonce: "OA6MG9tEQGm2hh".to_owned(),
            cnonce: "OA6MHXh6VqTrRk".to_owned(),
            nonce_count: NONCE_COUNT.to_owned(),
            qop: "auth".to_owned(),
            digest_uri: "imap/elwood.innosoft.com".to_owned(),
            authzid: None,
            response: String::new(),
        };
        assert_eq!(answer.digest("AUTHENTICATE", "secret"), "d388dad90d4bbd760a152321f2143af7");
        assert_eq!(answer.digest("", "secret"), "ea40f60335c427b5527b84dbabcdfffd");
    }

    #[test]
    fn only_the_right_answer_to_this_challenge_proves_a_user() {
        let exchange = Exchange::new("abc".to_owned());
        #[rustfmt::skip]
        let table = [
            // what                   answer                                                proves
            ("right",                 answer("bob", "secret", ("", "")),                    true),
            ("latin",                 answer("é", "ü", ("", "")),                           true),
            ("beyond latin",          answer("中", "x", ("", "")),                          true),
            ("no qop is auth",        answer("bob", "secret", ("qop=auth,", "")),           true),
            ("blanks between",        answer("bob", "secret", (",", ", ")),                 true),
            ("wrong password",        answer("bob", "other", ("", "")),                     false),
            ("unknown user",          answer("ann", "secret", ("", "")),                    false),
            ("another user's name",   answer("bob", "secret", ("\"bob\"", "\"é\"")),        false),
            ("another nonce",         answer("bob", "secret", ("\"abc\"", "\"abd\"")),      false),
            ("another client nonce",  answer("bob", "secret", ("xyz", "xyy")),              false),
            ("used again",            answer("bob", "secret", ("00000001", "00000002")),    false),
            ("another realm",         answer("bob", "secret", ("realm=\"zk", "realm=\"z")), false),
            ("no realm",              answer("bob", "secret", ("realm=\"zk-sasl-md5\",", "")), false),
            ("another service",       answer("bob", "secret", ("zookeeper/", "imap/")),     false),
            ("integrity",             answer("bob", "secret", ("qop=auth", "qop=auth-int")), false),
            ("an id to act as",       answer("bob", "secret", ("nc=", "authzid=\"x\",nc=")), false),
            ("twice the same key",    answer("bob", "secret", ("nc=", "nc=1,nc=")),         false),
            ("no response",           answer("bob", "secret", ("response", "respons")),     false),
            ("an open quote",         answer("bob", "secret", ("\",realm", ",realm")),      false),
            ("nothing",               String::new(),                                        false),
            ("noise",                 "=,=\"\\".to_owned(),                                 false),
        ];
        for (what, token, proves) in table {
            let proof = exchange.verify(&users(), token.as_bytes());
            assert_eq!(proof.is_some(), proves, "{what}: {token}");
        }
        assert!(exchange.verify(&users(), &[b'a'; TOKEN_BYTES_MAX + 1]).is_none());
        assert!(exchange.verify(&users(), &[0xff, b'=', 0xff]).is_none());
    }

    #[test]
    fn the_proof_names_the_user_and_answers_the_client() {
        let exchange = Exchange::new("abc".to_owned());
        let text = answer("bob", "secret", ("", ""));
        let proof = exchange.verify(&users(), text.as_bytes()).expect("it is right");
        let expected = Answer::parse(text.as_bytes()).expect("it parses").digest("", "secret");
        assert_eq!(proof.user, "bob");
        assert_eq!(proof.token, format!("rspauth={expected}").into_bytes());
        let challenge = String::from_utf8(exchange.challenge()).expect("it is text");
        assert!(challenge.starts_with("realm=\"zk-sasl-md5\",nonce=\"abc\""), "{challenge}");
    }
}
