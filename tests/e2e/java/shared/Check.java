import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.concurrent.Callable;

/**
 * What every client program on the JVM shares: it runs named checks, prints one line for each
 * ("ok NAME" or "FAIL NAME why") and asks the harness to kill and restart the server.
 */
final class Check {
    interface Body {
        void run() throws Exception;
    }

    private static final BufferedReader STDIN =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    /** Kept, since a program may divert what its library prints. */
    private static final PrintStream OUT = System.out;

    private static boolean failed = false;

    private Check() {}

    static void run(String name, Body body) {
        try {
            body.run();
            say("ok " + name);
        } catch (Throwable why) {
            failed = true;
            StackTraceElement at = why.getStackTrace().length > 0 ? where(why) : null;
            say("FAIL " + name + " " + why.toString().replace('\n', ' ') + " at " + at);
            why.printStackTrace();
        }
    }

    /** Ends the program. Non-daemon threads of a client library must not keep it alive. */
    static void exit() {
        OUT.flush();
        Runtime.getRuntime().halt(failed ? 1 : 0);
    }

    /** Returns after the server was killed with SIGKILL and started again on the same port and data. */
    static void restartServer() throws Exception {
        say("restart");
        String answer = STDIN.readLine();
        equal("restarted", answer, "the harness's answer");
    }

    static void that(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void equal(Object expected, Object actual, String what) {
        if (!Objects.deepEquals(expected, actual)) {
            throw new AssertionError(what + ": expected " + expected + ", got " + actual);
        }
    }

    static void throwsA(Class<? extends Throwable> expected, Body body) {
        try {
            body.run();
        } catch (Throwable thrown) {
            equal(expected, thrown.getClass(), "exception (" + thrown + ")");
            return;
        }
        throw new AssertionError("expected " + expected.getSimpleName() + ", but it succeeded");
    }

    /** Polls until the condition holds; for states that no event announces. */
    static void eventually(int secondsMax, String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + secondsMax * 1_000_000_000L;
        while (!condition.call()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not within " + secondsMax + " s: " + what);
            }
            Thread.sleep(20);
        }
    }

    private static synchronized void say(String line) {
        OUT.println(line);
        OUT.flush();
    }

    /** The line of the check itself, not the one in this class or in the library. */
    private static StackTraceElement where(Throwable why) {
        for (StackTraceElement at : why.getStackTrace()) {
            if (!at.getClassName().equals("Check") && !at.getClassName().contains(".")) {
                return at;
            }
        }
        return why.getStackTrace()[0];
    }
}
