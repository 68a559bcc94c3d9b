import static org.apache.zookeeper.AddWatchMode.PERSISTENT;
import static org.apache.zookeeper.AddWatchMode.PERSISTENT_RECURSIVE;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeChildrenChanged;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeCreated;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeDataChanged;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeDeleted;
import static org.apache.zookeeper.Watcher.Event.EventType.PersistentWatchRemoved;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.StatsTrack;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Stat;

/** What 3.6 to 3.9 added: persistent watches, multiRead, counters, whoAmI, zxids of events. */
final class Checks39 {
    private static final List<ACL> OPEN = OPEN_ACL_UNSAFE;

    private final String server;

    Checks39(String server) {
        this.server = server;
    }

    void runAll() {
        Check.run("watch_persistent", this::watchPersistent);
        Check.run("watch_recursive", this::watchRecursive);
        Check.run("watch_both_modes", this::watchBothModes);
        Check.run("remove_persistent_watches", this::removePersistentWatches);
        Check.run("event_zxid", this::eventZxid);
        Check.run("multi_read", this::multiRead);
        Check.run("get_ephemerals", this::getEphemerals);
        Check.run("get_all_children_number", this::getAllChildrenNumber);
        Check.run("who_am_i", this::whoAmI);
        Check.run("async_of_3_9", this::asyncOf39);
        Check.run("quota", this::quota);
        Check.run("reconnect_keeps_persistent_watches", this::reconnectKeepsPersistentWatches);
        Check.run("restart_keeps_persistent_watches", this::restartKeepsPersistentWatches);
    }

    private void watchPersistent() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        Handle.Events events = new Handle.Events();
        zk.addWatch("/pw", events, PERSISTENT);
        other.create("/pw", null, OPEN, CreateMode.PERSISTENT);
        events.expect(NodeCreated, "/pw");
        for (int i = 0; i < 3; i++) {
            other.setData("/pw", Checks34.bytes("" + i), -1);
            events.expect(NodeDataChanged, "/pw");
        }
        other.create("/pw/c", null, OPEN, CreateMode.PERSISTENT);
        events.expect(NodeChildrenChanged, "/pw");
        other.setData("/pw/c", Checks34.bytes("x"), -1);
        other.delete("/pw/c", -1);
        events.expect(NodeChildrenChanged, "/pw");
        other.delete("/pw", -1);
        events.expect(NodeDeleted, "/pw");
        other.create("/pw", null, OPEN, CreateMode.PERSISTENT);
        events.expect(NodeCreated, "/pw");
        other.close();
        zk.close();
    }

    private void watchRecursive() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        Handle.Events events = new Handle.Events();
        other.create("/rec", null, OPEN, CreateMode.PERSISTENT);
        zk.addWatch("/rec", events, PERSISTENT_RECURSIVE);
        other.create("/rec/a", null, OPEN, CreateMode.PERSISTENT);
        events.expect(NodeCreated, "/rec/a");
        other.create("/rec/a/b", null, OPEN, CreateMode.PERSISTENT);
        events.expect(NodeCreated, "/rec/a/b");
        other.create("/recess", null, OPEN, CreateMode.PERSISTENT);
        other.setData("/rec/a/b", Checks34.bytes("x"), -1);
        events.expect(NodeDataChanged, "/rec/a/b");
        other.delete("/rec/a/b", -1);
        events.expect(NodeDeleted, "/rec/a/b");
        other.setData("/rec", Checks34.bytes("x"), -1);
        events.expect(NodeDataChanged, "/rec");
        zk.exists("/", false);
        events.expectNone();
        other.close();
        zk.close();
    }

    private void watchBothModes() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        other.create("/both", null, OPEN, CreateMode.PERSISTENT);
        Handle.Events once = new Handle.Events();
        Handle.Events persistent = new Handle.Events();
        Handle.Events recursive = new Handle.Events();
        zk.getData("/both", once, null);
        zk.addWatch("/both", persistent, PERSISTENT);
        zk.addWatch("/both", recursive, PERSISTENT_RECURSIVE);
        other.setData("/both", Checks34.bytes("1"), -1);
        other.setData("/both", Checks34.bytes("2"), -1);
        other.create("/both/c", null, OPEN, CreateMode.PERSISTENT);
        once.expect(NodeDataChanged, "/both");
        for (Handle.Events events : Arrays.asList(persistent, recursive)) {
            events.expect(NodeDataChanged, "/both");
            events.expect(NodeDataChanged, "/both");
        }
        persistent.expect(NodeChildrenChanged, "/both");
        recursive.expect(NodeCreated, "/both/c");
        zk.exists("/", false);
        for (Handle.Events events : Arrays.asList(once, persistent, recursive)) {
            events.expectNone();
        }
        other.close();
        zk.close();
    }

    private void removePersistentWatches() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/rpw", null, OPEN, CreateMode.PERSISTENT);
        Handle.Events events = new Handle.Events();
        zk.addWatch("/rpw", events, PERSISTENT_RECURSIVE);
        zk.create("/rpw/a", null, OPEN, CreateMode.PERSISTENT);
        events.expect(NodeCreated, "/rpw/a");
        zk.removeWatches("/rpw", events, WatcherType.Any, false);
        events.expect(PersistentWatchRemoved, "/rpw");
        zk.create("/rpw/b", null, OPEN, CreateMode.PERSISTENT);
        events.expectNone();
        Check.throwsA(KeeperException.NoWatcherException.class,
                () -> zk.removeWatches("/rpw", events, WatcherType.Any, false));
        zk.close();
    }

    private void eventZxid() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        zk.exists("/zxid", zk.events);
        other.create("/zxid", null, OPEN, CreateMode.PERSISTENT);
        WatchedEvent created = zk.events.expect(NodeCreated, "/zxid");
        Check.equal(zk.exists("/zxid", zk.events).getCzxid(), created.getZxid(), "zxid of the creation");
        Stat stat = other.setData("/zxid", null, -1);
        WatchedEvent changed = zk.events.expect(NodeDataChanged, "/zxid");
        Check.equal(stat.getMzxid(), changed.getZxid(), "zxid of the change");
        other.close();
        zk.close();
    }

    private void multiRead() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/mr", Checks34.bytes("data"), OPEN, CreateMode.PERSISTENT);
        zk.create("/mr/c", null, OPEN, CreateMode.PERSISTENT);
        List<OpResult> results = zk.multi(Arrays.asList(
                Op.getData("/mr"), Op.getChildren("/mr"), Op.getData("/mr/missing"), Op.getChildren("/mr/c")));
        OpResult.GetDataResult data = (OpResult.GetDataResult) results.get(0);
        Check.equal("data", new String(data.getData()), "data");
        Check.equal(zk.exists("/mr", false), data.getStat(), "stat");
        Check.equal(Collections.singletonList("c"), ((OpResult.GetChildrenResult) results.get(1)).getChildren(),
                "children");
        Check.equal(Code.NONODE.intValue(), ((OpResult.ErrorResult) results.get(2)).getErr(), "error");
        Check.equal(0, ((OpResult.GetChildrenResult) results.get(3)).getChildren().size(), "no children");
        zk.close();
    }

    private void getEphemerals() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        zk.create("/ge", null, OPEN, CreateMode.PERSISTENT);
        for (String path : Arrays.asList("/ge/a", "/ge/b", "/ge-other")) {
            zk.create(path, null, OPEN, CreateMode.EPHEMERAL);
        }
        other.create("/ge/theirs", null, OPEN, CreateMode.EPHEMERAL);
        Check.equal(new TreeSet<>(Arrays.asList("/ge/a", "/ge/b", "/ge-other")), new TreeSet<>(zk.getEphemerals()),
                "all of this session");
        // The prefix is one of the text, not of whole path elements.
        Check.equal(Collections.singletonList("/ge/b"), zk.getEphemerals("/ge/b"), "those with a prefix");
        Check.equal(3, zk.getEphemerals("/ge").size(), "those with a shorter prefix");
        Check.equal(0, zk.getEphemerals("/none").size(), "none with another prefix");
        other.close();
        zk.close();
    }

    private void getAllChildrenNumber() throws Exception {
        Handle zk = Handle.open(server);
        for (String path : Arrays.asList("/gacn", "/gacn/a", "/gacn/a/x", "/gacn/a/y", "/gacn/b", "/gacnot")) {
            zk.create(path, null, OPEN, CreateMode.PERSISTENT);
        }
        Check.equal(4, zk.getAllChildrenNumber("/gacn"), "all below /gacn");
        Check.equal(0, zk.getAllChildrenNumber("/gacn/b"), "all below a leaf");
        Checks34.refused(Code.NONODE, () -> zk.getAllChildrenNumber("/gacn/none"));
        zk.close();
    }

    private void whoAmI() throws Exception {
        Handle zk = Handle.open(server);
        zk.addAuthInfo("digest", Checks34.bytes("bob:pw"));
        TreeSet<String> who = new TreeSet<>();
        for (ClientInfo info : zk.whoAmI()) {
            who.add(info.getAuthScheme() + " " + info.getUser());
        }
        Check.equal(new TreeSet<>(Arrays.asList("ip 127.0.0.1", "digest bob")), who, "identities");
        zk.close();
    }

    private void asyncOf39() throws Exception {
        Handle zk = Handle.open(server);
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch last = new CountDownLatch(1);
        zk.addWatch("/a39", PERSISTENT, (rc, path, ctx) -> seen.add("addWatch " + rc), null);
        zk.create("/a39", null, OPEN, CreateMode.EPHEMERAL);
        zk.events.expect(NodeCreated, "/a39");
        zk.getEphemerals((rc, ctx, paths) -> seen.add("ephemerals " + rc + paths), null);
        zk.getAllChildrenNumber("/a39", (rc, path, ctx, number) -> seen.add("number " + rc + number), null);
        zk.multi(Arrays.asList(Op.getData("/a39"), Op.getChildren("/none")),
                (rc, path, ctx, results) -> seen.add("multiRead " + rc + " " + results.size()), null);
        zk.removeWatches("/a39", zk.events, WatcherType.Any, false, (rc, path, ctx) -> seen.add("other " + rc), null);
        zk.removeAllWatches("/a39", WatcherType.Any, false, (rc, path, ctx) -> {
            seen.add("remove " + rc);
            last.countDown();
        }, null);
        Check.that(last.await(60, TimeUnit.SECONDS), "the last reply came, after " + seen);
        // The library itself makes the error of one read the result of all.
        Check.equal(Arrays.asList("addWatch 0", "ephemerals 0[/a39]", "number 00", "multiRead -101 2",
                "other -121", "remove 0"), seen, "replies");
        zk.close();
    }

    /** The harness starts servers with zookeeper.enforceQuota, which makes hard limits act. */
    private void quota() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/q", null, OPEN, CreateMode.PERSISTENT);
        StatsTrack limits = new StatsTrack();
        limits.setCount(2);
        limits.setCountHardLimit(3);
        limits.setBytes(-1);
        limits.setByteHardLimit(10);
        zk.create("/zookeeper/quota/q", null, OPEN, CreateMode.PERSISTENT);
        zk.create("/zookeeper/quota/q/zookeeper_limits", limits.getStatsBytes(), OPEN, CreateMode.PERSISTENT);
        StatsTrack none = new StatsTrack();
        none.setCount(0);
        none.setBytes(0);
        zk.create("/zookeeper/quota/q/zookeeper_stats", none.getStatsBytes(), OPEN, CreateMode.PERSISTENT);
        zk.create("/q/a", Checks34.bytes("12345"), OPEN, CreateMode.PERSISTENT);
        // The count covers /q itself. The second limit is a soft one and only logged.
        zk.create("/q/b", Checks34.bytes("123"), OPEN, CreateMode.PERSISTENT);
        Checks34.refused(Code.QUOTAEXCEEDED, () -> zk.create("/q/c", null, OPEN, CreateMode.PERSISTENT));
        Checks34.refused(Code.QUOTAEXCEEDED, () -> zk.setData("/q/b", Checks34.bytes("123456"), -1));
        zk.setData("/q/b", Checks34.bytes("12345"), -1);
        StatsTrack used = new StatsTrack(zk.getData("/zookeeper/quota/q/zookeeper_stats", false, null));
        Check.equal("3 10", used.getCount() + " " + used.getBytes(), "count and bytes used");
        zk.delete("/q/a", -1);
        zk.create("/q/c", null, OPEN, CreateMode.PERSISTENT);
        used = new StatsTrack(zk.getData("/zookeeper/quota/q/zookeeper_stats", false, null));
        Check.equal("3 5", used.getCount() + " " + used.getBytes(), "count and bytes used");
        zk.close();
    }

    private void reconnectKeepsPersistentWatches() throws Exception {
        Proxy proxy = new Proxy(server);
        Handle other = Handle.open(server);
        other.create("/rkp", null, OPEN, CreateMode.PERSISTENT);
        other.create("/rkp-once", null, OPEN, CreateMode.PERSISTENT);
        Handle zk = Handle.open(proxy.address());
        zk.events.expectState(KeeperState.SyncConnected);
        Handle.Events recursive = new Handle.Events();
        Handle.Events persistent = new Handle.Events();
        Handle.Events once = new Handle.Events();
        zk.addWatch("/rkp", recursive, PERSISTENT_RECURSIVE);
        zk.addWatch("/rkp", persistent, PERSISTENT);
        zk.getData("/rkp-once", once, null);

        proxy.cut();
        zk.events.expectState(KeeperState.Disconnected);
        other.setData("/rkp-once", null, -1);
        other.create("/rkp/missed", null, OPEN, CreateMode.PERSISTENT);
        proxy.heal();
        zk.events.expectState(KeeperState.SyncConnected);

        // What a persistent watch missed is lost (as in Apache's server); what follows is told.
        once.expect(NodeDataChanged, "/rkp-once");
        other.create("/rkp/c", null, OPEN, CreateMode.PERSISTENT);
        recursive.expect(NodeCreated, "/rkp/c");
        persistent.expect(NodeChildrenChanged, "/rkp");
        zk.close();
        other.close();
    }

    private void restartKeepsPersistentWatches() throws Exception {
        Handle zk = Handle.open(server, 20_000);
        zk.events.expectState(KeeperState.SyncConnected);
        zk.create("/rsp", null, OPEN, CreateMode.PERSISTENT);
        zk.create("/rsp/eph", null, OPEN, CreateMode.EPHEMERAL);
        Handle.Events recursive = new Handle.Events();
        Handle.Events persistent = new Handle.Events();
        zk.addWatch("/rsp", recursive, PERSISTENT_RECURSIVE);
        zk.addWatch("/rsp", persistent, PERSISTENT);

        Check.restartServer();
        zk.events.expectState(KeeperState.Disconnected);
        zk.events.expectState(KeeperState.SyncConnected);

        Check.equal(Collections.singletonList("/rsp/eph"), zk.getEphemerals(), "ephemerals");
        for (int i = 0; i < 2; i++) {
            zk.setData("/rsp", Checks34.bytes("" + i), -1);
            recursive.expect(NodeDataChanged, "/rsp");
            persistent.expect(NodeDataChanged, "/rsp");
        }
        zk.delete("/rsp/eph", -1);
        recursive.expect(NodeDeleted, "/rsp/eph");
        persistent.expect(NodeChildrenChanged, "/rsp");
        zk.close();
    }
}
