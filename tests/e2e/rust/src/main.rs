//! Drives a server with the `zookeeper-client` crate: `client HOST:PORT`.
//!
//! Prints "ok NAME" or "FAIL NAME why" for each check and exits with 1 if any failed. The line
//! "restart" asks the harness to kill the server with SIGKILL and to start it again; it answers
//! "restarted" on standard input.

use std::fmt::Debug;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;
use zookeeper_client::{
    Acls, AddWatchMode, AuthUser, Client, CreateMode, CreateOptions, EnsembleUpdate, Error,
    EventType, LockPrefix, MultiReadResult, MultiWriteError, MultiWriteResult, OneshotWatcher,
    PersistentWatcher, SessionState, WatchedEvent,
};

const WAIT: Duration = Duration::from_secs(60);
const OPEN: &CreateOptions<'static> = &CreateMode::Persistent.with_acls(Acls::anyone_all());
const EPHEMERAL: &CreateOptions<'static> = &CreateMode::Ephemeral.with_acls(Acls::anyone_all());

/// Why a check failed.
type Check = Result<(), String>;

trait OrFail<T> {
    /// Any error of the library ends the check, with the line that asked.
    #[track_caller]
    fn or_fail(self) -> Result<T, String>;
}

impl<T, E: Debug> OrFail<T> for Result<T, E> {
    #[track_caller]
    fn or_fail(self) -> Result<T, String> {
        let line = std::panic::Location::caller().line();
        self.map_err(|why| format!("line {line}: {why:?}"))
    }
}

#[track_caller]
fn equal<T: PartialEq + Debug>(expected: T, actual: T) -> Check {
    let line = std::panic::Location::caller().line();
    if expected == actual {
        Ok(())
    } else {
        Err(format!("line {line}: expected {expected:?}, got {actual:?}"))
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> Result<T, String> {
    timeout(WAIT, future).await.map_err(|_| format!("{what}: not within {WAIT:?}"))
}

async fn connect(server: &str) -> Result<Client, String> {
    let mut connector = Client::connector();
    connector.session_timeout(Duration::from_secs(20));
    within("connect", connector.connect(server)).await?.or_fail()
}

async fn once(
    watcher: OneshotWatcher,
    kind: EventType,
    path: &str,
) -> Result<WatchedEvent, String> {
    let event = within(path, watcher.changed()).await?;
    equal((kind, path), (event.event_type, event.path.as_str()))?;
    Ok(event)
}

async fn next(
    watcher: &mut PersistentWatcher,
    kind: EventType,
    path: &str,
) -> Result<WatchedEvent, String> {
    let event = within(path, watcher.changed()).await?;
    equal((kind, path), (event.event_type, event.path.as_str()))?;
    Ok(event)
}

async fn basic(server: &str) -> Check {
    let client = connect(server).await?;
    let (stat, _) = client.create("/basic", b"one", OPEN).await.or_fail()?;
    equal((b"one".to_vec(), stat), client.get_data("/basic").await.or_fail()?)?;
    let changed = client.set_data("/basic", b"two", Some(0)).await.or_fail()?;
    equal((1, stat.czxid, true), (changed.version, changed.czxid, changed.mzxid > stat.mzxid))?;
    equal(Err(Error::BadVersion), client.set_data("/basic", b"x", Some(0)).await)?;
    equal(Some(Error::NodeExists), client.create("/basic", b"", OPEN).await.err())?;
    equal(Some(Error::NoNode), client.get_data("/none").await.err())?;
    client.mkdir("/basic/a/b", OPEN).await.or_fail()?;
    equal(Err(Error::NotEmpty), client.delete("/basic", None).await)?;
    equal(vec!["a".to_string()], client.list_children("/basic").await.or_fail()?)?;
    let (children, stat) = client.get_children("/basic").await.or_fail()?;
    equal((1, 1), (children.len(), stat.num_children))?;
    equal(2, client.count_descendants_number("/basic").await.or_fail()?)?;
    client.sync("/basic").await.or_fail()?;
    for path in ["/basic/a/b", "/basic/a", "/basic"] {
        client.delete(path, None).await.or_fail()?;
    }
    equal(None, client.check_stat("/basic").await.or_fail()?)
}

async fn modes(server: &str) -> Check {
    let client = connect(server).await?;
    let other = connect(server).await?;
    client.create("/modes", b"", OPEN).await.or_fail()?;
    let sequential = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    let (stat, sequence) = client.create("/modes/e-", b"", &sequential).await.or_fail()?;
    equal((0, client.session_id().0), (sequence.into_i64(), stat.ephemeral_owner))?;
    equal(
        vec!["/modes/e-0000000000".to_string()],
        client.list_ephemerals("/modes").await.or_fail()?,
    )?;
    let refused = client.create("/modes/e-0000000000/c", b"", OPEN).await.err();
    equal(Some(Error::NoChildrenForEphemerals), refused)?;

    let container = CreateMode::Container.with_acls(Acls::anyone_all());
    let (stat, _) = client.create("/modes/box", b"", &container).await.or_fail()?;
    equal(0, stat.ephemeral_owner)?;
    client.create("/modes/box/c", b"", OPEN).await.or_fail()?;
    let (_, gone) = other.check_and_watch_stat("/modes/box").await.or_fail()?;
    client.delete("/modes/box/c", None).await.or_fail()?;
    once(gone, EventType::NodeDeleted, "/modes/box").await?;

    let ttl = OPEN.clone().with_ttl(Duration::from_millis(300));
    client.create("/modes/ttl", b"", &ttl).await.or_fail()?;
    let (_, gone) = other.check_and_watch_stat("/modes/ttl").await.or_fail()?;
    once(gone, EventType::NodeDeleted, "/modes/ttl").await?;

    let (_, gone) = other.check_and_watch_stat("/modes/e-0000000000").await.or_fail()?;
    drop(client);
    once(gone, EventType::NodeDeleted, "/modes/e-0000000000").await?;
    Ok(())
}

async fn pipelined(server: &str) -> Check {
    let client = connect(server).await?;
    client.create("/pipe", b"", OPEN).await.or_fail()?;
    // The library sends at the call, so these are all under way before the first is awaited.
    let calls: Vec<_> = (0..300).map(|_| client.set_data("/pipe", b"x", None)).collect();
    for (call, version) in calls.into_iter().zip(1..) {
        equal(version, within("set_data", call).await?.or_fail()?.version)?;
    }
    Ok(())
}

async fn multi(server: &str) -> Check {
    let client = connect(server).await?;
    let mut writer = client.new_multi_writer();
    writer.add_create("/multi", b"0", OPEN).or_fail()?;
    writer.add_set_data("/multi", b"1", Some(0)).or_fail()?;
    writer.add_check_version("/multi", 1).or_fail()?;
    writer.add_create("/multi/gone", b"", OPEN).or_fail()?;
    writer.add_delete("/multi/gone", None).or_fail()?;
    let results = writer.commit().await.or_fail()?;
    equal(5, results.len())?;
    let MultiWriteResult::SetData { stat } = &results[1] else {
        return Err(format!("{results:?}"));
    };
    equal(1, stat.version)?;

    let mut writer = client.new_multi_writer();
    writer.add_set_data("/multi", b"lost", None).or_fail()?;
    writer.add_delete("/multi/none", None).or_fail()?;
    let failed = writer.commit().await.err();
    equal(Some(MultiWriteError::OperationFailed { index: 1, source: Error::NoNode }), failed)?;

    let mut reader = client.new_multi_reader();
    reader.add_get_data("/multi").or_fail()?;
    reader.add_get_data("/multi/none").or_fail()?;
    reader.add_get_children("/multi").or_fail()?;
    let results = reader.commit().await.or_fail()?;
    match &results[..] {
        [
            MultiReadResult::Data { data, .. },
            MultiReadResult::Error { err: Error::NoNode },
            MultiReadResult::Children { children },
        ] => equal((&b"1"[..], 0), (&data[..], children.len())),
        other => Err(format!("{other:?}")),
    }
}

async fn auth(server: &str) -> Check {
    let owner = connect(server).await?;
    let stranger = connect(server).await?;
    owner.auth("digest".to_string(), b"ron:pw".to_vec()).await.or_fail()?;
    let mine = CreateMode::Persistent.with_acls(Acls::creator_all());
    owner.create("/auth", b"m", &mine).await.or_fail()?;
    equal(Some(Error::NoAuth), stranger.get_data("/auth").await.err())?;
    equal(Some(Error::InvalidAcl), stranger.create("/auth2", b"", &mine).await.err())?;
    let (acls, stat) = owner.get_acl("/auth").await.or_fail()?;
    equal((1, "digest", 0), (acls.len(), acls[0].scheme(), stat.aversion))?;
    let users = owner.list_auth_users().await.or_fail()?;
    equal(true, users.contains(&AuthUser::new("digest", "ron")))?;
    equal(true, users.contains(&AuthUser::new("ip", "127.0.0.1")))?;
    stranger.auth("digest".to_string(), b"ron:pw".to_vec()).await.or_fail()?;
    equal(b"m".to_vec(), stranger.get_data("/auth").await.or_fail()?.0)?;
    let stat = owner.set_acl("/auth", &Acls::anyone_read(), Some(0)).await.or_fail()?;
    equal(1, stat.aversion)?;
    equal(Err(Error::NoAuth), owner.set_data("/auth", b"x", None).await)
}

async fn watches(server: &str) -> Check {
    let client = connect(server).await?;
    let other = connect(server).await?;
    let (stat, made) = client.check_and_watch_stat("/w").await.or_fail()?;
    equal(None, stat)?;
    let (stat, _) = other.create("/w", b"", OPEN).await.or_fail()?;
    equal(stat.czxid, once(made, EventType::NodeCreated, "/w").await?.zxid)?;
    let (_, _, data) = client.get_and_watch_data("/w").await.or_fail()?;
    let (_, _, list) = client.get_and_watch_children("/w").await.or_fail()?;
    let (_, removed) = client.check_and_watch_stat("/w").await.or_fail()?;
    drop(removed); // The library removes the watch on the server, too.
    let stat = other.set_data("/w", b"1", None).await.or_fail()?;
    equal(stat.mzxid, once(data, EventType::NodeDataChanged, "/w").await?.zxid)?;
    other.create("/w/c", b"", OPEN).await.or_fail()?;
    once(list, EventType::NodeChildrenChanged, "/w").await?;
    Ok(())
}

async fn persistent_watches(server: &str) -> Check {
    let client = connect(server).await?;
    let other = connect(server).await?;
    other.create("/p", b"", OPEN).await.or_fail()?;
    let mut persistent = client.watch("/p", AddWatchMode::Persistent).await.or_fail()?;
    let mut recursive = client.watch("/p", AddWatchMode::PersistentRecursive).await.or_fail()?;
    for _ in 0..2 {
        other.set_data("/p", b"x", None).await.or_fail()?;
        next(&mut persistent, EventType::NodeDataChanged, "/p").await?;
        next(&mut recursive, EventType::NodeDataChanged, "/p").await?;
    }
    let (stat, _) = other.create("/p/c", b"", OPEN).await.or_fail()?;
    next(&mut persistent, EventType::NodeChildrenChanged, "/p").await?;
    equal(stat.czxid, next(&mut recursive, EventType::NodeCreated, "/p/c").await?.zxid)?;
    drop(persistent);
    other.delete("/p/c", None).await.or_fail()?;
    next(&mut recursive, EventType::NodeDeleted, "/p/c").await?;
    Ok(())
}

async fn lock(server: &str) -> Check {
    let one = connect(server).await?;
    let two = connect(server).await?;
    one.create("/lock", b"", OPEN).await.or_fail()?;
    let prefix = || LockPrefix::new_curator("/lock", "latch-").or_fail();
    let held = within("lock", one.lock(prefix()?, b"", Acls::anyone_all())).await?.or_fail()?;
    let waiting = two.lock(prefix()?, b"", Acls::anyone_all());
    let mut waiting = std::pin::pin!(waiting);
    equal(true, timeout(Duration::from_millis(300), &mut waiting).await.is_err())?;
    drop(held);
    within("lock", waiting).await?.or_fail()?;
    Ok(())
}

async fn reattach(server: &str) -> Check {
    let mut connector = Client::connector();
    let client = within("connect", connector.detached().connect(server)).await?.or_fail()?;
    client.create("/left", b"", EPHEMERAL).await.or_fail()?;
    let id = client.session_id();
    let session = client.into_session();
    let mut connector = Client::connector();
    let again =
        within("connect", connector.session(session.clone()).connect(server)).await?.or_fail()?;
    equal(id, again.session_id())?;
    let stat = again.check_stat("/left").await.or_fail()?;
    equal(Some(id.0), stat.map(|stat| stat.ephemeral_owner))?;

    // Dropped, it closes the session; who comes with it then is told that it expired.
    let other = connect(server).await?;
    let (_, gone) = other.check_and_watch_stat("/left").await.or_fail()?;
    drop(again);
    once(gone, EventType::NodeDeleted, "/left").await?;
    let mut connector = Client::connector();
    let late = within("connect", connector.session(session).connect(server)).await?;
    equal(Some(Error::SessionExpired), late.err())
}

async fn config_and_reconfig(server: &str) -> Check {
    let client = connect(server).await?;
    let (config, stat) = client.get_config().await.or_fail()?;
    equal(stat.data_length as usize, config.len())?;
    let joining = vec!["server.9=127.0.0.1:2888:3888;2181"];
    let none = Vec::new();
    let update =
        EnsembleUpdate::Incremental { joinings: joining.into_iter(), leavings: none.into_iter() };
    equal(Some(Error::ReconfigDisabled), client.update_ensemble(update, None).await.err())
}

async fn restart(server: &str) -> Check {
    let mut connector = Client::connector();
    connector.session_timeout(Duration::from_secs(20));
    connector.auth("digest".to_string(), b"ron:pw".to_vec());
    let client = within("connect", connector.connect(server)).await?.or_fail()?;
    let mine = CreateMode::Persistent.with_acls(Acls::creator_all());
    client.create("/restart", b"0", &mine).await.or_fail()?;
    client.create("/restart/eph", b"", EPHEMERAL).await.or_fail()?;
    let (_, _, data) = client.get_and_watch_data("/restart").await.or_fail()?;
    let mut recursive =
        client.watch("/restart", AddWatchMode::PersistentRecursive).await.or_fail()?;
    let mut states = client.state_watcher();
    let id = client.session_id();

    println!("restart");
    let mut answer = String::new();
    let read = tokio::task::spawn_blocking(move || {
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    equal("restarted\n".to_string(), read.await.or_fail()?.or_fail()?)?;
    while within("states", states.changed()).await? != SessionState::SyncConnected {}

    equal(id, client.session_id())?;
    let stat = client.check_stat("/restart/eph").await.or_fail()?;
    equal(Some(id.0), stat.map(|stat| stat.ephemeral_owner))?;
    client.set_data("/restart", b"1", Some(0)).await.or_fail()?;
    once(data, EventType::NodeDataChanged, "/restart").await?;
    // A persistent watch also tells what happened to the session.
    let event = loop {
        let event = within("event", recursive.changed()).await?;
        if event.event_type != EventType::Session {
            break event;
        }
    };
    equal((EventType::NodeDataChanged, "/restart"), (event.event_type, event.path.as_str()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let server = std::env::args().nth(1).expect("usage: client HOST:PORT");
    let mut failed = false;
    macro_rules! check {
        ($($name:ident)*) => {
            $(match $name(&server).await {
                Ok(()) => println!("ok {}", stringify!($name)),
                Err(why) => {
                    failed = true;
                    println!("FAIL {} {}", stringify!($name), why.replace('\n', " "));
                }
            })*
        };
    }
    check!(basic modes pipelined multi auth watches persistent_watches lock reattach config_and_reconfig restart);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
