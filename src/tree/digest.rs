//! The digest by which trees are compared: Apache's, number for number (quorum-and-disk section 10,
//! `DigestCalculator.java` and `AdHash.java` of 3.9).
//!
//! A znode's digest is the CRC-32 of its path, data and numbers; a tree's is the sum of them all,
//! kept up to date by subtracting a znode before it changes and adding it afterwards.

use super::znode::Persisted;

/// What a fresh tree has.
pub const FRESH: i64 = 1_371_985_504;

/// Whether a znode counts. Those below /zookeeper are each server's own.
pub fn is_counted(path: &str) -> bool {
    !path.starts_with("/zookeeper/")
}

/// One znode's part, whether it counts or not.
pub fn of_znode(path: &str, data: Option<&[u8]>, stat: &Persisted) -> u32 {
    of_numbers(of_prefix(path, data), stat)
}

/// The part over path and data alone, from which [`of_numbers`] goes on.
pub fn of_prefix(path: &str, data: Option<&[u8]>) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(if path == "/" { b"" } else { path.as_bytes() });
    crc.update(data.unwrap_or_default());
    crc.finalize()
}

/// A znode's part, from the part over its path and data.
pub fn of_numbers(prefix: u32, stat: &Persisted) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(prefix);
    let mut numbers = [0; 60];
    let longs = [stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime, stat.mtime];
    for (to, long) in numbers.chunks_exact_mut(8).zip(longs) {
        to.copy_from_slice(&long.to_be_bytes());
    }
    let ints = [stat.version, stat.cversion, stat.aversion];
    for (to, int) in numbers[40..].chunks_exact_mut(4).zip(ints) {
        to.copy_from_slice(&int.to_be_bytes());
    }
    numbers[52..].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    crc.update(&numbers);
    crc.finalize()
}

/// `digest` with a znode's part taken out or put in.
pub fn minus(digest: i64, part: u32) -> i64 {
    digest.wrapping_sub(i64::from(part))
}

/// See [`minus`].
pub fn plus(digest: i64, part: u32) -> i64 {
    digest.wrapping_add(i64::from(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Zxid;

    /// The vectors of quorum-and-disk section 15, from running Apache servers.
    #[test]
    fn digest_is_apaches() {
        let zero = Persisted::default();
        assert_eq!(of_znode("/", Some(b""), &zero), 68_323_592);
        assert_eq!(of_znode("/zookeeper", None, &zero), 1_303_661_912);
        let fresh = plus(plus(0, 68_323_592), 1_303_661_912);
        assert_eq!(fresh, FRESH);
        let stat = Persisted {
            czxid: Zxid(2),
            mzxid: Zxid(8),
            pzxid: Zxid(4),
            ctime: 1000,
            mtime: 2000,
            version: 1,
            cversion: 2,
            ..zero
        };
        assert_eq!(of_znode("/a", Some(b"world"), &stat), 712_289_874);
        assert!(is_counted("/zookeeper"));
        assert!(!is_counted("/zookeeper/quota"));
    }
}
