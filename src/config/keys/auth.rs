//! Who may do what: ops-surface section 1.5.

use super::super::key::Need::{Java, Must, Should};
use super::super::key::{Row, Set, Type, bare, property};
use super::super::rules;
use super::{NO_HTTP, NO_SASL, NO_TLS};

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    property("skipACL", Must, "no", Set::Word("yes", |c| &mut c.auth.skip_acl),
        "yes: no ACL is checked, every client may do everything.")
        .warns("yes", "ACLs are not checked: every client may read and change every znode"),
    property("DigestAuthenticationProvider.superDigest", Must, "", Set::Rule("USER:HASH", rules::super_digest),
        "USER:base64(hash(USER:PASSWORD)) of the identity that passes every ACL. Unset, there is none.").secret(),
    property("DigestAuthenticationProvider.digestAlg", Should, "SHA1", Set::Rule("SHA1, SHA-256 or SHA-512", rules::digest_algorithm),
        "Hash of the digest scheme, equal on all servers. An unknown one: exit 2, as nobody would pass the ACLs.").stops(),
    property("DigestAuthenticationProvider.enabled", Must, "true", Set::Bool(|c| &mut c.auth.digest_auth_enabled),
        "Whether the scheme digest is offered."),
    property("enforce.auth.enabled", Must, "false", Set::Bool(|c| &mut c.auth.enforce_auth_enabled),
        "Whether a request of a client that authenticated with none of enforce.auth.schemes is answered \
         -124 and its session closed. true without schemes: exit 2."),
    property("enforce.auth.schemes", Must, "", Set::List(|c| &mut c.auth.enforce_auth_schemes),
        "Those schemes, with commas. One that this server does not offer: exit 2."),
    property("sessionRequireClientSASLAuth", Should, "false", Set::Bool(|c| &mut c.auth.session_require_sasl),
        "The same with the one scheme sasl."),
    property("authProvider.*", Must, "", Set::Rule("a known class", rules::auth_provider),
        "Further schemes, by the class of Java's that does them: SASL, X509, IP, Digest or Ensemble, each \
         followed by AuthenticationProvider."),
    property("ensembleAuthName", Should, "", Set::List(|c| &mut c.auth.ensemble_names),
        "Names accepted by scheme ensemble, with commas; any is, unless set."),
    property("X509AuthenticationProvider.superUser", Must, "", Set::Text(|c| &mut c.auth.x509_super_user),
        "X.500 principal that passes every ACL.").idle(NO_TLS),
    property("ssl.authProvider", Should, "x509", Set::Check(Type::Text), "Scheme that TLS clients authenticate with.").idle(NO_TLS),
    property("superUser", Must, "", Set::Rule("text", rules::sasl_super_user), "SASL identity that passes every ACL."),
    property("superUser.*", Must, "", Set::Rule("text", rules::sasl_super_user), "Further ones."),
    property("SASLAuthenticationProvider.superPassword", Should, "", Set::Rule("a password", rules::sasl_super_password),
        "DIGEST-MD5 password of the user super.").secret(),
    property("IPAuthenticationProvider.usexforwardedfor", Should, "false", Set::Check(Type::Bool),
        "Trust X-Forwarded-For on the HTTP server.").idle(NO_HTTP),
    property("allowSaslFailedClients", Should, "false", Set::Bool(|c| &mut c.auth.allow_sasl_failed_clients),
        "Keep clients whose SASL failed."),
    property("letAnySaslUserDoX", Java, "", Set::Text(|c| &mut c.auth.sasl_any), "ACL id that every SASL user has."),
    property("sasl.serverconfig", Should, "", Set::Text(|c| &mut c.auth.jaas_section), "Section of the JAAS file; unset, Server."),
    bare("java.security.auth.login.config", Should, "", Set::Path(|c| &mut c.auth.jaas_file),
        "JAAS file; its section has a DigestLoginModule with the users of SASL DIGEST-MD5."),
    property("kerberos.removeHostFromPrincipal", Should, "false", Set::Check(Type::Bool), "Cut the host off a principal.").idle(NO_SASL),
    property("kerberos.removeRealmFromPrincipal", Should, "false", Set::Check(Type::Bool), "Cut the realm off a principal.").idle(NO_SASL),
    property("kerberos.canonicalizeHostNames", Should, "false", Set::Check(Type::Bool), "Canonical names of peers.").idle(NO_SASL),
    property("kerberos.minReLoginTimeMs", Java, "60000", Set::Check(Type::Number), "ms between two logins.").idle(NO_SASL),
    property("requireKerberosConfig", Java, "", Set::Check(Type::Text), "Refuse to start without krb5.conf.").idle(NO_SASL),
    property("security.auth_to_local", Java, "DEFAULT", Set::Check(Type::Text), "Rules from principals to names.").idle(NO_SASL),
    property("server.realm", Java, "", Set::Check(Type::Text), "Realm of the server's principal.").idle(NO_SASL),
    property("kinit", Java, "/usr/bin/kinit", Set::Check(Type::Text), "Path of kinit.").idle(NO_SASL),
];
