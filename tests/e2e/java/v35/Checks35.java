import static org.apache.zookeeper.CreateMode.CONTAINER;
import static org.apache.zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL;
import static org.apache.zookeeper.CreateMode.PERSISTENT;
import static org.apache.zookeeper.CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL;
import static org.apache.zookeeper.CreateMode.PERSISTENT_WITH_TTL;
import static org.apache.zookeeper.Watcher.Event.EventType.ChildWatchRemoved;
import static org.apache.zookeeper.Watcher.Event.EventType.DataWatchRemoved;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeDeleted;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

/** What 3.5 added: create2, containers, TTL, removeWatches, the configuration znode, reconfig. */
final class Checks35 {
    private static final List<ACL> OPEN = OPEN_ACL_UNSAFE;

    private final String server;

    Checks35(String server) {
        this.server = server;
    }

    void runAll() {
        Check.run("create2_returns_stat", this::create2ReturnsStat);
        Check.run("create2_async", this::create2Async);
        Check.run("container_is_reaped", this::containerIsReaped);
        Check.run("ttl_is_reaped", this::ttlIsReaped);
        Check.run("ttl_largest", this::ttlLargest);
        Check.run("multi_create2_and_container", this::multiCreate2AndContainer);
        Check.run("remove_watches", this::removeWatches);
        Check.run("remove_watches_of_no_watcher", this::removeWatchesOfNoWatcher);
        Check.run("remove_all_watches", this::removeAllWatches);
        Check.run("config_znode", this::configZnode);
        Check.run("reconfig_is_refused", this::reconfigIsRefused);
    }

    private void create2ReturnsStat() throws Exception {
        Handle zk = Handle.open(server);
        Stat stat = new Stat();
        Check.equal("/c2", zk.create("/c2", Checks34.bytes("abc"), OPEN, PERSISTENT, stat), "path");
        Check.equal(zk.exists("/c2", false), stat, "stat");
        Check.equal(3, stat.getDataLength(), "dataLength");
        String path = zk.create("/c2/e-", null, OPEN, EPHEMERAL_SEQUENTIAL, stat);
        Check.equal("/c2/e-0000000000", path, "sequential path");
        Check.equal(zk.getSessionId(), stat.getEphemeralOwner(), "ephemeralOwner");
        Check.equal(zk.exists(path, false), stat, "stat of the ephemeral");
        zk.close();
    }

    private void create2Async() throws Exception {
        Handle zk = Handle.open(server);
        CountDownLatch done = new CountDownLatch(2);
        String[] seen = new String[2];
        zk.create("/c2a", Checks34.bytes("ab"), OPEN, PERSISTENT, (rc, p, c, name, stat) -> {
            seen[0] = rc + " " + name + " " + stat.getDataLength();
            done.countDown();
        }, null);
        zk.create("/c2a", null, OPEN, PERSISTENT, (rc, p, c, name, stat) -> {
            seen[1] = rc + " " + name + " " + stat;
            done.countDown();
        }, null);
        Check.that(done.await(60, TimeUnit.SECONDS), "both replies came");
        Check.equal(Arrays.asList("0 /c2a 2", "-110 null null"), Arrays.asList(seen), "replies");
        zk.close();
    }

    private void containerIsReaped() throws Exception {
        Handle zk = Handle.open(server);
        Stat stat = new Stat();
        zk.create("/box", null, OPEN, CONTAINER, stat);
        Check.equal(0L, stat.getEphemeralOwner(), "ephemeralOwner");
        zk.create("/box/c", null, OPEN, PERSISTENT);
        zk.exists("/box", zk.events);
        zk.delete("/box/c", -1);
        zk.events.expect(NodeDeleted, "/box");
        zk.close();
    }

    private void ttlIsReaped() throws Exception {
        Handle zk = Handle.open(server);
        Stat stat = new Stat();
        zk.create("/ttl", null, OPEN, PERSISTENT_WITH_TTL, stat, 400);
        Check.equal(0L, stat.getEphemeralOwner(), "ephemeralOwner");
        zk.create("/ttl-long", null, OPEN, PERSISTENT_WITH_TTL, stat, 600_000);
        zk.create("/ttl-parent", null, OPEN, PERSISTENT_WITH_TTL, stat, 400);
        zk.create("/ttl-parent/c", null, OPEN, PERSISTENT);
        String path = zk.create("/ttl-seq-", null, OPEN, PERSISTENT_SEQUENTIAL_WITH_TTL, stat, 600_000);
        Check.that(path.matches("/ttl-seq-\\d{10}"), "sequential path " + path);
        Check.eventually(60, "/ttl goes", () -> zk.exists("/ttl", false) == null);
        Check.that(zk.exists("/ttl-long", false) != null, "a long TTL stays");
        Check.that(zk.exists("/ttl-parent", false) != null, "a TTL znode with a child stays");
        zk.delete("/ttl-parent/c", -1);
        Check.eventually(60, "/ttl-parent goes", () -> zk.exists("/ttl-parent", false) == null);
        zk.close();
    }

    /** The client itself refuses what is larger: five bytes of the owner field hold a TTL. */
    private void ttlLargest() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/ttl-max", null, OPEN, PERSISTENT_WITH_TTL, null, (1L << 40) - 1);
        Check.that(zk.exists("/ttl-max", false) != null, "it is there");
        zk.delete("/ttl-max", -1);
        zk.close();
    }

    private void multiCreate2AndContainer() throws Exception {
        Handle zk = Handle.open(server);
        List<OpResult> results = zk.multi(Arrays.asList(
                Op.create("/m35", null, OPEN, CONTAINER),
                Op.create("/m35/t", null, OPEN, PERSISTENT_WITH_TTL, 600_000),
                Op.create("/m35/e-", null, OPEN, EPHEMERAL_SEQUENTIAL.toFlag())));
        Check.equal("/m35", ((OpResult.CreateResult) results.get(0)).getPath(), "container");
        Check.equal("/m35/t", ((OpResult.CreateResult) results.get(1)).getPath(), "TTL");
        Check.equal("/m35/e-0000000001", ((OpResult.CreateResult) results.get(2)).getPath(), "sequential");
        Check.equal(2, zk.getChildren("/m35", false).size(), "children");
        zk.close();
    }

    private void removeWatches() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        zk.create("/rw", null, OPEN, PERSISTENT);
        Handle.Events first = new Handle.Events();
        Handle.Events second = new Handle.Events();
        Handle.Events list = new Handle.Events();
        zk.getData("/rw", first, null);
        zk.getData("/rw", second, null);
        zk.getChildren("/rw", list);
        zk.removeWatches("/rw", first, WatcherType.Data, false);
        first.expect(DataWatchRemoved, "/rw");
        zk.removeWatches("/rw", list, WatcherType.Children, false);
        list.expect(ChildWatchRemoved, "/rw");
        other.setData("/rw", Checks34.bytes("x"), -1);
        other.create("/rw/c", null, OPEN, PERSISTENT);
        second.expect(Watcher.Event.EventType.NodeDataChanged, "/rw");
        zk.exists("/", false);
        first.expectNone();
        list.expectNone();
        other.close();
        zk.close();
    }

    private void removeWatchesOfNoWatcher() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/nw", null, OPEN, PERSISTENT);
        Handle.Events events = new Handle.Events();
        Check.throwsA(KeeperException.NoWatcherException.class,
                () -> zk.removeWatches("/nw", events, WatcherType.Any, false));
        Check.throwsA(KeeperException.NoWatcherException.class,
                () -> zk.removeAllWatches("/nw", WatcherType.Data, false));
        zk.close();
    }

    private void removeAllWatches() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/raw", null, OPEN, PERSISTENT);
        Handle.Events data = new Handle.Events();
        Handle.Events list = new Handle.Events();
        zk.exists("/raw", data);
        zk.getChildren("/raw", list);
        zk.removeAllWatches("/raw", WatcherType.Any, false);
        data.expect(DataWatchRemoved, "/raw");
        list.expect(ChildWatchRemoved, "/raw");
        zk.setData("/raw", Checks34.bytes("x"), -1);
        zk.delete("/raw", -1);
        data.expectNone();
        list.expectNone();
        zk.close();
    }

    private void configZnode() throws Exception {
        Handle zk = Handle.open(server);
        Stat stat = new Stat();
        byte[] config = zk.getConfig(false, stat);
        Check.equal(config.length, stat.getDataLength(), "length of the configuration");
        Checks34.refused(Code.NOAUTH, () -> zk.setData("/zookeeper/config", Checks34.bytes("x"), -1));
        zk.close();
    }

    private void reconfigIsRefused() throws Exception {
        Handle zk = Handle.open(server);
        ZooKeeperAdmin admin = new ZooKeeperAdmin(server, 20_000, event -> {});
        Check.eventually(60, "connected", () -> admin.getState().isConnected());
        String joining = "server.9=127.0.0.1:2888:3888;2181";
        Checks34.refused(Code.RECONFIGDISABLED, () -> admin.reconfigure(joining, null, null, -1, new Stat()));
        admin.close();
        zk.close();
    }
}
