/** Runs what the Java client 3.5 offers. */
public final class Main35 {
    private Main35() {}

    public static void main(String[] args) {
        new Checks35(args[0]).runAll();
        new Checks34(args[0]).runAll();
        Check.exit();
    }
}
