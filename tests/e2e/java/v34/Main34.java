/** Runs what the Java client 3.4 offers. */
public final class Main34 {
    private Main34() {}

    public static void main(String[] args) {
        new Checks34(args[0]).runAll();
        Check.exit();
    }
}
