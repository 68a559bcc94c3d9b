import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher.Event.EventType;

/** Runs the recipes of Curator 5, and those that stand on persistent watches. */
public final class Main59 {
    private static final int SECONDS = 60;

    private Main59() {}

    public static void main(String[] args) {
        CuratorChecks checks = new CuratorChecks(args[0]);
        Check.run("curator_cache", () -> curatorCache(checks));
        Check.run("persistent_watcher", () -> persistentWatcher(checks));
        Check.run("persistent_ttl_node", () -> persistentTtlNode(checks));
        checks.runAll();
        Check.run("restart", checks::restart);
        Check.run("curator_cache_over_restart", () -> curatorCacheOverRestart(checks));
        Check.exit();
    }

    private static String text(CuratorCache cache, String path) {
        return cache.get(path).map(data -> new String(data.getData(), StandardCharsets.UTF_8)).orElse(null);
    }

    private static void curatorCache(CuratorChecks checks) throws Exception {
        try (CuratorFramework one = checks.open(); CuratorFramework two = checks.open()) {
            two.create().creatingParentsIfNeeded().forPath("/cc/a/b", CuratorChecks.bytes("1"));
            CountDownLatch initialized = new CountDownLatch(1);
            BlockingQueue<String> told = new LinkedBlockingQueue<>();
            CuratorCache cache = CuratorCache.build(one, "/cc");
            cache.listenable().addListener(CuratorCacheListener.builder()
                    .forInitialized(initialized::countDown)
                    .forDeletes(old -> told.add("deleted " + old.getPath()))
                    .build());
            cache.start();
            Check.that(initialized.await(SECONDS, TimeUnit.SECONDS), "initialized");
            Check.equal(3L, cache.stream().count(), "entries");
            two.setData().forPath("/cc/a/b", CuratorChecks.bytes("2"));
            Check.eventually(SECONDS, "new data", () -> "2".equals(text(cache, "/cc/a/b")));
            two.create().forPath("/cc/a/b/c", CuratorChecks.bytes("3"));
            Check.eventually(SECONDS, "a new znode", () -> "3".equals(text(cache, "/cc/a/b/c")));
            two.delete().forPath("/cc/a/b/c");
            Check.equal("deleted /cc/a/b/c", told.poll(SECONDS, TimeUnit.SECONDS), "event");
            cache.close();
        }
    }

    private static void persistentWatcher(CuratorChecks checks) throws Exception {
        try (CuratorFramework one = checks.open(); CuratorFramework two = checks.open()) {
            two.create().forPath("/pwatch");
            BlockingQueue<WatchedEvent> told = new LinkedBlockingQueue<>();
            PersistentWatcher watcher = new PersistentWatcher(one, "/pwatch", true);
            CountDownLatch set = new CountDownLatch(1);
            watcher.getResetListenable().addListener(set::countDown);
            watcher.getListenable().addListener(told::add);
            watcher.start();
            Check.that(set.await(SECONDS, TimeUnit.SECONDS), "the watch is set");
            for (int i = 0; i < 3; i++) {
                two.create().forPath("/pwatch/" + i);
                WatchedEvent event = told.poll(SECONDS, TimeUnit.SECONDS);
                Check.equal(EventType.NodeCreated, event.getType(), "event");
                Check.equal("/pwatch/" + i, event.getPath(), "path");
            }
            watcher.close();
        }
    }

    private static void persistentTtlNode(CuratorChecks checks) throws Exception {
        try (CuratorFramework one = checks.open(); CuratorFramework two = checks.open()) {
            PersistentTtlNode node = new PersistentTtlNode(one, "/ptn", 1500, CuratorChecks.bytes("t"));
            node.start();
            Check.that(node.waitForInitialCreate(SECONDS, TimeUnit.SECONDS), "created");
            Thread.sleep(2500); // Longer than the TTL: the recipe touches a child of the container meanwhile.
            Check.that(two.checkExists().forPath("/ptn") != null, "it stays while its owner lives");
            node.close();
            Check.eventually(SECONDS, "it goes", () -> two.checkExists().forPath("/ptn") == null);
        }
    }

    private static void curatorCacheOverRestart(CuratorChecks checks) throws Exception {
        try (CuratorFramework one = checks.open(20_000)) {
            one.create().forPath("/ccr", CuratorChecks.bytes("0"));
            CuratorCache cache = CuratorCache.build(one, "/ccr");
            cache.start();
            Check.eventually(SECONDS, "the data", () -> "0".equals(text(cache, "/ccr")));
            Check.restartServer();
            Check.eventually(SECONDS, "a write succeeds", () -> {
                one.setData().forPath("/ccr", CuratorChecks.bytes("1"));
                return true;
            });
            Check.eventually(SECONDS, "the new data", () -> "1".equals(text(cache, "/ccr")));
            cache.close();
        }
    }
}
