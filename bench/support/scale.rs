//! How much a bench does.

/// Whether this is a test run, which only shows that the bench still works: all but `cargo bench`,
/// which says so. Criterion has the same rule.
pub fn tiny() -> bool {
    !std::env::args().any(|arg| arg == "--bench")
}
