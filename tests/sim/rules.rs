//! The decision table of recovery, row by row, on disks damaged by hand.

use std::collections::BTreeMap;
use std::rc::Rc;

use ringkeeper::storage::block::{BLOCK_BYTES, SECTOR_BYTES};
use ringkeeper::storage::disk::{Completion, Name};
use ringkeeper::storage::log::{Log, LogConfig};
use ringkeeper::storage::open::{Opened, open_disk, truncate};
use ringkeeper::storage::segment;
use ringkeeper::storage::{Error, OpenConfig};
use ringkeeper::types::{Generation, Zxid};

use crate::disk::{Image, SimDisk};
use crate::rng::Rng;
use crate::store::CONFIG;

/// Where the first batch of a segment lies.
const FIRST: usize = 2 * BLOCK_BYTES;

/// Writes one transaction and waits for the disk.
fn write_one(disk: &mut SimDisk, log: &mut Log, zxid: Zxid, payload: &[u8]) {
    log.append(zxid, payload, Generation(1));
    settle(disk, log);
    assert_eq!(log.durable().zxid, zxid);
}

fn settle(disk: &mut SimDisk, log: &mut Log) {
    while !log.is_idle() {
        if let Some(order) = log.wants_segment() {
            segment::prepare(disk, order, &mut |_| {}).expect("a healthy disk");
            log.segment_ready(order);
        }
        while let Some(write) = log.next_write() {
            let op = write.op;
            disk.submit(&write).expect("a healthy disk");
            let write = log.write_of(op).expect("under way");
            let bytes = write.blocks.len() * BLOCK_BYTES;
            disk.finish(&write, bytes);
            log.complete(Completion { op, result: Ok(bytes) }).expect("a healthy disk");
        }
    }
}

/// A payload that tells its zxid and its history.
fn payload(history: u8, zxid: Zxid) -> Vec<u8> {
    let mut bytes = vec![history; 1500];
    bytes[..8].copy_from_slice(&zxid.0.to_le_bytes());
    bytes
}

/// Opens what is there and appends transactions up to `last`, one batch each.
fn grow(image: &Image, history: u8, last: i64) -> Image {
    let mut disk = SimDisk::from_image(image);
    let mut opened = open_disk(&mut disk, &CONFIG).expect("an undamaged disk");
    for zxid in opened.report.last.0 + 1..=last {
        let zxid = Zxid(zxid);
        write_one(&mut disk, &mut opened.log, zxid, &payload(history, zxid));
    }
    // All is durable: whatever a crash keeps is the same.
    disk.freeze().crash(&mut Rng::new(1))
}

/// All transactions that a start finds.
fn replay(image: &Image) -> Result<(Opened, BTreeMap<Zxid, Vec<u8>>), Error> {
    let mut disk = SimDisk::from_image(image);
    let mut opened = open_disk(&mut disk, &CONFIG)?;
    let mut found = BTreeMap::new();
    while let Some((zxid, payload)) = opened.tail.next(&mut disk)? {
        found.insert(zxid, payload.to_vec());
    }
    Ok((opened, found))
}

fn change(image: &Image, name: Name, at: usize, change: impl Fn(&mut [u8])) -> Image {
    let mut image = image.clone();
    let bytes = Rc::make_mut(image.files.get_mut(&name).expect("the file is there"));
    change(&mut bytes[at..]);
    image
}

/// Two histories of one directory number their segments alike. A segment of the one, put into the
/// other, has the right name, number and zxids; only the chain tells.
pub fn a_segment_of_another_history_is_refused() -> Result<(), String> {
    let common = grow(&Image::default(), 0, 3);
    let (ours, other) = (grow(&common, b'a', 60), grow(&common, b'b', 60));
    let mut segments: Vec<Name> = ours
        .files
        .keys()
        .filter(|name| matches!(name, Name::Segment(_)) && ours.files[name] != other.files[name])
        .copied()
        .collect();
    assert!(segments.len() > 3, "too few segments to swap one of the middle");
    segments.pop();
    for name in &segments[1..] {
        let mut swapped = ours.clone();
        swapped.files.insert(*name, other.files[name].clone());
        if let Ok((_, found)) = replay(&swapped) {
            return if found.values().any(|payload| payload.ends_with(b"b")) {
                Err(format!("{name} of another history was accepted"))
            } else {
                Err(format!("{name} was swapped and not missed"))
            };
        }
    }
    Ok(())
}

#[test]
fn a_swapped_segment_is_refused() {
    a_segment_of_another_history_is_refused().expect("refused");
}

/// Each row: what is damaged, and what a start says: how far it gets, or that acknowledged (or
/// perhaps acknowledged) transactions are damaged. Ten transactions, one batch of a block each
/// after the first; the last one was followed by nothing that speaks of it as durable.
#[test]
fn the_decision_table_of_a_damaged_log() {
    #[derive(Debug, PartialEq)]
    enum Says {
        EndsAt(i64),
        Acknowledged,
        Perhaps,
        Missing,
        Foreign,
        Newer,
    }
    use Says::*;
    let config =
        OpenConfig { log: LogConfig { first_segment_bytes: 128 << 10, ..CONFIG.log }, ..CONFIG };
    let mut disk = SimDisk::from_image(&Image::default());
    let mut opened = open_disk(&mut disk, &config).expect("a healthy disk");
    for zxid in (1..=10).map(Zxid) {
        write_one(&mut disk, &mut opened.log, zxid, &payload(b'x', zxid));
    }
    let quiet = disk.freeze().crash(&mut Rng::new(1));
    opened.log.mark();
    settle(&mut disk, &mut opened.log);
    let marked = disk.freeze().crash(&mut Rng::new(1));
    let later = grow(&quiet, b'x', 40);

    let log = Name::Segment(1);
    let batch = |zxid: usize| FIRST + (zxid - 1) * BLOCK_BYTES;
    let flip = |bytes: &mut [u8]| bytes[0] ^= 1;
    let no_block = |bytes: &mut [u8]| bytes[..BLOCK_BYTES].fill(0);
    let no_sector = |bytes: &mut [u8]| bytes[..SECTOR_BYTES].fill(0);
    let version = |bytes: &mut [u8]| {
        for copy in [0, BLOCK_BYTES] {
            bytes[copy + 8] = 9;
            let crc = crc32c::crc32c(&bytes[copy..copy + SECTOR_BYTES - 4]);
            bytes[copy + SECTOR_BYTES - 4..copy + SECTOR_BYTES].copy_from_slice(&crc.to_le_bytes());
        }
    };
    let foreign = {
        let mut new = CONFIG;
        new.new_identity.0 = [9; 16];
        let mut disk = SimDisk::from_image(&Image::default());
        open_disk(&mut disk, &new).expect("a healthy disk");
        disk.freeze().crash(&mut Rng::new(1))
    };
    let with = |image: &Image, name: Name, from: &Image| {
        let mut image = image.clone();
        image.files.insert(name, from.files[&log].clone());
        image
    };
    let without = |image: &Image, name: Name| {
        let mut image = image.clone();
        image.files.remove(&name);
        image
    };
    let flip_end = |bytes: &mut [u8]| bytes[100 + 1000] ^= 4;

    #[rustfmt::skip]
    let table = [
        ("nothing",                                     quiet.clone(),                                    EndsAt(10)),
        ("a later life",                                later.clone(),                                    EndsAt(40)),
        ("a bit of the first batch's header",           change(&quiet, log, batch(1), flip),              Acknowledged),
        ("a bit of a payload in the middle",            change(&quiet, log, batch(5), flip_end),          Acknowledged),
        ("a batch of the middle is zero",               change(&quiet, log, batch(5), no_block),          Acknowledged),
        ("a sector of the middle is zero",              change(&quiet, log, batch(5) + 512, no_sector),   Acknowledged),
        ("a bit of the last batch: who knows",          change(&quiet, log, batch(10), flip_end),         Perhaps),
        ("the last batch's second sector never came",   change(&quiet, log, batch(10) + 512, no_sector),  EndsAt(9)),
        ("the last batch never came",                   change(&quiet, log, batch(10), no_block),         EndsAt(9)),
        ("the same, but a mark says that it came",      change(&marked, log, batch(10), no_block),        Acknowledged),
        ("something behind the end",                    change(&quiet, log, batch(11), flip),             Perhaps),
        ("one copy of the header",                      change(&quiet, log, 0, flip),                     EndsAt(10)),
        ("the other copy",                              change(&quiet, log, BLOCK_BYTES, no_block),       EndsAt(10)),
        ("both copies",                                 change(&change(&quiet, log, 0, flip), log, BLOCK_BYTES, flip), Perhaps),
        ("both copies are zero, batches prove it",      change(&change(&later, log, 0, no_block), log, BLOCK_BYTES, no_block), Missing),
        ("a newer version",                             change(&quiet, log, 0, version),                  Newer),
        ("a segment of another directory",              with(&quiet, log, &foreign),                      Foreign),
        ("the only segment is gone",                    without(&quiet, log),                             Missing),
        ("the first segment is gone",                   without(&later, log),                             Missing),
        ("a segment of the middle is gone",             without(&later, Name::Segment(3)),                Missing),
        ("the mark that ends the first segment",        change(&later, log, batch(11), flip),             EndsAt(40)),
        ("metadata: one slot",                          change(&quiet, Name::Meta, 0, flip),              EndsAt(10)),
        ("metadata: both slots",                        change(&change(&quiet, Name::Meta, 0, flip), Name::Meta, BLOCK_BYTES, flip), Acknowledged),
        ("metadata is gone",                            without(&quiet, Name::Meta),                      Missing),
    ];
    for (what, image, expected) in table {
        let says = match replay(&image) {
            Ok((opened, found)) => {
                let all = found.keys().map(|zxid| zxid.0).eq(1..=opened.report.last.0);
                assert!(all, "{what}: a gap in {:?}", found.keys());
                EndsAt(opened.report.last.0)
            }
            Err(Error::Corrupt { acknowledged: true, .. }) => Acknowledged,
            Err(Error::Corrupt { acknowledged: false, .. }) => Perhaps,
            Err(Error::Missing { .. }) => Missing,
            Err(Error::Foreign { .. }) => Foreign,
            Err(Error::Newer { .. }) => Newer,
            Err(other) => panic!("{what}: {other}"),
        };
        assert_eq!(says, expected, "{what}");
    }
}

/// Every byte string is a legal log file for a reader that must not panic: each byte of a small
/// log is set to each of some values, and a start either works or says what is wrong.
#[test]
fn no_byte_of_a_file_makes_recovery_panic() {
    let image = grow(&Image::default(), b'x', 12);
    let mut outcomes = [0, 0];
    for name in image.files.keys() {
        for at in (0..image.files[name].len()).step_by(7) {
            for value in [0, 1, 0x7f, 0xff] {
                let damaged = change(&image, *name, at, |bytes| bytes[0] = value);
                outcomes[usize::from(replay(&damaged).is_ok())] += 1;
            }
        }
        for len in [0, 1, 511, 4096, 8191, 8192, 12288] {
            let mut image = image.clone();
            let bytes = Rc::make_mut(image.files.get_mut(name).expect("listed"));
            bytes.truncate(len);
            outcomes[usize::from(replay(&image).is_ok())] += 1;
        }
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

/// A directory on a full disk starts with what was kept in reserve, and says so; without a
/// reserve it says what it needs, changes nothing, and starts again when there is space.
#[test]
fn a_full_disk_starts_from_the_reserve() {
    use ringkeeper::storage::open::make_reserve;
    let image = grow(&Image::default(), b'x', 5);
    // A start gives back the segment that was prepared and never begun; not even that helps.
    let room = Some(-(48 << 10));
    let mut disk = SimDisk::from_image(&image);
    disk.set_room(room);
    let refused = open_disk(&mut disk, &CONFIG).err().expect("no reserve, no start");
    assert!(refused.is_full() && refused.to_string().contains("no space"), "{refused}");
    disk.set_room(None);
    let opened = open_disk(&mut disk, &CONFIG).expect("space has returned");
    assert_eq!((opened.report.last, opened.report.reserve_spent), (Zxid(5), false));

    let mut disk = SimDisk::from_image(&image);
    make_reserve(&mut disk, 64 << 10, &mut |_| {}).expect("space to begin with");
    disk.set_room(room);
    let mut opened = open_disk(&mut disk, &CONFIG).expect("starts on the reserve");
    assert!(opened.report.reserve_spent);
    assert_eq!(opened.report.last, Zxid(5));
    write_one(&mut disk, &mut opened.log, Zxid(6), b"still writing");
}

/// Four transactions of one batch, two taken back, two others in their place: a second truncation
/// to the third must keep the new third, though the dead one still lies in the old batch.
#[test]
fn what_was_truncated_stays_dead_in_the_next_truncation() {
    let mut disk = SimDisk::from_image(&Image::default());
    let mut opened = open_disk(&mut disk, &CONFIG).expect("a healthy disk");
    for zxid in (1..=4).map(Zxid) {
        opened.log.append(zxid, &payload(b'a', zxid)[..100], Generation(1));
    }
    settle(&mut disk, &mut opened.log);
    let mut opened = truncate(&mut disk, &CONFIG, opened.meta, Zxid(2)).expect("a healthy disk");
    for zxid in (3..=4).map(Zxid) {
        write_one(&mut disk, &mut opened.log, zxid, b"new");
    }
    let mut opened = truncate(&mut disk, &CONFIG, opened.meta, Zxid(3)).expect("a healthy disk");
    let mut found = Vec::new();
    while let Some((zxid, payload)) = opened.tail.next(&mut disk).expect("undamaged") {
        found.push((zxid.0, payload == b"new"));
    }
    assert_eq!(found, [(1, false), (2, false), (3, true)]);
}
