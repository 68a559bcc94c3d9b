//! The part of a JAAS file that Java's server takes its SASL users from.
//!
//! ```text
//! Server {
//!     org.apache.zookeeper.server.auth.DigestLoginModule required
//!     user_super="secret"
//!     user_bob="another";
//! };
//! ```
//!
//! The grammar is that of `javax.security.auth.login.Configuration`: sections of modules, each with
//! a class, a flag and options, words and quoted text, comments as in Java.

use std::collections::BTreeMap;

/// The module whose options `user_NAME` are users and their passwords.
const DIGEST_MODULE: &str = "DigestLoginModule";
/// What its options begin with.
const USER: &str = "user_";

/// The users of a section; `None` where there is no such section. An error is a sentence.
pub fn users(text: &str, section: &str) -> Result<Option<BTreeMap<String, String>>, String> {
    let mut tokens = Tokens { rest: text };
    let mut found = None;
    while let Some(token) = tokens.next()? {
        let Token::Word(name) = token else {
            return Err(expected("the name of a section", &token));
        };
        tokens.take('{')?;
        let users = modules(&mut tokens)?;
        tokens.take(';')?;
        if name == section {
            found = Some(users);
        }
    }
    match found {
        None => Ok(None),
        Some(Some(users)) => Ok(Some(users)),
        Some(None) => Err(format!("section {section} has no {DIGEST_MODULE}, the one known here")),
    }
}

/// The modules of a section, up to its brace; the users of the last digest module among them.
fn modules(tokens: &mut Tokens<'_>) -> Result<Option<BTreeMap<String, String>>, String> {
    let mut users = None;
    loop {
        let class = match tokens.next()? {
            Some(Token::Mark('}')) => return Ok(users),
            Some(Token::Word(class)) => class,
            Some(other) => return Err(expected("a class", &other)),
            None => return Err("it ends inside a section".to_owned()),
        };
        let is_digest = class.rsplit('.').next() == Some(DIGEST_MODULE);
        tokens.word("a flag")?;
        let mut options = BTreeMap::new();
        loop {
            match tokens.next()? {
                Some(Token::Mark(';')) => break,
                Some(Token::Word(key)) => {
                    tokens.take('=')?;
                    options.insert(key, tokens.word("a value")?);
                }
                Some(other) => return Err(expected("an option", &other)),
                None => return Err("it ends inside a module".to_owned()),
            }
        }
        if is_digest {
            let user = |(key, password): (String, String)| {
                key.strip_prefix(USER).map(|name| (name.to_owned(), password))
            };
            users = Some(options.into_iter().filter_map(user).collect());
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// Bare or quoted.
    Word(String),
    /// One of `{ } ; =`.
    Mark(char),
}

fn expected(what: &str, found: &Token) -> String {
    match found {
        // A word may be a password that lost its quote.
        Token::Word(_) => format!("{what} is missing before a word"),
        Token::Mark(mark) => format!("{what} is missing before {mark}"),
    }
}

struct Tokens<'a> {
    rest: &'a str,
}

impl Tokens<'_> {
    fn next(&mut self) -> Result<Option<Token>, String> {
        self.skip_blanks_and_comments()?;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        if matches!(first, '{' | '}' | ';' | '=') {
            self.rest = &self.rest[1..];
            return Ok(Some(Token::Mark(first)));
        }
        if first == '"' {
            return self.quoted().map(Some);
        }
        let is_end = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '=' | '"');
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Some(Token::Word(word.to_owned())))
    }

    fn quoted(&mut self) -> Result<Token, String> {
        let mut word = String::new();
        let mut characters = self.rest[1..].char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[at + 2..];
                    return Ok(Token::Word(word));
                }
                '\n' => break,
                '\\' => word.extend(characters.next().map(|(_, escaped)| escaped)),
                other => word.push(other),
            }
        }
        Err("a quote does not end on its line".to_owned())
    }

    fn skip_blanks_and_comments(&mut self) -> Result<(), String> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with("//") {
                self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                let (_, rest) = comment.split_once("*/").ok_or("a comment does not end")?;
                self.rest = rest;
            } else {
                return Ok(());
            }
        }
    }

    fn take(&mut self, mark: char) -> Result<(), String> {
        match self.next()? {
            Some(Token::Mark(found)) if found == mark => Ok(()),
            Some(other) => Err(expected(&mark.to_string(), &other)),
            None => Err(format!("it ends before {mark}")),
        }
    }

    fn word(&mut self, what: &str) -> Result<String, String> {
        match self.next()? {
            Some(Token::Word(word)) => Ok(word),
            Some(other) => Err(expected(what, &other)),
            None => Err(format!("it ends before {what}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        // Somebody else's.
        Client { a.b.Module required useKeyTab=true keyTab="/a b"; };
        /* Ours; */
        Server {
            org.apache.zookeeper.server.auth.DigestLoginModule required
            user_super="secret" debug=true
            user_bob="a \"quoted\" one";
        };"#;

    #[test]
    fn users_are_the_options_of_the_section() {
        let users = users(FILE, "Server").expect("it parses").expect("there is such a section");
        let pairs: Vec<_> =
            users.iter().map(|(name, word)| (name.as_str(), word.as_str())).collect();
        assert_eq!(pairs, [("bob", "a \"quoted\" one"), ("super", "secret")]);
    }

    #[test]
    fn a_file_without_the_section_has_no_users() {
        for text in ["", " \n", "// nothing", FILE] {
            assert_eq!(users(text, "Other"), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_and_never_panics() {
        for text in [
            "Server",
            "Server {",
            "Server }",
            "{",
            "Server { a",
            "Server { a required",
            ";",
            "Server { a required x; };",
            "Server { a required x=; };",
            "Server { a required x=\"y; };",
            "/* open",
            "Server { a required x=y; }",
            "Server { };",
            "\"",
            "Server { a required; };",
        ] {
            assert!(users(text, "Server").is_err(), "{text}");
        }
        for end in 0..FILE.len() {
            let _ = users(&FILE[..end], "Server");
        }
    }
}
