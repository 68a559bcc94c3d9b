import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorOp;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCacheEvent;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

/** The recipes that Curator 4 and 5 share. */
final class CuratorChecks {
    private static final int SECONDS = 60;

    private final String server;
    private final ExecutorService threads = Executors.newCachedThreadPool(body -> {
        Thread thread = new Thread(body);
        thread.setDaemon(true);
        return thread;
    });

    CuratorChecks(String server) {
        this.server = server;
    }

    void runAll() {
        Check.run("framework", this::framework);
        Check.run("transaction", this::transaction);
        Check.run("background_and_namespace", this::backgroundAndNamespace);
        Check.run("container_and_ttl", this::containerAndTtl);
        Check.run("authorization", this::authorization);
        Check.run("ensemble_tracker", this::ensembleTracker);
        Check.run("mutex_reentrant", this::mutexReentrant);
        Check.run("mutex_under_contention", this::mutexUnderContention);
        Check.run("mutex_of_a_lost_session", this::mutexOfALostSession);
        Check.run("read_write_lock", this::readWriteLock);
        Check.run("semaphore", this::semaphore);
        Check.run("leader_latch", this::leaderLatch);
        Check.run("leader_selector", this::leaderSelector);
        Check.run("simple_queue", this::simpleQueue);
        Check.run("distributed_queue", this::distributedQueue);
        Check.run("barriers", this::barriers);
        Check.run("shared_count", this::sharedCount);
        Check.run("atomic_long", this::atomicLong);
        Check.run("persistent_node_and_group", this::persistentNodeAndGroup);
        Check.run("path_children_cache", this::pathChildrenCache);
        Check.run("node_and_tree_cache", this::nodeAndTreeCache);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    CuratorFramework open() throws Exception {
        return open(20_000);
    }

    CuratorFramework open(int sessionTimeoutMs) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(server)
                .sessionTimeoutMs(sessionTimeoutMs)
                .connectionTimeoutMs(10_000)
                .retryPolicy(new RetryNTimes(30, 200))
                .build();
        client.start();
        Check.that(client.blockUntilConnected(SECONDS, TimeUnit.SECONDS), "connected");
        return client;
    }

    /** Runs a blocking recipe aside. Mutexes belong to threads, so each call has one of its own. */
    private <T> Future<T> aside(Callable<T> body) {
        return threads.submit(body);
    }

    private static <T> T result(Future<T> future) throws Exception {
        try {
            return future.get(SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException failed) {
            throw failed.getCause() instanceof Exception ? (Exception) failed.getCause() : failed;
        }
    }

    private void framework() throws Exception {
        try (CuratorFramework client = open()) {
            client.create().creatingParentsIfNeeded().forPath("/fw/a/b", bytes("1"));
            client.create().orSetData().forPath("/fw/a/b", bytes("2"));
            Stat stat = new Stat();
            Check.equal("2", new String(client.getData().storingStatIn(stat).forPath("/fw/a/b")), "data");
            Check.equal(1, stat.getVersion(), "version");
            client.setData().withVersion(1).forPath("/fw/a/b", bytes("3"));
            Check.throwsA(KeeperException.BadVersionException.class,
                    () -> client.setData().withVersion(1).forPath("/fw/a/b", bytes("x")));
            client.setData().compressed().forPath("/fw/a/b", bytes("compressed"));
            Check.equal("compressed", new String(client.getData().decompressed().forPath("/fw/a/b")), "data");
            String path = client.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
                    .forPath("/fw/p-");
            Check.that(path.matches("/fw/_c_.*-p-\\d{10}"), "protected path " + path);
            client.delete().guaranteed().deletingChildrenIfNeeded().forPath("/fw");
            Check.equal(null, client.checkExists().forPath("/fw"), "stat after the delete");
        }
    }

    private void transaction() throws Exception {
        try (CuratorFramework client = open()) {
            CuratorOp create = client.transactionOp().create().forPath("/ctx", bytes("0"));
            CuratorOp set = client.transactionOp().setData().withVersion(0).forPath("/ctx", bytes("1"));
            CuratorOp check = client.transactionOp().check().withVersion(1).forPath("/ctx");
            Collection<CuratorTransactionResult> results = client.transaction().forOperations(create, set, check);
            Check.equal(3, results.size(), "results");
            Check.equal("/ctx", results.iterator().next().getResultPath(), "path");
            CuratorOp wrong = client.transactionOp().delete().withVersion(7).forPath("/ctx");
            CuratorOp lost = client.transactionOp().setData().forPath("/ctx", bytes("lost"));
            Check.throwsA(KeeperException.BadVersionException.class,
                    () -> client.transaction().forOperations(lost, wrong));
            Check.equal("1", new String(client.getData().forPath("/ctx")), "data");
        }
    }

    private void backgroundAndNamespace() throws Exception {
        try (CuratorFramework client = open()) {
            CuratorFramework inside = client.usingNamespace("space");
            BlockingQueue<String> seen = new LinkedBlockingQueue<>();
            inside.create().inBackground((c, event) -> seen.add(event.getResultCode() + " " + event.getName()))
                    .forPath("/bg", bytes("x"));
            Check.equal("0 /bg", seen.poll(SECONDS, TimeUnit.SECONDS), "result");
            Check.that(client.checkExists().forPath("/space/bg") != null, "it is in the namespace");
            client.sync().inBackground((c, event) -> seen.add("synced " + event.getPath())).forPath("/space");
            Check.equal("synced /space", seen.poll(SECONDS, TimeUnit.SECONDS), "result");
        }
    }

    private void containerAndTtl() throws Exception {
        try (CuratorFramework client = open()) {
            client.create().creatingParentContainersIfNeeded().forPath("/cct/box/c");
            client.delete().forPath("/cct/box/c");
            Check.eventually(SECONDS, "the containers go", () -> client.checkExists().forPath("/cct") == null);
            client.create().withTtl(400).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/cttl");
            client.create().withTtl(600_000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/cttl-long");
            Check.eventually(SECONDS, "the TTL znode goes", () -> client.checkExists().forPath("/cttl") == null);
            Check.that(client.checkExists().forPath("/cttl-long") != null, "a long TTL stays");
        }
    }

    private void authorization() throws Exception {
        CuratorFramework owner = CuratorFrameworkFactory.builder()
                .connectString(server)
                .retryPolicy(new RetryNTimes(5, 200))
                .authorization("digest", bytes("cur:pw"))
                .build();
        owner.start();
        try (CuratorFramework client = open()) {
            owner.create().withACL(org.apache.zookeeper.ZooDefs.Ids.CREATOR_ALL_ACL).forPath("/cauth", bytes("m"));
            Check.throwsA(KeeperException.NoAuthException.class, () -> client.getData().forPath("/cauth"));
            Check.equal("m", new String(owner.getData().forPath("/cauth")), "data");
            owner.setACL().withACL(org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE).forPath("/cauth");
            Check.equal("m", new String(client.getData().forPath("/cauth")), "data after setACL");
        } finally {
            owner.close();
        }
    }

    /** The tracker reads the configuration znode and lets it replace the address, if there is one. */
    private void ensembleTracker() throws Exception {
        try (CuratorFramework client = open()) {
            byte[] config = client.getConfig().forEnsemble();
            Thread.sleep(500); // The tracker reads in the background and announces nothing.
            String connected = client.getZookeeperClient().getCurrentConnectionString();
            Check.equal(server, connected, "address after reading a configuration of " + config.length + " bytes");
        }
    }

    private void mutexReentrant() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            InterProcessMutex first = new InterProcessMutex(one, "/mutex");
            InterProcessMutex second = new InterProcessMutex(two, "/mutex");
            Check.that(first.acquire(SECONDS, TimeUnit.SECONDS), "acquired");
            Check.that(first.acquire(SECONDS, TimeUnit.SECONDS), "acquired again by the same thread");
            Check.that(!second.acquire(200, TimeUnit.MILLISECONDS), "a held mutex is not given");
            first.release();
            Check.that(!second.acquire(200, TimeUnit.MILLISECONDS), "one release of two is not enough");
            Future<Boolean> waiting = aside(() -> second.acquire(SECONDS, TimeUnit.SECONDS));
            Thread.sleep(200);
            Check.that(!waiting.isDone(), "it waits");
            first.release();
            Check.equal(true, result(waiting), "the second gets it");
        }
    }

    private void mutexUnderContention() throws Exception {
        List<Future<Void>> workers = new ArrayList<>();
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger entered = new AtomicInteger();
        List<CuratorFramework> clients = Arrays.asList(open(), open(), open(), open());
        for (CuratorFramework client : clients) {
            workers.add(aside(() -> {
                InterProcessMutex mutex = new InterProcessMutex(client, "/contended");
                for (int i = 0; i < 10; i++) {
                    Check.that(mutex.acquire(SECONDS, TimeUnit.SECONDS), "acquired");
                    Check.equal(1, inside.incrementAndGet(), "holders");
                    entered.incrementAndGet();
                    inside.decrementAndGet();
                    mutex.release();
                }
                return null;
            }));
        }
        for (Future<Void> worker : workers) {
            result(worker);
        }
        Check.equal(40, entered.get(), "times held");
        clients.forEach(CuratorFramework::close);
    }

    private void mutexOfALostSession() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            InterProcessMutex second = new InterProcessMutex(two, "/orphan");
            aside(() -> {
                new InterProcessMutex(one, "/orphan").acquire();
                return null;
            }).get(SECONDS, TimeUnit.SECONDS);
            Check.that(!second.acquire(200, TimeUnit.MILLISECONDS), "a held mutex is not given");
            Future<Boolean> waiting = aside(() -> second.acquire(SECONDS, TimeUnit.SECONDS));
            one.close();
            Check.equal(true, result(waiting), "the mutex of a closed session is given on");
        }
    }

    private void readWriteLock() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            InterProcessReadWriteLock first = new InterProcessReadWriteLock(one, "/crw");
            InterProcessReadWriteLock second = new InterProcessReadWriteLock(two, "/crw");
            Check.that(first.readLock().acquire(SECONDS, TimeUnit.SECONDS), "the one reads");
            Check.that(second.readLock().acquire(SECONDS, TimeUnit.SECONDS), "the other reads");
            second.readLock().release();
            Check.that(!second.writeLock().acquire(200, TimeUnit.MILLISECONDS), "no writer beside a reader");
            first.readLock().release();
            Check.that(second.writeLock().acquire(SECONDS, TimeUnit.SECONDS), "the other writes");
            Check.that(second.readLock().acquire(SECONDS, TimeUnit.SECONDS), "a writer may read");
            Check.that(!first.readLock().acquire(200, TimeUnit.MILLISECONDS), "no reader beside a writer");
            second.readLock().release();
            second.writeLock().release();
        }
    }

    private void semaphore() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            InterProcessSemaphoreV2 first = new InterProcessSemaphoreV2(one, "/csem", 3);
            InterProcessSemaphoreV2 second = new InterProcessSemaphoreV2(two, "/csem", 3);
            Collection<Lease> held = first.acquire(2, SECONDS, TimeUnit.SECONDS);
            Check.equal(2, held.size(), "leases");
            Lease third = second.acquire(SECONDS, TimeUnit.SECONDS);
            Check.that(third != null, "the third lease");
            Check.equal(null, second.acquire(200, TimeUnit.MILLISECONDS), "no fourth lease");
            Future<Lease> waiting = aside(() -> second.acquire(SECONDS, TimeUnit.SECONDS));
            first.returnAll(held);
            Check.that(result(waiting) != null, "a lease given back");
            Check.equal(2, first.getParticipantNodes().size(), "participants");
        }
    }

    private void leaderLatch() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            LeaderLatch first = new LeaderLatch(one, "/latch", "one");
            LeaderLatch second = new LeaderLatch(two, "/latch", "two");
            first.start();
            Check.that(first.await(SECONDS, TimeUnit.SECONDS), "the first leads");
            second.start();
            Check.that(!second.await(200, TimeUnit.MILLISECONDS), "the second does not");
            Check.eventually(SECONDS, "two participants", () -> second.getParticipants().size() == 2);
            Check.equal("one", second.getLeader().getId(), "leader");
            first.close();
            Check.that(second.await(SECONDS, TimeUnit.SECONDS), "the second follows");
            Check.equal("two", second.getLeader().getId(), "leader");
            second.close();
        }
    }

    private void leaderSelector() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            BlockingQueue<String> terms = new LinkedBlockingQueue<>();
            CountDownLatch resign = new CountDownLatch(1);
            List<LeaderSelector> selectors = new ArrayList<>();
            for (CuratorFramework client : Arrays.asList(one, two)) {
                String name = client == one ? "one" : "two";
                LeaderSelector selector =
                        new LeaderSelector(client, "/selector", new LeaderSelectorListenerAdapter() {
                            @Override
                            public void takeLeadership(CuratorFramework c) throws Exception {
                                terms.add(name);
                                resign.await();
                            }
                        });
                selector.start();
                selectors.add(selector);
                if (client == one) {
                    Check.equal("one", terms.poll(SECONDS, TimeUnit.SECONDS), "leader");
                }
            }
            Check.equal(null, terms.poll(300, TimeUnit.MILLISECONDS), "a second leader");
            resign.countDown();
            Check.equal("two", terms.poll(SECONDS, TimeUnit.SECONDS), "the next leader");
            selectors.forEach(LeaderSelector::close);
        }
    }

    private void simpleQueue() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            SimpleDistributedQueue first = new SimpleDistributedQueue(one, "/squeue");
            SimpleDistributedQueue second = new SimpleDistributedQueue(two, "/squeue");
            for (int i = 0; i < 5; i++) {
                Check.that(first.offer(bytes("" + i)), "offered");
            }
            for (int i = 0; i < 5; i++) {
                Check.equal("" + i, new String(second.poll(SECONDS, TimeUnit.SECONDS)), "entry");
            }
            Future<byte[]> waiting = aside(() -> second.poll(SECONDS, TimeUnit.SECONDS));
            Thread.sleep(200);
            first.offer(bytes("late"));
            Check.equal("late", new String(result(waiting)), "entry");
        }
    }

    private void distributedQueue() throws Exception {
        QueueSerializer<String> serializer = new QueueSerializer<String>() {
            @Override
            public byte[] serialize(String item) {
                return CuratorChecks.bytes(item);
            }

            @Override
            public String deserialize(byte[] data) {
                return new String(data, StandardCharsets.UTF_8);
            }
        };
        BlockingQueue<String> taken = new LinkedBlockingQueue<>();
        QueueConsumer<String> consumer = new QueueConsumer<String>() {
            @Override
            public void consumeMessage(String item) {
                taken.add(item);
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {}
        };
        try (CuratorFramework one = open(); CuratorFramework two = open();
                DistributedQueue<String> producer =
                        QueueBuilder.builder(one, null, serializer, "/dqueue").buildQueue();
                DistributedQueue<String> queue = QueueBuilder.builder(two, consumer, serializer, "/dqueue")
                        .lockPath("/dqueue-locks").buildQueue()) {
            producer.start();
            queue.start();
            for (int i = 0; i < 20; i++) {
                producer.put("item-" + i);
            }
            TreeSet<String> all = new TreeSet<>();
            for (int i = 0; i < 20; i++) {
                all.add(String.valueOf(taken.poll(SECONDS, TimeUnit.SECONDS)));
            }
            Check.equal(20, all.size(), "different entries in " + all);
        }
    }

    private void barriers() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            DistributedBarrier gate = new DistributedBarrier(one, "/cgate");
            gate.setBarrier();
            DistributedBarrier behind = new DistributedBarrier(two, "/cgate");
            Check.that(!behind.waitOnBarrier(200, TimeUnit.MILLISECONDS), "closed");
            Future<Boolean> waiting = aside(() -> behind.waitOnBarrier(SECONDS, TimeUnit.SECONDS));
            gate.removeBarrier();
            Check.equal(true, result(waiting), "open");

            List<Future<Boolean>> members = new ArrayList<>();
            for (CuratorFramework client : Arrays.asList(one, two)) {
                members.add(aside(() -> {
                    DistributedDoubleBarrier both = new DistributedDoubleBarrier(client, "/cdouble", 2);
                    return both.enter(SECONDS, TimeUnit.SECONDS) && both.leave(SECONDS, TimeUnit.SECONDS);
                }));
                Thread.sleep(100);
            }
            for (Future<Boolean> member : members) {
                Check.equal(true, result(member), "entered and left");
            }
        }
    }

    private void sharedCount() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open();
                SharedCount first = new SharedCount(one, "/count", 5);
                SharedCount second = new SharedCount(two, "/count", 5)) {
            first.start();
            second.start();
            BlockingQueue<Integer> told = new LinkedBlockingQueue<>();
            second.addListener(new SharedCountListener() {
                @Override
                public void countHasChanged(SharedCountReader reader, int count) {
                    told.add(count);
                }

                @Override
                public void stateChanged(CuratorFramework client, ConnectionState state) {}
            });
            Check.equal(5, second.getCount(), "seed");
            first.setCount(6);
            Check.equal(6, told.poll(SECONDS, TimeUnit.SECONDS), "told");
            Check.that(second.trySetCount(second.getVersionedValue(), 7), "compare and set");
            Check.eventually(SECONDS, "the first sees it", () -> first.getCount() == 7);
        }
    }

    private void atomicLong() throws Exception {
        List<CuratorFramework> clients = Arrays.asList(open(), open(), open());
        List<Future<Void>> workers = new ArrayList<>();
        for (CuratorFramework client : clients) {
            workers.add(aside(() -> {
                DistributedAtomicLong value =
                        new DistributedAtomicLong(client, "/atomic", new RetryNTimes(1000, 2));
                for (int i = 0; i < 20; i++) {
                    Check.that(value.increment().succeeded(), "incremented");
                }
                return null;
            }));
        }
        for (Future<Void> worker : workers) {
            result(worker);
        }
        DistributedAtomicLong value = new DistributedAtomicLong(clients.get(0), "/atomic", new RetryNTimes(9, 9));
        Check.equal(60L, value.get().postValue(), "value");
        Check.that(!value.compareAndSet(59L, 0L).succeeded(), "compare and set of an old value");
        clients.forEach(CuratorFramework::close);
    }

    private void persistentNodeAndGroup() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            PersistentNode node = new PersistentNode(one, CreateMode.EPHEMERAL, false, "/pnode", bytes("p"));
            node.start();
            Check.that(node.waitForInitialCreate(SECONDS, TimeUnit.SECONDS), "created");
            long czxid = two.checkExists().forPath("/pnode").getCzxid();
            two.delete().forPath("/pnode");
            Check.eventually(SECONDS, "it comes back", () -> {
                Stat stat = two.checkExists().forPath("/pnode");
                return stat != null && stat.getCzxid() > czxid;
            });
            node.close();

            GroupMember first = new GroupMember(one, "/group", "one", bytes("1"));
            GroupMember second = new GroupMember(two, "/group", "two", bytes("2"));
            first.start();
            second.start();
            Check.eventually(SECONDS, "two members", () -> first.getCurrentMembers().size() == 2);
            Check.equal("2", new String(first.getCurrentMembers().get("two")), "data of a member");
            second.close();
            Check.eventually(SECONDS, "one member", () -> first.getCurrentMembers().size() == 1);
            first.close();
        }
    }

    @SuppressWarnings("deprecation")
    private void pathChildrenCache() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            two.create().creatingParentsIfNeeded().forPath("/pcc/old", bytes("o"));
            PathChildrenCache cache = new PathChildrenCache(one, "/pcc", true);
            BlockingQueue<String> told = new LinkedBlockingQueue<>();
            cache.getListenable().addListener((client, event) -> {
                if (event.getData() != null) {
                    told.add(event.getType() + " " + event.getData().getPath());
                }
            });
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            Check.equal(1, cache.getCurrentData().size(), "initial entries");
            two.create().forPath("/pcc/new", bytes("n"));
            Check.equal(PathChildrenCacheEvent.Type.CHILD_ADDED + " /pcc/new", told.poll(SECONDS, TimeUnit.SECONDS),
                    "event");
            two.setData().forPath("/pcc/new", bytes("m"));
            Check.equal(PathChildrenCacheEvent.Type.CHILD_UPDATED + " /pcc/new",
                    told.poll(SECONDS, TimeUnit.SECONDS), "event");
            Check.equal("m", new String(cache.getCurrentData("/pcc/new").getData()), "cached data");
            two.delete().forPath("/pcc/old");
            Check.equal(PathChildrenCacheEvent.Type.CHILD_REMOVED + " /pcc/old",
                    told.poll(SECONDS, TimeUnit.SECONDS), "event");
            cache.close();
        }
    }

    @SuppressWarnings("deprecation")
    private void nodeAndTreeCache() throws Exception {
        try (CuratorFramework one = open(); CuratorFramework two = open()) {
            NodeCache node = new NodeCache(one, "/ntc");
            node.start(true);
            TreeCache tree = new TreeCache(one, "/ntc");
            tree.start();
            two.create().creatingParentsIfNeeded().forPath("/ntc/a/b", bytes("1"));
            two.setData().forPath("/ntc", bytes("root"));
            Check.eventually(SECONDS, "the node's data", () -> has(node.getCurrentData(), "root"));
            Check.eventually(SECONDS, "a grandchild", () -> has(tree.getCurrentData("/ntc/a/b"), "1"));
            two.setData().forPath("/ntc/a/b", bytes("2"));
            Check.eventually(SECONDS, "its new data", () -> has(tree.getCurrentData("/ntc/a/b"), "2"));
            two.delete().deletingChildrenIfNeeded().forPath("/ntc");
            Check.eventually(SECONDS, "both are empty",
                    () -> node.getCurrentData() == null && tree.getCurrentData("/ntc/a") == null);
            tree.close();
            node.close();
        }
    }

    private static boolean has(ChildData data, String text) {
        return data != null && text.equals(new String(data.getData(), StandardCharsets.UTF_8));
    }

    /** The server is killed and started again under a latch, a mutex, a lease and a cache. */
    @SuppressWarnings("deprecation")
    void restart() throws Exception {
        try (CuratorFramework client = open(20_000); CuratorFramework other = open(20_000)) {
            BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
            client.getConnectionStateListenable().addListener((c, state) -> states.add(state));
            InterProcessMutex mutex = new InterProcessMutex(client, "/again/mutex");
            Check.that(mutex.acquire(SECONDS, TimeUnit.SECONDS), "acquired");
            LeaderLatch latch = new LeaderLatch(client, "/again/latch");
            latch.start();
            Check.that(latch.await(SECONDS, TimeUnit.SECONDS), "leads");
            Lease lease = new InterProcessSemaphoreV2(client, "/again/sem", 1).acquire(SECONDS, TimeUnit.SECONDS);
            PathChildrenCache cache = new PathChildrenCache(client, "/again/cache", true);
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            long session = client.getZookeeperClient().getZooKeeper().getSessionId();

            Check.restartServer();
            Check.equal(ConnectionState.SUSPENDED, states.poll(SECONDS, TimeUnit.SECONDS), "state");
            Check.equal(ConnectionState.RECONNECTED, states.poll(SECONDS, TimeUnit.SECONDS), "state");

            Check.equal(session, client.getZookeeperClient().getZooKeeper().getSessionId(), "session");
            Check.that(other.blockUntilConnected(SECONDS, TimeUnit.SECONDS), "the other is back");
            InterProcessMutex theirs = new InterProcessMutex(other, "/again/mutex");
            Check.that(!theirs.acquire(300, TimeUnit.MILLISECONDS), "the mutex is still held");
            Check.equal(null,
                    new InterProcessSemaphoreV2(other, "/again/sem", 1).acquire(300, TimeUnit.MILLISECONDS),
                    "a lease that is still held");
            Check.eventually(SECONDS, "it leads again", latch::hasLeadership);
            other.create().forPath("/again/cache/c", bytes("x"));
            Check.eventually(SECONDS, "the cache goes on", () -> has(cache.getCurrentData("/again/cache/c"), "x"));
            mutex.release();
            Check.that(theirs.acquire(SECONDS, TimeUnit.SECONDS), "the mutex is given on");
            lease.close();
            cache.close();
            latch.close();
        }
    }
}
