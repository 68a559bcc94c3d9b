/** Runs the recipes of Curator 4. */
public final class Main43 {
    private Main43() {}

    public static void main(String[] args) {
        CuratorChecks checks = new CuratorChecks(args[0]);
        checks.runAll();
        Check.run("restart", checks::restart);
        Check.exit();
    }
}
