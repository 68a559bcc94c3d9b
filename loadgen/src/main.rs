//! Client load for any ZooKeeper.

fn main() {}
