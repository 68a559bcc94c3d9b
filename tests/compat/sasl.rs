//! The client's half of SASL DIGEST-MD5, for transcripts: answers challenges, masks nonces.

use super::show::{self, Fields};
use super::words;
use md5::{Digest, Md5};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the server of a case with the word `jaas` is given.
const JAAS: &str = r#"
Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_super="top"
    user_bob="secret";
};
"#;

/// That file, for as long as this lives.
#[derive(Debug)]
pub struct JaasFile(pub PathBuf);

impl JaasFile {
    pub fn write() -> JaasFile {
        static FILES: AtomicU32 = AtomicU32::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringkeeper-test-{}-{number}.jaas", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, JAAS).expect("the temporary folder is writable");
        JaasFile(path)
    }
}

impl Drop for JaasFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The state of one connection's authentication.
#[derive(Debug, Default)]
pub struct Sasl {
    nonce: String,
    /// The token that would prove the server.
    proof: String,
}

impl Sasl {
    /// The token for `USER PASSWORD KEY=VALUE…`, in which a KEY replaces a directive's value.
    pub fn answer(&mut self, words: &[&str]) -> String {
        let [user, password, changes @ ..] = words else { panic!("saslAnswer USER PASSWORD") };
        let change = |key: &str, value: &str| {
            let find = |word: &&str| word.strip_prefix(key)?.strip_prefix('=').map(str::to_string);
            changes.iter().find_map(find).unwrap_or_else(|| value.to_string())
        };
        let realm = change("realm", "zk-sasl-md5");
        let nonce = change("nonce", &self.nonce);
        let uri = change("digest-uri", "zookeeper/zk-sasl-md5");
        let count = change("nc", "00000001");
        let digest = |method: &str| {
            let secret = Md5::digest(format!("{user}:{realm}:{password}"));
            let first = [secret.as_slice(), format!(":{nonce}:client").as_bytes()].concat();
            let first = show::hex(&Md5::digest(first));
            let second = show::hex(&Md5::digest(format!("{method}:{uri}")));
            show::hex(&Md5::digest(format!("{first}:{nonce}:{count}:client:auth:{second}")))
        };
        self.proof = format!("rspauth={}", digest(""));
        let response = change("response", &digest("AUTHENTICATE"));
        format!(
            "charset=utf-8,username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",nc={count},\
             cnonce=\"client\",digest-uri=\"{uri}\",response={response},qop=auth"
        )
    }

    /// The body of a reply: a token, whose nonce is kept and masked.
    pub fn show(&mut self, body: &[u8]) -> String {
        let mut fields = Fields::new(body);
        let token = fields.buffer();
        let (Some(token), true) = (token, fields.is_empty()) else {
            return format!("hex={}", show::hex(body));
        };
        let Some(token) = token else { return "data=~".to_string() };
        let text = String::from_utf8_lossy(token).into_owned();
        if !self.proof.is_empty() && text == self.proof {
            return "data=proof".to_string();
        }
        if let Some((head, rest)) = text.split_once("nonce=\"")
            && let Some((nonce, tail)) = rest.split_once('"')
        {
            self.nonce = nonce.to_string();
            let masked = format!("{head}nonce=\"N\"{tail}");
            return format!("data={}", words::show(Some(masked.as_bytes())));
        }
        format!("data={}", words::show(Some(token)))
    }
}
