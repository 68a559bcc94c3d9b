//! Four-letter words against what an Apache 3.9.5 server answered: two sessions, three
//! ephemerals, three data watches. Where Java's order is a hash table's, ours is sorted; the
//! version, which names the program, is put in its place.

use jiff::tz::TimeZone;
use ringkeeper::admin::stats::{
    ConnectionRow, ConnectionSession, CoreStats, Gauges, MinMaxAvg, Mode, NamespaceRow, Part,
    SessionRow, Settings, Snapshot, WatchSummary, last_op_name,
};
use ringkeeper::admin::{Answer, Effect, WhiteList, Word, answer, version, word};

fn all() -> WhiteList {
    WhiteList::new(&["*".to_owned()], false)
}

fn latency(values: &[u64]) -> MinMaxAvg {
    let mut latency = MinMaxAvg::default();
    for value in values {
        latency.put(*value);
    }
    latency
}

fn connection(address: &str, interest_ops: u8, received: u64, sent: u64) -> ConnectionRow {
    ConnectionRow {
        address: address.parse().expect("an address"),
        interest_ops,
        queued: 0,
        received,
        sent,
        expires_at_ms: 1_795_325_908_000,
        session: None,
    }
}

/// The server whose answers stand below.
fn served() -> Snapshot {
    let mut first = connection("127.0.0.1:34556", 1, 7, 7);
    first.session = Some(ConnectionSession {
        id: 0x100_000e_e89d_0000,
        last_op: last_op_name(12),
        established_ms: 1_795_325_897_438,
        timeout_ms: 10_000,
        last_cxid: Some(6),
        last_zxid: 7,
        last_response_ms: 1_018_526,
        last_latency_ms: 2,
        latency: latency(&[0, 13, 1, 2, 2, 2, 4]),
    });
    let mut stats = CoreStats::new();
    stats.packets_received = 22;
    stats.packets_sent = 23;
    for ms in [1, 13, 1, 1, 2, 2, 2, 3, 2, 2, 2] {
        stats.latency.put(ms);
    }
    Snapshot {
        mode: Mode::Standalone,
        stats,
        gauges: Gauges { connections: 3, znode_count: 10, ..Gauges::default() },
        settings: Settings {
            client_port: 21899,
            secure_client_port: -1,
            data_dir: "/data/version-2".to_owned(),
            data_dir_bytes: 478,
            data_log_dir: "/log/version-2".to_owned(),
            data_log_dir_bytes: 67_109_358,
            tick_time_ms: 3000,
            max_client_cnxns: 60,
            min_session_timeout_ms: 6000,
            max_session_timeout_ms: 60_000,
            listen_backlog: -1,
            server_id: 0,
        },
        zxid: 7,
        connections: vec![first, connection("127.0.0.1:34578", 0, 1, 0)],
        sessions: vec![
            SessionRow { id: 0x100_000e_e89d_0000, expires_at_ms: 1_795_325_907_000 },
            SessionRow { id: 0x100_000e_e89d_0001, expires_at_ms: 1_795_325_907_000 },
        ],
        ephemerals: vec![
            (0x100_000e_e89d_0001, "/e3".to_owned()),
            (0x100_000e_e89d_0001, "/e2".to_owned()),
            (0x100_000e_e89d_0000, "/e1".to_owned()),
        ],
        watches: vec![
            (0x100_000e_e89d_0000, "/p".to_owned()),
            (0x100_000e_e89d_0000, "/nope".to_owned()),
            (0x100_000e_e89d_0001, "/p".to_owned()),
        ],
        watch_summary: WatchSummary { connections: 2, paths: 2, total: 3 },
        digests: vec![(128, 4_837_562_093), (256, u64::MAX)],
        environment: vec![("zookeeper.version", "x".to_owned()), ("host.name", "y".to_owned())],
        zone: TimeZone::UTC,
        ..Snapshot::default()
    }
}

fn text(word: Word, snapshot: &Snapshot) -> String {
    answer(word, &[], snapshot, all()).text.replace(version::FULL, "VERSION")
}

#[test]
fn every_word_answers_as_apache_does() {
    let rows = [
        (Word::Ruok, "imok"),
        (Word::Isro, "rw"),
        (Word::Gtmk, "306"),
        (Word::Srst, "Server stats reset.\n"),
        (Word::Crst, "Connection stats reset.\n"),
        (Word::Dirs, "datadir_size: 478\nlogdir_size: 67109358\n"),
        (Word::Wchs, "2 connections watching 2 paths\nTotal watches:3\n"),
        (Word::TelnetClose, ""),
        (Word::Envi, "Environment:\nzookeeper.version=x\nhost.name=y\n"),
        (Word::Hash, "80: 4837562093\n100: -1\n"),
        (
            Word::Conf,
            "clientPort=21899\nsecureClientPort=-1\ndataDir=/data/version-2\ndataDirSize=478\n\
             dataLogDir=/log/version-2\ndataLogSize=67109358\ntickTime=3000\nmaxClientCnxns=60\n\
             minSessionTimeout=6000\nmaxSessionTimeout=60000\nclientPortListenBacklog=-1\n\
             serverId=0\n",
        ),
        (
            Word::Srvr,
            "Zookeeper version: VERSION\nLatency min/avg/max: 1/2.8182/13\nReceived: 22\n\
             Sent: 23\nConnections: 3\nOutstanding: 0\nZxid: 0x7\nMode: standalone\n\
             Node count: 10\n",
        ),
        (
            Word::Stat,
            "Zookeeper version: VERSION\nClients:\n \
             /127.0.0.1:34556[1](queued=0,recved=7,sent=7)\n \
             /127.0.0.1:34578[0](queued=0,recved=1,sent=0)\n\n\
             Latency min/avg/max: 1/2.8182/13\nReceived: 22\n\
             Sent: 23\nConnections: 3\nOutstanding: 0\nZxid: 0x7\nMode: standalone\n\
             Node count: 10\n",
        ),
        (
            Word::Cons,
            " /127.0.0.1:34556[1](queued=0,recved=7,sent=7,sid=0x100000ee89d0000,lop=GETC,\
             est=1795325897438,to=10000,lcxid=0x6,lzxid=0x7,lresp=1018526,llat=2,minlat=0,\
             avglat=3,maxlat=13)\n /127.0.0.1:34578[0](queued=0,recved=1,sent=0)\n\n",
        ),
        (Word::Wchc, "0x100000ee89d0000\n\t/nope\n\t/p\n0x100000ee89d0001\n\t/p\n\n"),
        (
            Word::Wchp,
            "/nope\n\t0x100000ee89d0000\n/p\n\t0x100000ee89d0000\n\t0x100000ee89d0001\n\n",
        ),
        (
            Word::Dump,
            "SessionTracker dump:\nSession Sets (1)/(2):\n\
             2 expire at Sun Nov 22 05:38:27 UTC 2026:\n\
             \t0x100000ee89d0000\n\t0x100000ee89d0001\n\
             ephemeral nodes dump:\nSessions with Ephemerals (2):\n\
             0x100000ee89d0000:\n\t/e1\n0x100000ee89d0001:\n\t/e2\n\t/e3\n\
             Connections dump:\nConnections Sets (1)/(2):\n\
             2 expire at Sun Nov 22 05:38:28 UTC 2026:\n\
             \tip: /127.0.0.1:34556 sessionId: 0x100000ee89d0000\n\
             \tip: /127.0.0.1:34578 sessionId: 0x0\n",
        ),
    ];
    let snapshot = served();
    for (word, wanted) in rows {
        assert_eq!(text(word, &snapshot), wanted, "{}", word.name());
    }
    let told: Vec<_> = rows.iter().map(|(word, _)| *word).chain([Word::Mntr, Word::Stmk]).collect();
    assert!(Word::ALL.iter().all(|word| told.contains(word)), "every word is here");
}

/// A server that nobody asked anything yet.
#[test]
fn an_empty_server_has_empty_lists() {
    let snapshot = Snapshot { mode: Mode::Standalone, ..Snapshot::default() };
    for (word, wanted) in [
        (Word::Wchc, "\n"),
        (Word::Wchp, "\n"),
        (Word::Wchs, "0 connections watching 0 paths\nTotal watches:0\n"),
        (Word::Hash, ""),
        (Word::Cons, "\n"),
        (
            Word::Dump,
            "SessionTracker dump:\nSession Sets (0)/(0):\nephemeral nodes dump:\n\
             Sessions with Ephemerals (0):\nConnections dump:\nConnections Sets (0)/(0):\n",
        ),
    ] {
        assert_eq!(text(word, &snapshot), wanted, "{}", word.name());
    }
    assert!(text(Word::Srvr, &snapshot).contains("Latency min/avg/max: 0/0.0/0\n"));
}

/// After `crst`, and before a first reply: no cxid, zxid -1.
#[test]
fn a_connection_without_history_shows_javas_blanks() {
    let mut snapshot = served();
    let session = snapshot.connections[0].session.as_mut().expect("it has one");
    *session = ConnectionSession {
        id: session.id,
        last_op: last_op_name(0),
        established_ms: session.established_ms,
        timeout_ms: session.timeout_ms,
        last_cxid: None,
        last_zxid: -1,
        last_response_ms: 0,
        last_latency_ms: 0,
        latency: MinMaxAvg::default(),
    };
    assert!(text(Word::Cons, &snapshot).contains(
        ",sid=0x100000ee89d0000,lop=NA,est=1795325897438,to=10000,lzxid=0xffffffffffffffff,\
         lresp=0,llat=0,minlat=0,avglat=0,maxlat=0)"
    ));
}

#[test]
fn addresses_are_javas() {
    for (address, wanted) in [
        ("[::1]:9", "/[0:0:0:0:0:0:0:1]:9["),
        ("[fe80::1:a]:9", "/[fe80:0:0:0:0:0:1:a]:9["),
        ("[::ffff:10.0.0.7]:9", "/10.0.0.7:9["),
    ] {
        let connections = vec![connection(address, 5, 0, 0)];
        let snapshot = Snapshot { mode: Mode::Standalone, connections, ..Snapshot::default() };
        assert!(
            text(Word::Stat, &snapshot).contains(&format!(" {wanted}5](queued=0")),
            "{address}"
        );
    }
}

#[test]
fn the_trace_mask_is_eight_bytes_behind_the_word() {
    assert_eq!(Word::Stmk.extra_bytes(), 8);
    let mask = answer(Word::Stmk, &511i64.to_be_bytes(), &served(), all());
    assert_eq!(mask, Answer { text: "511".to_owned(), effect: Effect::SetTraceMask(511) });
    // Java's buffer runs dry and it closes.
    assert_eq!(answer(Word::Stmk, b"ab", &served(), all()), Answer::default());
}

#[test]
fn resets_are_effects_and_only_of_words_that_are_allowed() {
    for (word, effect) in [(Word::Srst, Effect::ResetStats), (Word::Crst, Effect::ResetConnections)]
    {
        assert_eq!(answer(word, &[], &served(), all()).effect, effect);
        assert_eq!(answer(word, &[], &served(), WhiteList::new(&[], false)).effect, Effect::None);
        assert_eq!(answer(word, &[], &Snapshot::default(), all()).effect, Effect::None);
    }
}

#[test]
fn the_white_list_decides_first() {
    let none = WhiteList::new(&["ruok ".to_owned(), "nope".to_owned()], false);
    for word in Word::ALL {
        let text = answer(*word, &[], &served(), none).text;
        let refused =
            format!("{} is not executed because it is not in the whitelist.\n", word.name());
        assert_eq!(text == refused, *word != Word::Srvr, "{}", word.name());
    }
    assert!(WhiteList::new(&[], true).allows(Word::Isro));
    assert!(!WhiteList::new(&[], false).allows(Word::Isro));
    let two = WhiteList::new(&["ruok".to_owned(), "mntr".to_owned()], false);
    assert!(two.allows(Word::Ruok) && two.allows(Word::Mntr) && !two.allows(Word::Stat));
}

#[test]
fn a_server_that_does_not_serve_says_so() {
    let snapshot = Snapshot::default();
    let not = "This ZooKeeper instance is not currently serving requests";
    for word in Word::ALL {
        let wanted = match word {
            Word::Ruok => "imok".to_owned(),
            Word::Gtmk => "306".to_owned(),
            Word::Stmk | Word::TelnetClose => String::new(),
            Word::Envi => "Environment:\n".to_owned(),
            Word::Isro => "null".to_owned(),
            Word::Hash => not.to_owned(),
            _ => format!("{not}\n"),
        };
        assert_eq!(text(*word, &snapshot), wanted, "{}", word.name());
    }
}

#[test]
fn a_read_only_server_says_so() {
    let snapshot = Snapshot { mode: Mode::ReadOnly, ..served() };
    assert_eq!(text(Word::Isro, &snapshot), "ro");
    let srvr = text(Word::Srvr, &snapshot);
    let wanted = "Zookeeper version: VERSION\nREAD-ONLY mode; serving only read-only clients\nLat";
    assert!(srvr.starts_with(wanted), "{srvr}");
}

#[test]
fn words_are_the_first_four_bytes() {
    for known in Word::ALL {
        assert_eq!(word(known.bytes()), Some(*known));
    }
    for other in [*b"\0\0\0\x2c", *b"RUOK", *b"GET ", [0xff; 4]] {
        assert_eq!(word(other), None);
    }
    assert_eq!(Word::ALL.len(), 19);
    assert!(Word::Stat.parts().contains(&Part::Connections));
}

/// Keys, their order, and that every value but the version and the state is a number.
#[test]
fn mntr_has_the_keys_of_apache() {
    let keys: Vec<_> = include_str!("mntr_keys_3.9.5.txt").lines().collect();
    let mut snapshot = served();
    let mntr = text(Word::Mntr, &snapshot);
    let lines: Vec<_> = mntr.lines().map(|line| line.split_once('\t').expect("a tab")).collect();
    let ours: Vec<_> = lines.iter().map(|(key, _)| *key).collect();
    assert_eq!(ours, keys);
    assert_eq!(lines[..2], [("zk_version", "VERSION"), ("zk_server_state", "standalone")]);
    for (key, value) in &lines[2..] {
        assert!(value.parse::<f64>().is_ok(), "{key}={value}");
    }
    for line in
        ["zk_avg_latency\t2.8182\n", "zk_znode_count\t10\n", "zk_last_client_response_size\t-1\n"]
    {
        assert!(mntr.contains(line), "{line}");
    }
    let (reads, writes) = (latency(&[71, 71, 71]), latency(&[3, 5]));
    snapshot.namespaces = vec![NamespaceRow { name: "p".to_owned(), reads, writes }];
    let mntr = text(Word::Mntr, &snapshot);
    assert!(mntr.ends_with(
        "zk_avg_p_read_per_namespace\t71.0\nzk_min_p_read_per_namespace\t71\n\
         zk_max_p_read_per_namespace\t71\nzk_cnt_p_read_per_namespace\t3\n\
         zk_sum_p_read_per_namespace\t213\nzk_avg_p_write_per_namespace\t4.0\n\
         zk_min_p_write_per_namespace\t3\nzk_max_p_write_per_namespace\t5\n\
         zk_cnt_p_write_per_namespace\t2\nzk_sum_p_write_per_namespace\t8\n"
    ));
}

/// `3.9.5-<40 hex>, built on <yyyy-MM-dd HH:mm> UTC`: what kazoo, Metricbeat and others expect.
#[test]
fn the_version_has_apaches_shape() {
    let (release, rest) = version::FULL.split_once('-').expect("a dash");
    let (revision, date) = rest.split_once(", built on ").expect("a date");
    assert_eq!(release, version::COMPATIBLE);
    assert!(revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit()), "{revision}");
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00 00:00 UTC");
}

/// A million watches do not become a gigabyte.
#[test]
fn an_answer_is_bounded() {
    let path = "/x".repeat(2000);
    let watches = (0..20_000).map(|id| (id, path.clone())).collect();
    let snapshot = Snapshot { mode: Mode::Standalone, watches, ..Snapshot::default() };
    let text = text(Word::Wchc, &snapshot);
    assert!(text.len() < ringkeeper::admin::four_letter::ANSWER_BYTES_MAX + 8192);
    assert!(text.len() > 60 << 20);
    assert!(text.ends_with("\n\n"));
}
