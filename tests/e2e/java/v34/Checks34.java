import static org.apache.zookeeper.CreateMode.EPHEMERAL;
import static org.apache.zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL;
import static org.apache.zookeeper.CreateMode.PERSISTENT;
import static org.apache.zookeeper.CreateMode.PERSISTENT_SEQUENTIAL;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeChildrenChanged;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeCreated;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeDataChanged;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeDeleted;
import static org.apache.zookeeper.ZooDefs.Ids.CREATOR_ALL_ACL;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;
import static org.apache.zookeeper.ZooDefs.Ids.READ_ACL_UNSAFE;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** All that a client of 3.4 can ask of a server. Clients of later versions run these checks as well. */
final class Checks34 {
    private static final List<ACL> OPEN = OPEN_ACL_UNSAFE;
    private static final int PIPELINED = 500;
    private static final int CHILDREN = 1000;

    private final String server;

    Checks34(String server) {
        this.server = server;
    }

    void runAll() {
        Check.run("create_get_set_delete", this::createGetSetDelete);
        Check.run("data_null_empty_large", this::dataNullEmptyLarge);
        Check.run("sequential_names", this::sequentialNames);
        Check.run("ephemerals", this::ephemerals);
        Check.run("children", this::children);
        Check.run("unicode_path", this::unicodePath);
        Check.run("chroot", this::chroot);
        Check.run("async_every_op", this::asyncEveryOp);
        Check.run("async_pipeline_in_order", this::asyncPipelineInOrder);
        Check.run("multi_commits", this::multiCommits);
        Check.run("multi_rolls_back", this::multiRollsBack);
        Check.run("acl_world_and_digest", this::aclWorldAndDigest);
        Check.run("acl_invalid", this::aclInvalid);
        Check.run("acl_ip_and_version", this::aclIpAndVersion);
        Check.run("auth_super", this::authSuper);
        Check.run("auth_unknown_scheme", this::authUnknownScheme);
        Check.run("watch_data", this::watchData);
        Check.run("watch_exists", this::watchExists);
        Check.run("watch_children", this::watchChildren);
        Check.run("watch_before_later_reply", this::watchBeforeLaterReply);
        Check.run("session_timeout_bounds", this::sessionTimeoutBounds);
        Check.run("session_that_may_be_read_only", this::sessionThatMayBeReadOnly);
        Check.run("session_reattach", this::sessionReattach);
        Check.run("session_wrong_password", this::sessionWrongPassword);
        Check.run("session_closed_elsewhere", this::sessionClosedElsewhere);
        Check.run("session_expires_when_silent", this::sessionExpiresWhenSilent);
        Check.run("reconnect_tells_missed_events", this::reconnectTellsMissedEvents);
        Check.run("too_large_request_costs_the_connection", this::tooLargeRequestCostsTheConnection);
        Check.run("restart_keeps_session_and_watches", this::restartKeepsSessionAndWatches);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void refused(Code code, Check.Body body) throws Exception {
        try {
            body.run();
        } catch (KeeperException refusal) {
            Check.equal(code, refusal.code(), "error");
            return;
        }
        throw new AssertionError("expected " + code + ", but it succeeded");
    }

    private void createGetSetDelete() throws Exception {
        Handle zk = Handle.open(server);
        Check.equal("/basic", zk.create("/basic", bytes("one"), OPEN, PERSISTENT), "created path");
        Stat stat = new Stat();
        Check.equal("one", new String(zk.getData("/basic", false, stat)), "data");
        Check.equal(0, stat.getVersion(), "version");
        Check.equal(stat.getCzxid(), stat.getMzxid(), "mzxid of a fresh znode");
        Check.equal(stat.getCzxid(), stat.getPzxid(), "pzxid of a fresh znode");
        Check.equal(3, stat.getDataLength(), "dataLength");
        Check.equal(0L, stat.getEphemeralOwner(), "ephemeralOwner");
        long skewMs = Math.abs(System.currentTimeMillis() - stat.getCtime());
        Check.that(skewMs < 60_000, "ctime is " + skewMs + " ms off");

        Stat after = zk.setData("/basic", bytes("three"), 0);
        Check.equal(1, after.getVersion(), "version after setData");
        Check.that(after.getMzxid() > stat.getMzxid(), "mzxid grows");
        Check.equal(stat.getCzxid(), after.getCzxid(), "czxid stays");
        Check.equal(5, after.getDataLength(), "dataLength after setData");
        Check.equal(2, zk.setData("/basic", bytes("four"), -1).getVersion(), "version after any-version setData");

        refused(Code.BADVERSION, () -> zk.setData("/basic", bytes("x"), 0));
        refused(Code.BADVERSION, () -> zk.delete("/basic", 7));
        refused(Code.NODEEXISTS, () -> zk.create("/basic", null, OPEN, PERSISTENT));
        refused(Code.NONODE, () -> zk.create("/missing/child", null, OPEN, PERSISTENT));
        refused(Code.NONODE, () -> zk.getData("/missing", false, null));
        refused(Code.NONODE, () -> zk.setData("/missing", null, -1));
        refused(Code.NONODE, () -> zk.delete("/missing", -1));
        refused(Code.NONODE, () -> zk.getChildren("/missing", false));
        zk.create("/basic/child", null, OPEN, PERSISTENT);
        refused(Code.NOTEMPTY, () -> zk.delete("/basic", -1));
        zk.delete("/basic/child", 0);
        zk.delete("/basic", 2);
        Check.equal(null, zk.exists("/basic", false), "stat after delete");
        refused(Code.BADARGUMENTS, () -> zk.delete("/zookeeper", -1));
        zk.close();
    }

    private void dataNullEmptyLarge() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/data", null, OPEN, PERSISTENT);
        Check.equal(null, zk.getData("/data", false, null), "null data");
        zk.setData("/data", new byte[0], -1);
        Check.equal(new byte[0], zk.getData("/data", false, null), "empty data");
        byte[] large = new byte[1_000_000];
        for (int i = 0; i < large.length; i++) {
            large[i] = (byte) (i * 31);
        }
        zk.setData("/data", large, -1);
        Check.that(Arrays.equals(large, zk.getData("/data", false, null)), "1 MB of data comes back as sent");
        zk.delete("/data", -1);
        zk.close();
    }

    private void sequentialNames() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/seq", null, OPEN, PERSISTENT);
        Check.equal("/seq/a-0000000000", zk.create("/seq/a-", null, OPEN, PERSISTENT_SEQUENTIAL), "first");
        Check.equal("/seq/b-0000000001", zk.create("/seq/b-", null, OPEN, EPHEMERAL_SEQUENTIAL), "second");
        Check.equal("/seq/0000000002", zk.create("/seq/", null, OPEN, PERSISTENT_SEQUENTIAL), "without a prefix");
        zk.delete("/seq/0000000002", -1);
        Check.equal("/seq/a-0000000003", zk.create("/seq/a-", null, OPEN, PERSISTENT_SEQUENTIAL), "after a delete");
        zk.close();
    }

    private void ephemerals() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        zk.create("/eph", bytes("x"), OPEN, EPHEMERAL);
        Stat stat = other.exists("/eph", other.events);
        Check.equal(zk.getSessionId(), stat.getEphemeralOwner(), "ephemeralOwner");
        refused(Code.NOCHILDRENFOREPHEMERALS, () -> zk.create("/eph/c", null, OPEN, PERSISTENT));
        zk.close();
        other.events.expect(NodeDeleted, "/eph");
        Check.equal(null, other.exists("/eph", false), "the ephemeral after its session's close");
        other.close();
    }

    private void children() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/kids", null, OPEN, PERSISTENT);
        CountDownLatch done = new CountDownLatch(CHILDREN);
        for (int i = 0; i < CHILDREN; i++) {
            zk.create("/kids/child-" + i, null, OPEN, PERSISTENT, (rc, path, ctx, name) -> {
                if (rc == 0) {
                    done.countDown();
                }
            }, null);
        }
        Check.that(done.await(60, TimeUnit.SECONDS), done.getCount() + " creates were not acknowledged");
        Stat stat = new Stat();
        List<String> names = zk.getChildren("/kids", false, stat);
        Check.equal(CHILDREN, names.size(), "children");
        Check.equal(CHILDREN, new TreeSet<>(names).size(), "distinct children");
        Check.equal(CHILDREN, stat.getNumChildren(), "numChildren");
        Check.equal(CHILDREN, stat.getCversion(), "cversion");
        zk.delete("/kids/child-0", -1);
        Check.equal(CHILDREN + 1, zk.exists("/kids", false).getCversion(), "cversion after a delete");
        Check.equal(CHILDREN - 1, zk.getChildren("/kids", false).size(), "children after a delete");
        zk.close();
    }

    private void unicodePath() throws Exception {
        Handle zk = Handle.open(server);
        String path = "/größe-日本-Ω";
        zk.create(path, bytes("ü"), OPEN, PERSISTENT);
        Check.equal("ü", new String(zk.getData(path, false, null), StandardCharsets.UTF_8), "data");
        Check.that(zk.getChildren("/", false).contains(path.substring(1)), "listed");
        zk.delete(path, -1);
        zk.close();
    }

    private void chroot() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/jail", null, OPEN, PERSISTENT);
        Handle inside = Handle.open(server + "/jail");
        Check.equal("/a", inside.create("/a", bytes("in"), OPEN, PERSISTENT), "created path");
        Check.equal("in", new String(zk.getData("/jail/a", zk.events, null)), "data seen from outside");
        inside.getData("/a", inside.events, null);
        inside.setData("/a", bytes("new"), -1);
        inside.events.expect(NodeDataChanged, "/a");
        zk.events.expect(NodeDataChanged, "/jail/a");
        inside.close();
        zk.close();
    }

    private void asyncEveryOp() throws Exception {
        Handle zk = Handle.open(server);
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch last = new CountDownLatch(1);
        zk.create("/async", bytes("0"), OPEN, PERSISTENT, (rc, p, c, name) -> seen.add("create " + rc + name), null);
        zk.exists("/async", false, (rc, p, c, stat) -> seen.add("exists " + rc + stat.getVersion()), null);
        zk.setData("/async", bytes("1"), 0, (rc, p, c, stat) -> seen.add("set " + rc + stat.getVersion()), null);
        zk.getData("/async", false, (rc, p, c, d, stat) -> seen.add("get " + rc + new String(d)), null);
        zk.getChildren("/async", false, (rc, p, c, names) -> seen.add("children " + rc + names), null);
        zk.getChildren("/async", false, (rc, p, c, names, stat) -> seen.add("children2 " + rc + names), null);
        zk.getACL("/async", null, (rc, p, c, acl, stat) -> seen.add("getACL " + rc + acl.size()), null);
        zk.setACL("/async", OPEN, 0, (rc, p, c, stat) -> seen.add("setACL " + rc + stat.getAversion()), null);
        zk.sync("/async", (rc, p, c) -> seen.add("sync " + rc), null);
        zk.multi(
                Arrays.asList(Op.check("/async", 1), Op.setData("/async", bytes("2"), 1)),
                (rc, p, c, results) -> seen.add("multi " + rc + results.size()),
                null);
        zk.delete("/async", 9, (rc, p, c) -> seen.add("delete " + rc), null);
        zk.delete("/async", 2, (rc, p, c) -> seen.add("delete " + rc), null);
        zk.exists("/async", false, (rc, p, c, stat) -> {
            seen.add("exists " + rc);
            last.countDown();
        }, null);
        Check.that(last.await(60, TimeUnit.SECONDS), "the last reply came, after " + seen);
        Check.equal(
                Arrays.asList("create 0/async", "exists 00", "set 01", "get 01", "children 0[]", "children2 0[]",
                        "getACL 01", "setACL 01", "sync 0", "multi 02", "delete -103", "delete 0", "exists -101"),
                seen, "replies");
        zk.close();
    }

    private void asyncPipelineInOrder() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/pipe", null, OPEN, PERSISTENT);
        List<Integer> versions = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch done = new CountDownLatch(2 * PIPELINED);
        for (int i = 0; i < PIPELINED; i++) {
            zk.setData("/pipe", bytes("" + i), -1, (rc, p, c, stat) -> done.countDown(), null);
            zk.getData("/pipe", false, (rc, p, c, data, stat) -> {
                versions.add(stat.getVersion());
                done.countDown();
            }, null);
        }
        Check.that(done.await(60, TimeUnit.SECONDS), done.getCount() + " replies are missing");
        for (int i = 0; i < PIPELINED; i++) {
            Check.equal(i + 1, versions.get(i), "version read behind write " + i);
        }
        zk.close();
    }

    private void multiCommits() throws Exception {
        Handle zk = Handle.open(server);
        List<OpResult> results = zk.multi(Arrays.asList(
                Op.create("/multi", bytes("m"), OPEN, PERSISTENT),
                Op.create("/multi/s-", null, OPEN, PERSISTENT_SEQUENTIAL),
                Op.setData("/multi", bytes("n"), 0),
                Op.check("/multi", 1),
                Op.create("/multi/gone", null, OPEN, PERSISTENT),
                Op.delete("/multi/gone", 0)));
        Check.equal("/multi", ((OpResult.CreateResult) results.get(0)).getPath(), "path");
        Check.equal("/multi/s-0000000000", ((OpResult.CreateResult) results.get(1)).getPath(), "sequential path");
        Check.equal(1, ((OpResult.SetDataResult) results.get(2)).getStat().getVersion(), "version");
        Check.that(results.get(3) instanceof OpResult.CheckResult, "check's result");
        Check.that(results.get(5) instanceof OpResult.DeleteResult, "delete's result");
        Stat stat = new Stat();
        Check.equal("n", new String(zk.getData("/multi", false, stat)), "data");
        long zxid = zk.exists("/multi/s-0000000000", false).getCzxid();
        Check.equal(stat.getCzxid(), zxid, "one zxid for all operations of a multi");
        Check.equal(2, zk.transaction().check("/multi", 1).delete("/multi/s-0000000000", -1).commit().size(),
                "results of a transaction");
        Check.equal(0, zk.multi(new ArrayList<Op>()).size(), "results of an empty multi");
        zk.close();
    }

    private void multiRollsBack() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/undo", bytes("keep"), OPEN, PERSISTENT);
        try {
            zk.multi(Arrays.asList(
                    Op.setData("/undo", bytes("lost"), 0),
                    Op.create("/undo/child", null, OPEN, PERSISTENT),
                    Op.delete("/undo/missing", -1),
                    Op.check("/undo", 0)));
            throw new AssertionError("the multi succeeded");
        } catch (KeeperException refusal) {
            Check.equal(Code.NONODE, refusal.code(), "error of the multi");
            List<Integer> codes = new ArrayList<>();
            for (OpResult result : refusal.getResults()) {
                codes.add(((OpResult.ErrorResult) result).getErr());
            }
            Check.equal(Arrays.asList(0, 0, -101, -2), codes, "error of each operation");
        }
        Stat stat = new Stat();
        Check.equal("keep", new String(zk.getData("/undo", false, stat)), "data");
        Check.equal(0, stat.getVersion(), "version");
        Check.equal(0, stat.getNumChildren(), "children");
        zk.close();
    }

    private void aclWorldAndDigest() throws Exception {
        Handle owner = Handle.open(server);
        Handle stranger = Handle.open(server);
        owner.create("/ro", bytes("r"), READ_ACL_UNSAFE, PERSISTENT);
        Check.equal("r", new String(stranger.getData("/ro", false, null)), "readable data");
        refused(Code.NOAUTH, () -> stranger.setData("/ro", bytes("x"), -1));
        refused(Code.NOAUTH, () -> stranger.create("/ro/c", null, OPEN, PERSISTENT));

        owner.addAuthInfo("digest", bytes("ann:secret"));
        owner.create("/mine", bytes("m"), CREATOR_ALL_ACL, PERSISTENT);
        owner.create("/mine/c", null, OPEN, PERSISTENT);
        refused(Code.NOAUTH, () -> stranger.getData("/mine", false, null));
        refused(Code.NOAUTH, () -> stranger.getChildren("/mine", false));
        refused(Code.NOAUTH, () -> stranger.delete("/mine/c", -1));
        refused(Code.NOAUTH, () -> stranger.setACL("/mine", OPEN, -1));
        stranger.addAuthInfo("digest", bytes("ann:wrong"));
        refused(Code.NOAUTH, () -> stranger.getData("/mine", false, null));
        stranger.addAuthInfo("digest", bytes("ann:secret"));
        Check.equal("m", new String(stranger.getData("/mine", false, null)), "data after addAuthInfo");

        Id ann = new Id("digest", DigestAuthenticationProvider.generateDigest("ann:secret"));
        Check.equal(Collections.singletonList(new ACL(Perms.ALL, ann)), owner.getACL("/mine", new Stat()), "ACL");
        stranger.close();
        owner.close();
    }

    private void aclInvalid() throws Exception {
        Handle zk = Handle.open(server);
        refused(Code.INVALIDACL, () -> zk.create("/bad", null, Collections.<ACL>emptyList(), PERSISTENT));
        refused(Code.INVALIDACL, () -> zk.create("/bad", null, CREATOR_ALL_ACL, PERSISTENT));
        List<ACL> unknown = Collections.singletonList(new ACL(Perms.ALL, new Id("nosuch", "x")));
        refused(Code.INVALIDACL, () -> zk.create("/bad", null, unknown, PERSISTENT));
        Check.equal(null, zk.exists("/bad", false), "nothing was created");
        zk.close();
    }

    private void aclIpAndVersion() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/ip", bytes("i"), Arrays.asList(
                new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE), new ACL(Perms.ALL, new Id("ip", "127.0.0.0/8"))), PERSISTENT);
        zk.setData("/ip", bytes("j"), -1);
        List<ACL> elsewhere = Arrays.asList(
                new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE), new ACL(Perms.WRITE, new Id("ip", "10.1.2.3")));
        refused(Code.BADVERSION, () -> zk.setACL("/ip", elsewhere, 5));
        Check.equal(1, zk.setACL("/ip", elsewhere, 0).getAversion(), "aversion");
        Stat stat = new Stat();
        Check.equal(elsewhere, zk.getACL("/ip", stat), "ACL");
        Check.equal(1, stat.getAversion(), "aversion read");
        refused(Code.NOAUTH, () -> zk.setData("/ip", bytes("k"), -1));
        zk.close();
    }

    private void authSuper() throws Exception {
        Handle owner = Handle.open(server);
        owner.addAuthInfo("digest", bytes("owner:pw"));
        owner.create("/locked", bytes("l"), CREATOR_ALL_ACL, PERSISTENT);
        owner.close();
        Handle zk = Handle.open(server);
        refused(Code.NOAUTH, () -> zk.getData("/locked", false, null));
        zk.addAuthInfo("digest", bytes("super:test"));
        Check.equal("l", new String(zk.getData("/locked", false, null)), "data for super");
        zk.setACL("/locked", OPEN, -1);
        zk.delete("/locked", -1);
        zk.close();
    }

    private void authUnknownScheme() throws Exception {
        Handle zk = Handle.open(server);
        zk.addAuthInfo("nosuch", bytes("x"));
        Check.eventually(60, "AUTH_FAILED", () -> zk.getState() == ZooKeeper.States.AUTH_FAILED);
        zk.vanish();
    }

    private void watchData() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        zk.create("/wd", null, OPEN, PERSISTENT);
        Handle.Events events = new Handle.Events();
        zk.getData("/wd", events, null);
        other.setData("/wd", bytes("1"), -1);
        events.expect(NodeDataChanged, "/wd");
        other.setData("/wd", bytes("2"), -1);
        zk.sync("/wd", (rc, p, c) -> {}, null);
        Check.equal("2", new String(zk.getData("/wd", events, null)), "data");
        events.expectNone();
        other.delete("/wd", -1);
        events.expect(NodeDeleted, "/wd");
        other.close();
        zk.close();
    }

    private void watchExists() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        Handle.Events events = new Handle.Events();
        Check.equal(null, zk.exists("/we", events), "stat");
        other.create("/we", null, OPEN, PERSISTENT);
        events.expect(NodeCreated, "/we");
        Check.that(zk.exists("/we", events) != null, "exists");
        other.create("/we/child", null, OPEN, PERSISTENT);
        other.delete("/we/child", -1);
        other.setData("/we", bytes("x"), -1);
        events.expect(NodeDataChanged, "/we");
        zk.exists("/we", events);
        other.delete("/we", -1);
        events.expect(NodeDeleted, "/we");
        // A failed getData leaves no watch, unlike exists.
        refused(Code.NONODE, () -> zk.getData("/we", events, null));
        other.create("/we", null, OPEN, PERSISTENT);
        zk.exists("/", false);
        events.expectNone();
        other.close();
        zk.close();
    }

    private void watchChildren() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        zk.create("/wc", null, OPEN, PERSISTENT);
        Handle.Events events = new Handle.Events();
        zk.getChildren("/wc", events);
        other.setData("/wc", bytes("x"), -1);
        other.create("/wc/a", null, OPEN, PERSISTENT);
        events.expect(NodeChildrenChanged, "/wc");
        zk.getChildren("/wc", events);
        other.setData("/wc/a", bytes("x"), -1);
        other.delete("/wc/a", -1);
        events.expect(NodeChildrenChanged, "/wc");
        zk.getChildren("/wc", events);
        Handle.Events data = new Handle.Events();
        zk.getData("/wc", data, null);
        other.delete("/wc", -1);
        events.expect(NodeDeleted, "/wc");
        data.expect(NodeDeleted, "/wc");
        zk.exists("/", false);
        events.expectNone();
        data.expectNone();
        other.close();
        zk.close();
    }

    private void watchBeforeLaterReply() throws Exception {
        Handle zk = Handle.open(server);
        Handle other = Handle.open(server);
        zk.create("/order", bytes("0"), OPEN, PERSISTENT);
        for (int i = 1; i <= 50; i++) {
            Handle.Events events = new Handle.Events();
            zk.getData("/order", events, null);
            byte[] value = bytes("" + i);
            other.setData("/order", value, -1, (rc, p, c, stat) -> {}, null);
            // Reads race with the write; the one that sees its result must come after its event. The
            // library hands events and replies of asynchronous calls to one thread, in wire order.
            boolean[] seen = new boolean[1];
            String[] fault = new String[1];
            while (!seen[0]) {
                CountDownLatch done = new CountDownLatch(1);
                zk.getData("/order", false, (rc, p, c, data, stat) -> {
                    seen[0] = Arrays.equals(value, data);
                    if (seen[0] && events.queue.isEmpty()) {
                        fault[0] = "the reply with the new data came before the event";
                    }
                    done.countDown();
                }, null);
                Check.that(done.await(60, TimeUnit.SECONDS), "a read was answered");
            }
            Check.equal(null, fault[0], "order");
        }
        other.close();
        zk.close();
    }

    /** The harness runs every server with tickTime=500 and maxSessionTimeout=20000. */
    private void sessionTimeoutBounds() throws Exception {
        Handle shortest = Handle.open(server, 10);
        Check.equal(1000, shortest.getSessionTimeout(), "shortest timeout");
        shortest.close();
        Handle longest = Handle.open(server, 1_000_000);
        Check.equal(20_000, longest.getSessionTimeout(), "longest timeout");
        longest.close();
        Handle between = Handle.open(server, 4321);
        Check.equal(4321, between.getSessionTimeout(), "timeout between");
        between.close();
    }

    /** A server that can write gives a session that can. */
    private void sessionThatMayBeReadOnly() throws Exception {
        ZooKeeper zk = new ZooKeeper(server, 20_000, event -> {}, true);
        Check.eventually(60, "connected", () -> zk.getState() == ZooKeeper.States.CONNECTED);
        zk.create("/rw-session", null, OPEN, EPHEMERAL);
        zk.close();
    }

    private void sessionReattach() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/kept", null, OPEN, EPHEMERAL);
        long id = zk.getSessionId();
        byte[] password = zk.getSessionPasswd();
        zk.vanish();
        Handle again = Handle.reattach(server, id, password);
        Check.equal(id, again.getSessionId(), "session id");
        Check.equal(id, again.exists("/kept", false).getEphemeralOwner(), "ephemeralOwner");
        again.close();
        Handle other = Handle.open(server);
        Check.equal(null, other.exists("/kept", false), "the ephemeral after close");
        other.close();
    }

    private void sessionWrongPassword() throws Exception {
        Handle zk = Handle.open(server);
        zk.create("/guarded", null, OPEN, EPHEMERAL);
        byte[] wrong = zk.getSessionPasswd().clone();
        wrong[3] ^= 1;
        Handle thief = Handle.reattachUnchecked(server, zk.getSessionId(), wrong);
        thief.events.expectState(KeeperState.Expired);
        // The attempt may cost the owner its connection (it does in Apache's server), never its session.
        long id = zk.getSessionId();
        Check.eventually(60, "the owner goes on", () -> {
            try {
                return zk.exists("/guarded", false).getEphemeralOwner() == id;
            } catch (KeeperException.ConnectionLossException again) {
                return false;
            }
        });
        Check.equal(id, zk.getSessionId(), "session id");
        thief.close();
        zk.close();
    }

    private void sessionClosedElsewhere() throws Exception {
        Handle zk = Handle.open(server);
        zk.events.expectState(KeeperState.SyncConnected);
        zk.create("/stolen", null, OPEN, EPHEMERAL);
        KeeperState state = KeeperState.SyncConnected;
        // The first handle comes back within a second. If that was before the other could close the
        // session, which takes long only on a busy machine, it has its session back: again then.
        for (int i = 0; i < 5 && state == KeeperState.SyncConnected; i++) {
            Handle.reattach(server, zk.getSessionId(), zk.getSessionPasswd()).close();
            zk.events.expectState(KeeperState.Disconnected);
            state = zk.events.nextState();
        }
        Check.equal(KeeperState.Expired, state, "state");
        refused(Code.SESSIONEXPIRED, () -> zk.exists("/", false));
        Handle other = Handle.open(server);
        Check.equal(null, other.exists("/stolen", false), "the ephemeral of the closed session");
        other.close();
    }

    private void sessionExpiresWhenSilent() throws Exception {
        Handle zk = Handle.open(server, 1500);
        Handle other = Handle.open(server);
        zk.create("/silent", null, OPEN, EPHEMERAL);
        other.exists("/silent", other.events);
        long id = zk.getSessionId();
        byte[] password = zk.getSessionPasswd();
        long start = System.nanoTime();
        zk.vanish();
        other.events.expect(NodeDeleted, "/silent");
        long lasted = (System.nanoTime() - start) / 1_000_000;
        // The session's last sign of life was at most a ping (500 ms) before `start`, and expiry is
        // counted in ticks.
        Check.that(lasted >= 900 && lasted < 15_000, "a session of 1500 ms lasted " + lasted + " ms");
        Handle late = Handle.reattachUnchecked(server, id, password);
        late.events.expectState(KeeperState.Expired);
        late.close();
        other.close();
    }

    private void reconnectTellsMissedEvents() throws Exception {
        Proxy proxy = new Proxy(server);
        Handle other = Handle.open(server);
        for (String path : Arrays.asList("/miss", "/miss/data", "/miss/gone", "/miss/quiet", "/miss/list")) {
            other.create(path, null, OPEN, PERSISTENT);
        }
        Handle zk = Handle.open(proxy.address());
        zk.events.expectState(KeeperState.SyncConnected);
        Handle.Events data = new Handle.Events();
        Handle.Events gone = new Handle.Events();
        Handle.Events quiet = new Handle.Events();
        Handle.Events list = new Handle.Events();
        Handle.Events made = new Handle.Events();
        zk.getData("/miss/data", data, null);
        zk.getData("/miss/gone", gone, null);
        zk.getData("/miss/quiet", quiet, null);
        zk.getChildren("/miss/list", list);
        zk.exists("/miss/made", made);
        long id = zk.getSessionId();

        proxy.cut();
        zk.events.expectState(KeeperState.Disconnected);
        other.setData("/miss/data", bytes("x"), -1);
        other.delete("/miss/gone", -1);
        other.create("/miss/list/c", null, OPEN, PERSISTENT);
        other.create("/miss/made", null, OPEN, PERSISTENT);
        proxy.heal();
        zk.events.expectState(KeeperState.SyncConnected);

        data.expect(NodeDataChanged, "/miss/data");
        gone.expect(NodeDeleted, "/miss/gone");
        list.expect(NodeChildrenChanged, "/miss/list");
        made.expect(NodeCreated, "/miss/made");
        Check.equal(id, zk.getSessionId(), "session id");
        zk.exists("/", false);
        quiet.expectNone();
        other.setData("/miss/quiet", bytes("x"), -1);
        quiet.expect(NodeDataChanged, "/miss/quiet");
        zk.close();
        other.close();
    }

    private void tooLargeRequestCostsTheConnection() throws Exception {
        Handle zk = Handle.open(server);
        zk.events.expectState(KeeperState.SyncConnected);
        zk.create("/toolarge", null, OPEN, PERSISTENT);
        long id = zk.getSessionId();
        refused(Code.CONNECTIONLOSS, () -> zk.setData("/toolarge", new byte[1_100_000], -1));
        zk.events.expectState(KeeperState.Disconnected);
        zk.events.expectState(KeeperState.SyncConnected);
        Check.equal(id, zk.getSessionId(), "session id");
        Check.equal(0, zk.exists("/toolarge", false).getVersion(), "version");
        zk.close();
    }

    private void restartKeepsSessionAndWatches() throws Exception {
        Handle zk = Handle.open(server, 20_000);
        zk.events.expectState(KeeperState.SyncConnected);
        zk.addAuthInfo("digest", bytes("rob:pw"));
        zk.create("/again", bytes("before"), OPEN, PERSISTENT);
        zk.create("/again/eph", null, OPEN, EPHEMERAL);
        zk.create("/again/mine", bytes("m"), CREATOR_ALL_ACL, PERSISTENT);
        Handle.Events data = new Handle.Events();
        Handle.Events list = new Handle.Events();
        Handle.Events made = new Handle.Events();
        zk.getData("/again", data, null);
        zk.getChildren("/again", list);
        zk.exists("/again/made", made);
        long id = zk.getSessionId();
        byte[] password = zk.getSessionPasswd();

        Check.restartServer();
        zk.events.expectState(KeeperState.Disconnected);
        zk.events.expectState(KeeperState.SyncConnected);

        Check.equal(id, zk.getSessionId(), "session id");
        Check.equal(password, zk.getSessionPasswd(), "password");
        Check.equal("before", new String(zk.getData("/again", false, null)), "data");
        Check.equal(id, zk.exists("/again/eph", false).getEphemeralOwner(), "ephemeralOwner");
        Check.equal("m", new String(zk.getData("/again/mine", false, null)), "data behind the digest");
        Handle other = Handle.open(server);
        Check.that(other.getSessionId() != id, "a new session has a new id");
        other.setData("/again", bytes("after"), -1);
        data.expect(NodeDataChanged, "/again");
        other.create("/again/made", null, OPEN, PERSISTENT);
        made.expect(NodeCreated, "/again/made");
        list.expect(NodeChildrenChanged, "/again");
        zk.close();
        Check.equal(null, other.exists("/again/eph", false), "the ephemeral after close");
        other.close();
    }
}
