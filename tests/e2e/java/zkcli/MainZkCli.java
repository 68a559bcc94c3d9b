import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import org.apache.zookeeper.ZooKeeperMain;

/** Types at Apache's command line tool, what zkCli.sh starts, and reads what it prints. */
public final class MainZkCli {
    private static final int SECONDS = 60;

    private final ByteArrayOutputStream printed = new ByteArrayOutputStream();
    private final ZooKeeperMain cli;

    private MainZkCli(String server) throws Exception {
        Check.that(server != null, "an address"); // Loads the class while System.out is still the real one.
        PrintStream both = new PrintStream(printed, true, "UTF-8");
        System.setOut(both);
        System.setErr(both);
        cli = new ZooKeeperMain(new String[] {"-waitforconnection", "-timeout", "20000", "-server", server});
    }

    public static void main(String[] args) throws Exception {
        MainZkCli tool = new MainZkCli(args[0]);
        Check.run("create_and_get", tool::createAndGet);
        Check.run("create_modes", tool::createModes);
        Check.run("list", tool::list);
        Check.run("set_and_delete", tool::setAndDelete);
        Check.run("stat", tool::stat);
        Check.run("acl", tool::acl);
        Check.run("quota", tool::quota);
        Check.run("watch", tool::watch);
        Check.run("numbers_and_identities", tool::numbersAndIdentities);
        Check.run("config_reconfig_sync", tool::configReconfigSync);
        Check.exit();
    }

    /** Types a line; returns all that is printed meanwhile, without the line ends around it. */
    private String type(String line) throws Exception {
        printed.reset();
        cli.executeLine(line);
        return printed.toString("UTF-8").trim();
    }

    private void prints(String expected, String line) throws Exception {
        Check.equal(expected, type(line), line);
    }

    private void printsAlso(String part, String line) throws Exception {
        String all = type(line);
        Check.that(all.contains(part), line + " printed " + all + ", without " + part);
    }

    private void createAndGet() throws Exception {
        prints("Created /cli", "create /cli hello");
        prints("hello", "get /cli");
        printsAlso("dataVersion = 0", "get -s /cli");
        prints("Node already exists: /cli", "create /cli again");
        prints("Node does not exist: /none", "get /none");
    }

    private void createModes() throws Exception {
        String path = type("create -s /cli-s- x");
        Check.that(path.matches("Created /cli-s-\\d{10}"), path);
        prints("Created /cli-e", "create -e /cli-e x");
        prints("Ephemerals cannot have children: /cli-e/c", "create /cli-e/c x");
        prints("Created /cli-c", "create -c /cli-c");
        prints("Created /cli-t", "create -t 300 /cli-t x");
        Check.eventually(SECONDS, "the TTL znode goes", () -> type("get /cli-t").contains("does not exist"));
    }

    private void list() throws Exception {
        prints("Created /cli/b", "create /cli/b");
        prints("Created /cli/a", "create /cli/a");
        prints("Created /cli/a/deep", "create /cli/a/deep");
        prints("[a, b]", "ls /cli");
        prints("/cli\n/cli/a\n/cli/b\n/cli/a/deep", "ls -R /cli");
        printsAlso("numChildren = 2", "ls -s /cli");
    }

    private void setAndDelete() throws Exception {
        prints("", "set /cli world");
        prints("", "set -v 1 /cli again");
        prints("version No is not valid : /cli", "set -v 1 /cli x");
        prints("Node not empty: /cli", "delete /cli");
        prints("", "deleteall /cli/a");
        prints("[b]", "ls /cli");
        prints("", "delete /cli/b");
    }

    private void stat() throws Exception {
        String all = type("stat /cli");
        for (String part : new String[] {
            "cZxid = 0x", "cversion = 4", "dataVersion = 2", "aclVersion = 0", "ephemeralOwner = 0x0",
            "dataLength = 5", "numChildren = 0"
        }) {
            Check.that(all.contains(part), all + " has no " + part);
        }
    }

    private void acl() throws Exception {
        prints("'world,'anyone\n: cdrwa", "getAcl /cli");
        prints("", "addauth digest cli:pw");
        prints("", "setAcl /cli auth::cdrwa");
        prints("'digest,'cli:kobPDAqhLq2uK0tO1nGUzCJETfc=\n: cdrwa", "getAcl /cli");
        printsAlso("aclVersion = 1", "stat /cli");
    }

    private void quota() throws Exception {
        prints("Created /cliq", "create /cliq");
        prints("", "setquota -N 3 /cliq");
        prints("Created /cliq/a", "create /cliq/a");
        prints("Created /cliq/b", "create /cliq/b");
        prints("Quota has exceeded : /cliq/c", "create /cliq/c");
        printsAlso("Output stat for /cliq count=3,bytes=0", "listquota /cliq");
        prints("", "delquota -N /cliq");
        prints("Created /cliq/c", "create /cliq/c");
    }

    private void watch() throws Exception {
        prints("", "addWatch -m PERSISTENT /cli");
        type("set /cli watched");
        Check.eventually(SECONDS, "the event is printed",
                () -> printed.toString("UTF-8").contains("type:NodeDataChanged path:/cli"));
        type("removewatches /cli");
        Check.eventually(SECONDS, "the removal is printed",
                () -> printed.toString("UTF-8").contains("type:PersistentWatchRemoved path:/cli"));
    }

    private void numbersAndIdentities() throws Exception {
        prints("3", "getAllChildrenNumber /cliq");
        prints("[/cli-e]", "getEphemerals");
        printsAlso("digest: cli", "whoami");
        printsAlso("ip: 127.0.0.1", "whoami");
    }

    private void configReconfigSync() throws Exception {
        prints("", "config");
        prints("KeeperErrorCode = Reconfig is disabled", "reconfig -add server.9=127.0.0.1:2888:3888;2181");
        prints("Sync is OK", "sync /cli");
    }
}
