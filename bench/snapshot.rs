//! What a snapshot costs: the freeze (the only part that a writer waits for), writing the image,
//! opening it again, and the first lookup in a tree that was just loaded.
//!
//! In memory at 100,000 and 1,000,000 znodes, or at `ZNODES`. With `DISK=/some/folder` also as a
//! real file: published, mapped and verified as at a start.

#[path = "support/forest.rs"]
mod forest;
#[path = "support/scale.rs"]
mod scale;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use forest::Forest;
use ringkeeper::storage::block::Blocks;
use ringkeeper::storage::driver::{Dirs, RealDisk};
use ringkeeper::storage::map::FileBytes;
use ringkeeper::storage::snapshot::{Image as _, Sink, Snapshot, publish};
use ringkeeper::storage::snapshot_format::SectionKind;
use ringkeeper::storage::tree_image::tree_of;
use ringkeeper::storage::{Error, Identity};
use ringkeeper::tree::{Config, Image, Tree};

const IDENTITY: Identity = Identity([7; 16]);

/// Times of each step are medians of so many rounds.
const ROUNDS: usize = 5;

/// Threads that verify, as the server has them on a machine of two CPUs.
const VERIFY_THREADS: usize = 2;

/// The memory that a snapshot is written to, aligned as a mapped file is.
struct Memory(Blocks);

impl Sink for Memory {
    fn begin(&mut self, _: SectionKind) -> Result<(), Error> {
        self.0.pad_to_block();
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.extend(bytes);
        Ok(())
    }
}

struct Shared(FileBytes);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn timed<T>(times: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    times.push(start.elapsed());
    result
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn first_lookup(times: &mut Vec<Duration>, forest: &mut Forest, tree: &Tree) {
    let path = forest.path(forest.znodes / 2).to_owned();
    let found = timed(times, || {
        let id = tree.find(&path).expect("it was created");
        black_box((tree.data(id).map(|data| data[0]), tree.stat(id))).0
    });
    assert_eq!(found, Some(b'x'));
}

fn in_memory(forest: &mut Forest) {
    let [mut freeze, mut write, mut load, mut lookup] = [const { Vec::new() }; 4];
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let image: Image = timed(&mut freeze, || forest.owner.freeze());
        bytes = usize::try_from(image.len()).expect("it fits into memory");
        // The memory is there before the clock runs, as a file's chunk is.
        let mut memory = Memory(Blocks::with_capacity(bytes));
        timed(&mut write, || image.write(&mut memory)).expect("memory takes everything");
        assert_eq!(memory.0.len(), bytes);
        let file = Bytes::from_owner(Shared(FileBytes::read(memory.0)));
        let tree = timed(&mut load, || Tree::from_image(Config::default(), &file));
        let tree = tree.expect("it is whole");
        assert_eq!(tree.digest(), forest.owner.digest());
        first_lookup(&mut lookup, forest, &tree);
    }
    println!(
        "{} znodes, {} MiB in memory: freeze {:?}, write {:?}, load {:?}, first lookup {:?}",
        forest.znodes,
        bytes >> 20,
        median(freeze),
        median(write),
        median(load),
        median(lookup)
    );
}

fn on_disk(forest: &mut Forest, folder: &Path) {
    let folder = folder.join(format!("ringkeeper-snapshot-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("DISK names a folder that can be written");
    let dirs = Dirs { log: folder.clone(), snapshots: folder.clone() };
    let mut disk = RealDisk::open(dirs, true).expect("the folder can be written");
    let [mut write, mut open, mut load, mut lookup] = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let image = forest.owner.freeze();
        let published = timed(&mut write, || publish(&mut disk, IDENTITY, &image, &mut |_| {}));
        let zxid = published.expect("there is room").zxid;
        let opened = timed(&mut open, || Snapshot::open(&mut disk, IDENTITY, zxid, VERIFY_THREADS));
        let opened = opened.expect("it was just verified");
        let tree = timed(&mut load, || tree_of(&opened, Config::default())).expect("it is whole");
        first_lookup(&mut lookup, forest, &tree);
    }
    println!(
        "{} znodes on disk: publish {:?}, map and verify {:?}, load {:?}, first lookup {:?}",
        forest.znodes,
        median(write),
        median(open),
        median(load),
        median(lookup)
    );
    let _ = std::fs::remove_dir_all(&folder);
}

fn main() {
    let chosen = std::env::var("ZNODES").ok().and_then(|count| count.parse().ok());
    let sizes = match chosen {
        Some(znodes) => vec![znodes],
        None if scale::tiny() => vec![10_000],
        None => vec![100_000, 1_000_000],
    };
    for znodes in sizes {
        let mut forest = Forest::new(znodes);
        in_memory(&mut forest);
        if let Some(folder) = std::env::var_os("DISK") {
            on_disk(&mut forest, Path::new(&folder));
        }
    }
}
