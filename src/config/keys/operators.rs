//! Words, HTTP, metrics, audit and the rest: ops-surface sections 1.1, 1.7 and 1.8.

use super::super::key::Need::{Java, Must, Should, Test};
use super::super::key::{Row, Set, Type, bare, fixed, property};
use super::super::rules;
use super::{NO_HTTP, NO_JVM, NO_TLS, TEST_HOOK};

const NO_AUDIT: &str = "the audit log comes in a later release";
const STDOUT: &str =
    "lines go to standard output, as with Java's default; the supervisor keeps them";
const CLIENTS: &str = "it is a client's setting";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    property("4lw.commands.whitelist", Must, "", Set::List(|c| &mut c.admin.four_letter_whitelist),
        "Four-letter words that are answered, with commas; * is all of them. srvr always is. A word that is \
         not listed is told so."),
    property("console.threshold", Should, "", Set::Rule("OFF, ERROR, WARN, INFO, DEBUG or TRACE", rules::log_threshold),
        "Lines below this level are not written, whatever the levels of modules say."),
    fixed("metricsProvider.className", Must, "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
        Set::Rule("Java's Default, Null or Prometheus provider", rules::metrics_provider),
        "Where Java's metrics go; an unknown class is exit 2.").idle("mntr has the metrics; over HTTP they come in a later release"),
    fixed("metricsProvider.*", Must, "", Set::Check(Type::Text), "Settings of it: httpHost, httpPort and others.").idle(NO_HTTP),
    property("admin.enableServer", Must, "true", Set::Check(Type::Bool), "Whether the HTTP server with commands runs.").idle(NO_HTTP),
    property("admin.serverAddress", Must, "0.0.0.0", Set::Check(Type::Text), "Its address.").idle(NO_HTTP),
    property("admin.serverPort", Must, "8080", Set::Check(Type::Number), "Its port.").idle(NO_HTTP),
    property("admin.commandURL", Must, "/commands", Set::Check(Type::Text), "Its path.").idle(NO_HTTP),
    property("admin.idleTimeout", Should, "30000", Set::Check(Type::Number), "ms until an idle connection is closed.").idle(NO_HTTP),
    property("admin.httpVersion", Java, "11", Set::Check(Type::Number), "Version of HTTP.").idle(NO_HTTP),
    property("admin.portUnification", Must, "false", Set::Check(Type::Bool), "Plain and TLS on its port.").idle(NO_HTTP),
    property("admin.forceHttps", Must, "false", Set::Check(Type::Bool), "TLS alone on its port.").idle(NO_HTTP),
    property("admin.needClientAuth", Must, "false", Set::Check(Type::Bool), "Clients need a certificate.").idle(NO_HTTP),
    property("admin.rateLimiterIntervalInMS", Must, "300000", Set::Check(Type::Number), "ms between two snapshots or restores.").idle(NO_HTTP),
    property("admin.snapshot.enabled", Must, "true", Set::Check(Type::Bool), "Whether snapshot is a command.").idle(NO_HTTP),
    property("admin.restore.enabled", Must, "true", Set::Check(Type::Bool), "Whether restore is a command.").idle(NO_HTTP),
    property("audit.enable", Must, "false", Set::Check(Type::Bool), "Whether every change is a line of the audit log.").idle(NO_AUDIT),
    property("audit.impl.class", Java, "", Set::Check(Type::Text), "Class that writes it.").idle(NO_AUDIT),
    fixed("jvm.pause.monitor", Java, "false", Set::Check(Type::Bool), "Look for pauses of the virtual machine.").idle(NO_JVM),
    fixed("jvm.pause.sleep.time.ms", Java, "500", Set::Check(Type::Number), "ms between two looks.").idle(NO_JVM),
    fixed("jvm.pause.info-threshold.ms", Java, "1000", Set::Check(Type::Number), "ms of a pause that is one INFO line.").idle(NO_JVM),
    fixed("jvm.pause.warn-threshold.ms", Java, "10000", Set::Check(Type::Number), "ms of a pause that is one WARN line.").idle(NO_JVM),
    property("jmx.log4j.disable", Java, "false", Set::Check(Type::Text), "JMX.").idle(NO_JVM),
    property("jmx.log4j.mbean", Java, "log4j:hierarchy=default", Set::Check(Type::Text), "JMX.").idle(NO_JVM),
    bare("com.sun.management.*", Java, "", Set::Check(Type::Text), "JMX.").idle(NO_JVM),
    bare("java.*", Java, "", Set::Check(Type::Text), "Java's own properties.").idle(NO_JVM),
    bare("javax.*", Java, "", Set::Check(Type::Text), "Java's own properties.").idle(NO_JVM),
    bare("sun.*", Java, "", Set::Check(Type::Text), "Java's own properties.").idle(NO_JVM),
    bare("jdk.*", Java, "", Set::Check(Type::Text), "Java's own properties.").idle(NO_JVM),
    bare("io.netty.*", Java, "", Set::Check(Type::Text), "Netty's properties.").idle(NO_JVM),
    bare("logback.*", Java, "", Set::Check(Type::Text), "Java's log library; see log.config.").idle(NO_JVM),
    bare("log4j.*", Java, "", Set::Check(Type::Text), "Java's log library; see log.config.").idle(NO_JVM),
    property("root.logger", Java, "", Set::Check(Type::Text), "Java's log library; see log.level.").idle(NO_JVM),
    property("log.dir", Should, ".", Set::Check(Type::Text), "Directory of Java's log file.").idle(STDOUT),
    property("log.file", Should, "zookeeper.log", Set::Check(Type::Text), "Java's log file.").idle(STDOUT),
    property("log.threshold", Should, "INFO", Set::Check(Type::Text), "Level of Java's log file.").idle(STDOUT),
    property("log.maxfilesize", Should, "256MB", Set::Check(Type::Text), "Size of Java's log file.").idle(STDOUT),
    property("log.maxbackupindex", Should, "20", Set::Check(Type::Number), "Number of Java's old log files.").idle(STDOUT),
    property("controllerPort", Test, "", Set::Check(Type::Number), "Port of Java's fault injection.").idle(TEST_HOOK),
    property("client.dnsSrvRefreshIntervalSeconds", Should, "", Set::Check(Type::Number), "s between two looks at DNS.").idle(CLIENTS),
    property("clientCnxnSocket", Should, "", Set::Check(Type::Text), "A client's network layer.").idle(CLIENTS),
    property("client.secure", Should, "false", Set::Check(Type::Bool), "Whether a client speaks TLS.").idle(CLIENTS),
    property("request.timeout", Should, "0", Set::Check(Type::Number), "ms until a client gives a request up.").idle(CLIENTS),
    property("sasl.client.*", Should, "", Set::Check(Type::Text), "A client's SASL.").also(&["sasl.client", "sasl.clientconfig"]).idle(CLIENTS),
    property("server.principal", Should, "", Set::Check(Type::Text), "Principal that a client expects.").idle(CLIENTS),
    property("disableAutoWatchReset", Should, "false", Set::Check(Type::Bool), "Whether a client keeps its watches.").idle(CLIENTS),
    property("fips-mode", Java, "true", Set::Check(Type::Bool), "Whether Java refuses what FIPS forbids.").idle(NO_TLS),
];
