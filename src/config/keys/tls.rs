//! TLS: ops-surface section 1.6. Each name stands twice, for clients and between servers.

use super::super::key::Need::{Java, Must, Should};
use super::super::key::{Row, Set, Type, fixed, property};
use super::super::rules;
use super::NO_TLS;

const PLAIN: &str = "TLS comes in a later release: clientPort takes plain connections alone";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    fixed("secureClientPort", Must, "", Set::Rule("port", rules::secure_port),
        "Port for TLS connections. Exit 2 in this release, rather than a server that its clients cannot reach."),
    fixed("secureClientPortAddress", Must, "", Set::Check(Type::Text), "Address that it is bound to.").idle(NO_TLS),
    property("client.portUnification", Must, "false", Set::Check(Type::Bool), "Plain and TLS on clientPort.")
        .idle(NO_TLS).warns("true", PLAIN),
    property("client.certReload", Should, "false", Set::Check(Type::Bool), "Reload the key and trust stores when they change.").idle(NO_TLS),
    property("ssl.sslProvider", Java, "JDK", Set::Check(Type::Text), "Java's implementation of TLS.").idle(NO_TLS),
    property("ssl.keyStore.location", Must, "", Set::Check(Type::Text), "Key store of the client port: PEM, PKCS12 or JKS.").idle(NO_TLS),
    property("ssl.keyStore.password", Must, "", Set::Check(Type::Text), "Its password.").secret().idle(NO_TLS),
    property("ssl.keyStore.passwordPath", Must, "", Set::Check(Type::Text), "File that holds its password.").idle(NO_TLS),
    property("ssl.keyStore.type", Must, "", Set::Check(Type::Text), "Its type, where the file's name does not say it.").idle(NO_TLS),
    property("ssl.trustStore.location", Must, "", Set::Check(Type::Text), "Trust store of the client port: PEM, PKCS12 or JKS.").idle(NO_TLS),
    property("ssl.trustStore.password", Must, "", Set::Check(Type::Text), "Its password.").secret().idle(NO_TLS),
    property("ssl.trustStore.passwordPath", Must, "", Set::Check(Type::Text), "File that holds its password.").idle(NO_TLS),
    property("ssl.trustStore.type", Must, "", Set::Check(Type::Text), "Its type, where the file's name does not say it.").idle(NO_TLS),
    property("ssl.protocol", Must, "TLSv1.3", Set::Check(Type::Text), "Version of TLS on the client port.").idle(NO_TLS),
    property("ssl.enabledProtocols", Must, "", Set::Check(Type::Text), "Versions of TLS accepted there.").idle(NO_TLS),
    property("ssl.ciphersuites", Must, "", Set::Check(Type::Text), "Suites accepted there.").idle(NO_TLS),
    property("ssl.clientAuth", Must, "need", Set::Check(Type::Text), "Whether the other side needs a certificate: none, want or need.").idle(NO_TLS),
    property("ssl.hostnameVerification", Must, "true", Set::Check(Type::Bool), "Whether a server's name is checked.").idle(NO_TLS),
    property("ssl.clientHostnameVerification", Should, "false", Set::Check(Type::Bool), "Whether a client's name is checked.").idle(NO_TLS),
    property("ssl.allowReverseDnsLookup", Should, "false", Set::Check(Type::Bool), "Whether a name may come from reverse DNS.").idle(NO_TLS),
    property("ssl.crl", Should, "false", Set::Check(Type::Bool), "Whether lists of revoked certificates are read.").idle(NO_TLS),
    property("ssl.ocsp", Should, "false", Set::Check(Type::Bool), "Whether revocation is asked for.").idle(NO_TLS),
    property("ssl.context.supplier.class", Java, "", Set::Check(Type::Text), "Class that makes the context.").idle(NO_TLS),
    property("ssl.handshakeDetectionTimeoutMillis", Should, "5000", Set::Check(Type::Number), "ms in which plain and TLS are told apart.").idle(NO_TLS),
    property("ssl.quorum.keyStore.location", Must, "", Set::Check(Type::Text), "Key store of the quorum port: PEM, PKCS12 or JKS.").idle(NO_TLS),
    property("ssl.quorum.keyStore.password", Must, "", Set::Check(Type::Text), "Its password.").secret().idle(NO_TLS),
    property("ssl.quorum.keyStore.passwordPath", Must, "", Set::Check(Type::Text), "File that holds its password.").idle(NO_TLS),
    property("ssl.quorum.keyStore.type", Must, "", Set::Check(Type::Text), "Its type, where the file's name does not say it.").idle(NO_TLS),
    property("ssl.quorum.trustStore.location", Must, "", Set::Check(Type::Text), "Trust store of the quorum port: PEM, PKCS12 or JKS.").idle(NO_TLS),
    property("ssl.quorum.trustStore.password", Must, "", Set::Check(Type::Text), "Its password.").secret().idle(NO_TLS),
    property("ssl.quorum.trustStore.passwordPath", Must, "", Set::Check(Type::Text), "File that holds its password.").idle(NO_TLS),
    property("ssl.quorum.trustStore.type", Must, "", Set::Check(Type::Text), "Its type, where the file's name does not say it.").idle(NO_TLS),
    property("ssl.quorum.protocol", Must, "TLSv1.3", Set::Check(Type::Text), "Version of TLS on the quorum port.").idle(NO_TLS),
    property("ssl.quorum.enabledProtocols", Must, "", Set::Check(Type::Text), "Versions of TLS accepted there.").idle(NO_TLS),
    property("ssl.quorum.ciphersuites", Must, "", Set::Check(Type::Text), "Suites accepted there.").idle(NO_TLS),
    property("ssl.quorum.clientAuth", Must, "need", Set::Check(Type::Text), "Whether the other side needs a certificate: none, want or need.").idle(NO_TLS),
    property("ssl.quorum.hostnameVerification", Must, "true", Set::Check(Type::Bool), "Whether a server's name is checked.").idle(NO_TLS),
    property("ssl.quorum.clientHostnameVerification", Should, "true", Set::Check(Type::Bool), "Whether a client's name is checked.").idle(NO_TLS),
    property("ssl.quorum.allowReverseDnsLookup", Should, "false", Set::Check(Type::Bool), "Whether a name may come from reverse DNS.").idle(NO_TLS),
    property("ssl.quorum.crl", Should, "false", Set::Check(Type::Bool), "Whether lists of revoked certificates are read.").idle(NO_TLS),
    property("ssl.quorum.ocsp", Should, "false", Set::Check(Type::Bool), "Whether revocation is asked for.").idle(NO_TLS),
    property("ssl.quorum.context.supplier.class", Java, "", Set::Check(Type::Text), "Class that makes the context.").idle(NO_TLS),
    property("ssl.quorum.handshakeDetectionTimeoutMillis", Should, "5000", Set::Check(Type::Number), "ms in which plain and TLS are told apart.").idle(NO_TLS),
];
