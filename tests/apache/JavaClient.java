import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import org.apache.zookeeper.*;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.data.*;

/** Calls each operation of the Java client once; its frames become golden bytes. */
public class JavaClient {
    private static final List<ACL> OPEN = ZooDefs.Ids.OPEN_ACL_UNSAFE;

    interface Call {
        void run() throws Exception;
    }

    static void refused(Call call) throws Exception {
        try {
            call.run();
        } catch (KeeperException expected) {
            return;
        }
        throw new IllegalStateException("this call must be refused");
    }

    static ZooKeeper connect(String address) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper zk = new ZooKeeper(address, 30000, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await();
        return zk;
    }

    public static void main(String[] args) throws Exception {
        ZooKeeper zk = connect(args[0]);
        byte[] data = "data".getBytes();
        Stat stat = new Stat();
        zk.create("/j", data, OPEN, CreateMode.PERSISTENT);
        refused(() -> zk.create("/j", data, OPEN, CreateMode.PERSISTENT));
        refused(() -> zk.create("/no/parent", null, OPEN, CreateMode.EPHEMERAL));
        zk.create("/j/seq-", data, OPEN, CreateMode.PERSISTENT_SEQUENTIAL);
        zk.create("/j/e", null, OPEN, CreateMode.EPHEMERAL);
        zk.create("/j/es-", data, OPEN, CreateMode.EPHEMERAL_SEQUENTIAL, stat);
        zk.create("/j/two", data, OPEN, CreateMode.PERSISTENT, stat);
        zk.create("/j/c", data, OPEN, CreateMode.CONTAINER);
        zk.create("/j/t", data, OPEN, CreateMode.PERSISTENT_WITH_TTL, stat, 1_000_000);
        zk.create("/j/ts-", data, OPEN, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, stat, 5_000_000_000L);
        Watcher watcher = event -> { };
        zk.exists("/j", watcher);
        zk.exists("/none", watcher);
        zk.getData("/j", watcher, stat);
        zk.getChildren("/j", watcher);
        zk.getChildren("/j", watcher, stat);
        refused(() -> zk.getData("/none", false, null));
        zk.setData("/j", "other".getBytes(), 0);
        refused(() -> zk.setData("/j", data, 7));
        zk.setData("/j", null, -1);
        zk.addAuthInfo("digest", "bob:pw".getBytes());
        zk.whoAmI();
        zk.getACL("/j", stat);
        zk.setACL("/j/two", Arrays.asList(
            new ACL(ZooDefs.Perms.ALL, ZooDefs.Ids.AUTH_IDS),
            new ACL(ZooDefs.Perms.READ, new Id("ip", "127.0.0.0/8"))), 0);
        zk.getACL("/j/two", stat);
        refused(() -> zk.setACL("/j", Collections.singletonList(
            new ACL(31, new Id("sasl", "someone"))), -1));
        zk.addWatch("/p", watcher, AddWatchMode.PERSISTENT);
        zk.addWatch("/r", watcher, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.create("/r", data, OPEN, CreateMode.PERSISTENT);
        zk.create("/r/x", data, OPEN, CreateMode.PERSISTENT);
        zk.delete("/r/x", -1);
        refused(() -> zk.delete("/j", -1));
        zk.removeAllWatches("/r", WatcherType.Any, false);
        zk.removeWatches("/p", watcher, WatcherType.Any, false);
        zk.multi(Arrays.asList(
            Op.create("/m", data, OPEN, CreateMode.PERSISTENT),
            Op.create("/m/t", data, OPEN, CreateMode.PERSISTENT_WITH_TTL, 1000),
            Op.create("/m/c", data, OPEN, CreateMode.CONTAINER),
            Op.create("/m/e", null, OPEN, CreateMode.EPHEMERAL),
            Op.setData("/m", null, 0),
            Op.check("/m", 1),
            Op.delete("/m/e", -1)));
        refused(() -> zk.multi(Arrays.asList(
            Op.check("/m", -1), Op.delete("/none", -1), Op.setData("/m", data, -1))));
        zk.multi(Arrays.asList(Op.getData("/m"), Op.getChildren("/m"), Op.getData("/none")));
        zk.getEphemerals();
        zk.getEphemerals("/j");
        zk.getAllChildrenNumber("/");
        CountDownLatch synced = new CountDownLatch(1);
        zk.sync("/j", (rc, path, context) -> synced.countDown(), null);
        synced.await();
        zk.getConfig(false, stat);
        reattach(args[0]);
        zk.close();
    }

    /**
     * Watches on a second session, whose connection the proxy breaks when it sees the path /hang-up:
     * the client then sends setWatches, and setWatches2 once it has a persistent watch.
     */
    static void reattach(String address) throws Exception {
        Semaphore connected = new Semaphore(0);
        ZooKeeper zk = new ZooKeeper(address, 30000, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected
                    && event.getType() == Watcher.Event.EventType.None) {
                connected.release();
            }
        });
        connected.acquire();
        zk.getData("/j", event -> { }, null);
        zk.exists("/gone", event -> { });
        zk.getChildren("/j", event -> { });
        refused(() -> zk.exists("/hang-up", false));
        connected.acquire();
        zk.addWatch("/j", event -> { }, AddWatchMode.PERSISTENT);
        zk.addWatch("/r", event -> { }, AddWatchMode.PERSISTENT_RECURSIVE);
        refused(() -> zk.exists("/hang-up", false));
        connected.acquire();
        zk.exists("/j", false);
        zk.close();
    }
}
