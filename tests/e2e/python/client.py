"""Drives a server with kazoo and its recipes: `client.py HOST:PORT`.

Prints "ok NAME" or "FAIL NAME why" for each check and exits with 1 if any failed. The line
"restart" asks the harness to kill the server with SIGKILL and to start it again; it answers
"restarted" on standard input.
"""

import subprocess
import sys
import threading
import time
import traceback

from kazoo import exceptions
from kazoo.client import KazooClient
from kazoo.protocol.states import EventType, KazooState
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.security import ACL, Id, make_acl, make_digest_acl

SERVER = sys.argv[1]
WAIT = 60


class Events:
    """Collects what a watch or listener is told."""

    def __init__(self):
        self.items = []
        self.changed = threading.Condition()

    def add(self, item):
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()

    def until(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self.items), WAIT):
                raise AssertionError(f"{what}: not within {WAIT} s, seen {self.items}")
            return list(self.items)


def client(**options):
    zk = KazooClient(hosts=SERVER, timeout=20, **options)
    zk.start(timeout=WAIT)
    return zk


def equal(expected, actual, what):
    assert expected == actual, f"{what}: expected {expected!r}, got {actual!r}"


def refused(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"expected {error.__name__}, but it succeeded")


def eventually(condition, what):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT} s: {what}"
        time.sleep(0.02)


def in_thread(call, *args):
    """Runs a blocking recipe aside; `join` gives its result or raises its error."""
    result = {}

    def body():
        try:
            result["value"] = call(*args)
        except Exception as error:  # Raised again where the result is asked for.
            result["error"] = error

    thread = threading.Thread(target=body, daemon=True)
    thread.start()

    def join():
        thread.join(WAIT)
        assert not thread.is_alive(), "a recipe blocks for ever"
        if "error" in result:
            raise result["error"]
        return result["value"]

    return join


# -- The operations -------------------------------------------------------------------------------


def basic():
    zk = client()
    equal("/basic", zk.create("/basic", b"one"), "path")
    path, stat = zk.create("/basic/deep/er", b"", makepath=True, include_data=True)
    equal("/basic/deep/er", path, "path")
    equal(stat, zk.exists(path), "stat of create2")
    data, stat = zk.get("/basic")
    equal((b"one", 0, 1), (data, stat.version, stat.numChildren), "data, version, children")
    equal(1, zk.set("/basic", b"two", version=0).version, "version")
    refused(exceptions.BadVersionError, zk.set, "/basic", b"x", 0)
    refused(exceptions.NodeExistsError, zk.create, "/basic", b"")
    refused(exceptions.NoNodeError, zk.get, "/nothing")
    refused(exceptions.NotEmptyError, zk.delete, "/basic")
    children, stat = zk.get_children("/basic", include_data=True)
    equal((["deep"], 1), (children, stat.cversion), "children, cversion")
    equal("/basic", zk.sync("/basic"), "path of sync")
    zk.delete("/basic", recursive=True)
    equal(None, zk.exists("/basic"), "stat after the delete")
    zk.stop()


def pipelined():
    zk = client()
    zk.create("/pipe")
    calls = [zk.set_async("/pipe", str(i).encode()) for i in range(500)]
    reads = [zk.create_async("/pipe/s-", sequence=True) for _ in range(200)]
    equal(list(range(1, 501)), [call.get(timeout=WAIT).version for call in calls], "versions")
    equal([f"/pipe/s-{i:010}" for i in range(200)], [read.get(timeout=WAIT) for read in reads], "names")
    zk.stop()


def server_version_and_commands():
    zk = client()
    version = zk.server_version()
    assert version >= (3, 4), version
    assert "Mode: " in zk.command(b"srvr"), "srvr names a mode"
    equal("imok", zk.command(b"ruok"), "ruok")
    zk.stop()


def ephemerals_and_sequences():
    zk, other = client(), client()
    zk.create("/es")
    first = zk.create("/es/n-", ephemeral=True, sequence=True)
    equal("/es/n-0000000000", first, "path")
    equal(zk.client_id[0], other.exists(first).ephemeralOwner, "owner")
    refused(exceptions.NoChildrenForEphemeralsError, zk.create, first + "/c")
    zk.stop()
    eventually(lambda: other.exists(first) is None, "the ephemeral goes with its session")
    other.stop()


def watches():
    zk, other = client(), client()
    zk.create("/w")
    events = Events()
    zk.get("/w", watch=events.add)
    zk.get_children("/w", watch=events.add)
    zk.exists("/w/c", watch=events.add)
    other.set("/w", b"1")
    other.create("/w/c")
    other.set("/w", b"2")
    events.until(lambda seen: len(seen) >= 3, "three events")
    zk.get("/w")
    told = sorted((event.type, event.path) for event in events.items)
    equal([(EventType.CHANGED, "/w"), (EventType.CHILD, "/w"), (EventType.CREATED, "/w/c")], told, "events")
    zk.stop()
    other.stop()


def transactions():
    zk = client()
    zk.create("/tx", b"0")
    tx = zk.transaction()
    tx.check("/tx", 0)
    tx.create("/tx/a", b"a")
    tx.create("/tx/s-", sequence=True, ephemeral=True)
    tx.set_data("/tx", b"1")
    tx.delete("/tx/a")
    results = tx.commit()
    equal([True, "/tx/a", "/tx/s-0000000001", True], results[:3] + results[4:], "results")
    equal(1, results[3].version, "version")

    tx = zk.transaction()
    tx.set_data("/tx", b"lost")
    tx.create("/tx/none/deeper")
    tx.delete("/tx")
    kinds = [type(result) for result in tx.commit()]
    wanted = [exceptions.RolledBackError, exceptions.NoNodeError, exceptions.RuntimeInconsistency]
    equal(wanted, kinds, "results of a failed transaction")
    equal(b"1", zk.get("/tx")[0], "data")
    with zk.transaction() as tx:
        tx.set_data("/tx", b"2")
    equal(b"2", zk.get("/tx")[0], "data after the with block")
    zk.stop()


def acls():
    owner = client(auth_data=[("digest", "joe:pw")])
    stranger = client()
    mine = make_digest_acl("joe", "pw", all=True)
    owner.create("/acl", b"m", acl=[mine])
    refused(exceptions.NoAuthError, stranger.get, "/acl")
    refused(exceptions.NoAuthError, stranger.create, "/acl/c")
    stranger.add_auth("digest", "joe:pw")
    equal(b"m", stranger.get("/acl")[0], "data after add_auth")
    acl, stat = owner.get_acls("/acl")
    equal(([mine], 0), (acl, stat.aversion), "ACL and its version")
    readable = [mine, make_acl("world", "anyone", read=True)]
    equal(1, owner.set_acls("/acl", readable, version=0).aversion, "aversion")
    refused(exceptions.BadVersionError, owner.set_acls, "/acl", readable, 0)
    other = client()
    equal(b"m", other.get("/acl")[0], "data readable by all")
    refused(exceptions.NoAuthError, other.set, "/acl", b"x")
    refused(exceptions.InvalidACLError, other.create, "/acl2", b"", [ACL(31, Id("auth", ""))])
    for zk in (owner, stranger, other):
        zk.stop()


def chroot():
    zk = client()
    zk.ensure_path("/root/of/it")
    inside = KazooClient(hosts=SERVER + "/root/of/it", timeout=20)
    inside.start(timeout=WAIT)
    equal("/x", inside.create("/x"), "path inside")
    assert zk.exists("/root/of/it/x"), "seen from outside"
    inside.stop()
    zk.stop()


def session_reattach():
    # Another process opens the session and dies without closing it.
    code = f"""if True:
        import os
        from kazoo.client import KazooClient
        zk = KazooClient(hosts={SERVER!r}, timeout=20)
        zk.start()
        zk.create("/sr", ephemeral=True)
        print(zk.client_id[0], zk.client_id[1].hex(), flush=True)
        os._exit(0)
    """
    session_id, password = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    session = (int(session_id), bytes.fromhex(password))
    zk = KazooClient(hosts=SERVER, timeout=20, client_id=session)
    zk.start(timeout=WAIT)
    equal(session, zk.client_id, "session")
    equal(session[0], zk.exists("/sr").ephemeralOwner, "owner")
    zk.stop()
    other = client()
    equal(None, other.exists("/sr"), "the ephemeral of the closed session")
    other.stop()


# -- The recipes ----------------------------------------------------------------------------------


def lock():
    one, two = client(), client()
    first, second = one.Lock("/lock", "one"), two.Lock("/lock", "two")
    assert first.acquire(timeout=WAIT), "acquired"
    assert not second.acquire(blocking=False), "a held lock is not given"
    refused(exceptions.LockTimeout, second.acquire, timeout=0.3)
    waiting = in_thread(second.acquire)
    eventually(lambda: first.contenders() == ["one", "two"], "two contenders")
    first.release()
    equal(True, waiting(), "the second gets it")
    # A holder whose session ends lets go.
    waiting = in_thread(first.acquire)
    two.stop()
    equal(True, waiting(), "the first gets it back")
    first.release()
    one.stop()


def read_write_lock():
    one, two = client(), client()
    reader, other, writer = one.ReadLock("/rw"), two.ReadLock("/rw"), two.WriteLock("/rw")
    assert reader.acquire(timeout=WAIT) and other.acquire(timeout=WAIT), "two readers"
    waiting = in_thread(writer.acquire)
    reader.release()
    other.release()
    equal(True, waiting(), "the writer follows")
    assert not one.ReadLock("/rw").acquire(blocking=False), "no reader beside a writer"
    writer.release()
    one.stop()
    two.stop()


def semaphore():
    one, two = client(), client()
    held = [one.Semaphore("/sem", max_leases=2) for _ in range(2)]
    for lease in held:
        assert lease.acquire(timeout=WAIT), "a free lease"
    third = two.Semaphore("/sem", max_leases=2)
    assert not third.acquire(blocking=False), "no third lease"
    waiting = in_thread(third.acquire)
    held[0].release()
    equal(True, waiting(), "a lease given back")
    one.stop()
    two.stop()


def election():
    one, two = client(), client()
    order, resign = [], threading.Event()

    def lead(name):
        order.append(name)
        if name == "one":
            resign.wait(WAIT)

    first = one.Election("/election", "one")
    first_done = in_thread(first.run, lead, "one")
    eventually(lambda: order == ["one"], "the first leads")
    second_done = in_thread(two.Election("/election", "two").run, lead, "two")
    eventually(lambda: first.contenders() == ["one", "two"], "two contenders")
    equal(["one"], order, "leaders")
    resign.set()
    first_done()
    second_done()
    equal(["one", "two"], order, "leaders in turn")
    one.stop()
    two.stop()


def counter():
    handles = [client() for _ in range(4)]

    def count(zk):
        shared = zk.Counter("/counter", default=0)
        for _ in range(20):
            shared += 2
            shared -= 1

    for done in [in_thread(count, zk) for zk in handles]:
        done()
    equal(80, handles[0].Counter("/counter").value, "value")
    for zk in handles:
        zk.stop()


def party():
    one, two = client(), client()
    first, second = one.Party("/party", "ann"), two.Party("/party", "bob")
    first.join()
    second.join()
    equal(["ann", "bob"], sorted(first), "members")
    shallow = one.ShallowParty("/shallow", "cy")
    shallow.join()
    equal(["cy"], list(shallow), "shallow members")
    two.stop()
    eventually(lambda: list(first) == ["ann"], "a member whose session ends leaves")
    first.leave()
    equal(0, len(first), "members left")
    one.stop()


def barriers():
    one, two = client(), client()
    gate = one.Barrier("/gate")
    gate.create()
    assert not two.Barrier("/gate").wait(0.3), "closed"
    waiting = in_thread(two.Barrier("/gate").wait, WAIT)
    gate.remove()
    equal(True, waiting(), "open")

    entered = []

    def both(zk, name):
        double = zk.DoubleBarrier("/double", 2, name)
        double.enter()
        entered.append(name)
        double.leave()
        return True

    first = in_thread(both, one, "one")
    time.sleep(0.2)
    equal([], entered, "entered alone")
    second = in_thread(both, two, "two")
    equal((True, True), (first(), second()), "both left")
    equal(["one", "two"], sorted(entered), "both entered")
    one.stop()
    two.stop()


def queues():
    one, two = client(), client()
    queue = one.Queue("/queue")
    for value, priority in ((b"late", 200), (b"first", 100), (b"second", 100), (b"urgent", 1)):
        queue.put(value, priority)
    equal(4, len(queue), "entries")
    taken = [two.Queue("/queue").get() for _ in range(5)]
    equal([b"urgent", b"first", b"second", b"late", None], taken, "entries in order")

    locking, other = one.LockingQueue("/locking"), two.LockingQueue("/locking")
    locking.put_all([b"a", b"b"])
    equal(b"a", locking.get(WAIT), "entry of the one")
    equal(b"b", other.get(WAIT), "entry of the other")
    equal(True, locking.holds_lock(), "the one holds its entry")
    locking.consume()
    other.release()
    waiting = in_thread(locking.get, WAIT)
    equal(b"b", waiting(), "the entry given back")
    locking.consume()
    waiting = in_thread(locking.get, WAIT)
    other.put(b"c")
    equal(b"c", waiting(), "an entry put while one waits")
    locking.consume()
    equal(0, len(locking), "entries left")
    one.stop()
    two.stop()


def watchers():
    zk, other = client(), client()
    zk.create("/watchers")
    data, children = Events(), Events()
    zk.DataWatch("/watchers", lambda value, stat: data.add(value))
    zk.ChildrenWatch("/watchers", lambda names: children.add(sorted(names)))
    for i in range(5):
        other.set("/watchers", str(i).encode())
        data.until(lambda seen: seen[-1] == str(i).encode(), "the data")
    for name in "abc":
        other.create("/watchers/" + name)
        children.until(lambda seen: name in seen[-1], "the children")
    other.delete("/watchers", recursive=True)
    data.until(lambda seen: seen[-1] is None, "the end of the data")
    zk.stop()
    other.stop()


def tree_cache():
    zk, other = client(), client()
    zk.ensure_path("/tree/a")
    events = Events()
    cache = TreeCache(zk, "/tree")
    cache.listen(events.add)
    cache.start()

    def told(kind, path=None):
        def condition(seen):
            return any(
                event.event_type == kind and (path is None or event.event_data.path == path) for event in seen
            )

        events.until(condition, f"event {kind} of {path}")

    told(TreeEvent.INITIALIZED)
    other.create("/tree/a/b", b"1")
    told(TreeEvent.NODE_ADDED, "/tree/a/b")
    equal(b"1", cache.get_data("/tree/a/b").data, "cached data")
    other.set("/tree/a/b", b"2")
    told(TreeEvent.NODE_UPDATED, "/tree/a/b")
    equal(b"2", cache.get_data("/tree/a/b").data, "cached data")
    equal({"b"}, set(cache.get_children("/tree/a")), "cached children")
    other.delete("/tree/a/b")
    told(TreeEvent.NODE_REMOVED, "/tree/a/b")
    equal(None, cache.get_data("/tree/a/b"), "cached data after the delete")
    cache.close()
    zk.stop()
    other.stop()


def partitioner():
    members = [client() for _ in range(2)]
    shares = [
        zk.SetPartitioner("/parts", set=tuple(range(6)), identifier=f"m{i}", time_boundary=0.5)
        for i, zk in enumerate(members)
    ]

    def settle(alive, sizes):
        deadline = time.monotonic() + 2 * WAIT
        while time.monotonic() < deadline:
            for share in alive:
                if share.release:
                    share.release_set()
                elif share.allocating:
                    share.wait_for_acquire(1)
                assert not share.failed, "a partitioner failed"
            if all(share.acquired for share in alive):
                if sorted(len(list(share)) for share in alive) == sizes:
                    return
            time.sleep(0.02)
        raise AssertionError(f"shares are {[list(share) for share in alive]}, wanted sizes {sizes}")

    settle(shares, [3, 3])
    equal(list(range(6)), sorted(list(shares[0]) + list(shares[1])), "all parts")
    shares[1].finish()
    settle(shares[:1], [6])
    for zk in members:
        zk.stop()


def lease():
    from datetime import timedelta

    one, two = client(), client()
    assert one.NonBlockingLease("/lease", timedelta(seconds=30), "one"), "a free lease"
    assert not two.NonBlockingLease("/lease", timedelta(seconds=30), "two"), "a taken lease"
    assert one.NonBlockingLease("/lease", timedelta(seconds=30), "one"), "the owner's own lease"
    one.stop()
    two.stop()


def restart():
    zk = client()
    states, data = Events(), Events()
    zk.add_listener(states.add)
    zk.create("/restart", b"0")
    zk.create("/restart/eph", ephemeral=True)
    zk.DataWatch("/restart", lambda value, stat: data.add(value))
    held = zk.Lock("/restart-lock", "me")
    assert held.acquire(timeout=WAIT), "acquired"
    session = zk.client_id

    print("restart", flush=True)
    equal("restarted", sys.stdin.readline().strip(), "the harness's answer")
    states.until(lambda seen: seen == [KazooState.SUSPENDED, KazooState.CONNECTED], "states")

    equal(session, zk.client_id, "session")
    equal(session[0], zk.retry(zk.exists, "/restart/eph").ephemeralOwner, "owner")
    other = client()
    assert not other.Lock("/restart-lock", "you").acquire(blocking=False), "the lock is still held"
    other.set("/restart", b"1")
    data.until(lambda seen: seen[-1] == b"1", "the data watch goes on")
    held.release()
    other.stop()
    zk.stop()


CHECKS = [
    basic, pipelined, server_version_and_commands, ephemerals_and_sequences, watches, transactions, acls, chroot,
    session_reattach, lock, read_write_lock, semaphore, election, counter, party, barriers, queues, watchers,
    tree_cache, partitioner, lease, restart,
]  # fmt: skip


def main():
    failed = False
    for check in CHECKS:
        try:
            check()
            print(f"ok {check.__name__}", flush=True)
        except Exception as error:
            failed = True
            print(f"FAIL {check.__name__} {type(error).__name__}: {error}".replace("\n", " "), flush=True)
            traceback.print_exc()
    sys.exit(1 if failed else 0)


main()
