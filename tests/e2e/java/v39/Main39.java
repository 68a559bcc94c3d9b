/** Runs what the Java client 3.9 offers. */
public final class Main39 {
    private Main39() {}

    public static void main(String[] args) {
        new Checks39(args[0]).runAll();
        new Checks35(args[0]).runAll();
        new Checks34(args[0]).runAll();
        Check.exit();
    }
}
