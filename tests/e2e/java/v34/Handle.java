import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

/** One ZooKeeper handle that waits for its connection and can vanish without closing its session. */
final class Handle extends ZooKeeper {
    /** Collects the events of one watcher. */
    static final class Events implements Watcher {
        final BlockingQueue<WatchedEvent> queue = new LinkedBlockingQueue<>();

        @Override
        public void process(WatchedEvent event) {
            queue.add(event);
        }

        /** The next event that is about a znode, with its type and path checked. */
        WatchedEvent expect(EventType type, String path) throws Exception {
            while (true) {
                WatchedEvent event = queue.poll(SECONDS_MAX, TimeUnit.SECONDS);
                Check.that(event != null, "no event came, expected " + type + " " + path);
                if (event.getType() != EventType.None) {
                    Check.equal(type + " " + path, event.getType() + " " + event.getPath(), "event");
                    return event;
                }
            }
        }

        /** The next change of the connection's state must be this one. */
        void expectState(KeeperState state) throws Exception {
            Check.equal(state, nextState(), "state");
        }

        KeeperState nextState() throws Exception {
            while (true) {
                WatchedEvent event = queue.poll(SECONDS_MAX, TimeUnit.SECONDS);
                Check.that(event != null, "the connection's state did not change");
                if (event.getType() == EventType.None) {
                    return event.getState();
                }
            }
        }

        /** No event about a znode is there. Call it after a later round trip on the same handle. */
        void expectNone() throws Exception {
            WatchedEvent event = queue.poll(100, TimeUnit.MILLISECONDS);
            while (event != null && event.getType() == EventType.None) {
                event = queue.poll();
            }
            Check.that(event == null, "an event that should not be: " + event);
        }
    }

    private static final int SECONDS_MAX = 60;

    final Events events;
    private final CountDownLatch connected;

    private Handle(String servers, int timeoutMs, Events events, CountDownLatch connected) throws Exception {
        super(servers, timeoutMs, watcher(events, connected));
        this.events = events;
        this.connected = connected;
    }

    private Handle(String servers, int timeoutMs, Events events, CountDownLatch connected, long id, byte[] password)
            throws Exception {
        super(servers, timeoutMs, watcher(events, connected), id, password);
        this.events = events;
        this.connected = connected;
    }

    private static Watcher watcher(Events events, CountDownLatch connected) {
        return event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
            events.process(event);
        };
    }

    static Handle open(String servers, int timeoutMs) throws Exception {
        return new Handle(servers, timeoutMs, new Events(), new CountDownLatch(1)).awaitConnected();
    }

    static Handle open(String servers) throws Exception {
        return open(servers, 20_000);
    }

    static Handle reattach(String servers, long id, byte[] password) throws Exception {
        return reattachUnchecked(servers, id, password).awaitConnected();
    }

    /** As `reattach`, for an attempt that the server must refuse. */
    static Handle reattachUnchecked(String servers, long id, byte[] password) throws Exception {
        return new Handle(servers, 20_000, new Events(), new CountDownLatch(1), id, password);
    }

    /** Closes the socket and stops the threads; the server is not told, the session lives on. */
    void vanish() {
        cnxn.disconnect();
    }

    private Handle awaitConnected() throws Exception {
        Check.that(connected.await(SECONDS_MAX, TimeUnit.SECONDS), "not connected within " + SECONDS_MAX + " s");
        return this;
    }
}
