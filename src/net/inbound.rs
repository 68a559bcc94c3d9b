//! Cuts what arrives into frames: a big-endian length, then that many bytes.
//!
//! Whole frames are handed over where they lie. Bytes are copied only when a frame is not
//! complete yet, or when the one who takes them is not ready.

use super::outbound::Pool;

/// A frame's length prefix, in bytes.
const PREFIX_BYTES: usize = 4;

/// What one who takes frames says after each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Go on with the next frame.
    More,
    /// Took this one, and wants no other now.
    Last,
    /// Did not take this one; it will be shown again.
    Not,
}

/// Why bytes are no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadLength(pub(super) i32);

/// Bytes of one connection that were received and not handed over.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    kept: Vec<u8>,
}

impl Inbound {
    /// Nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Keeps bytes without looking at them.
    pub(super) fn keep(&mut self, bytes: &[u8], pool: &mut Pool) {
        if bytes.is_empty() {
            return;
        }
        if self.kept.capacity() == 0 {
            self.kept = pool.take();
        }
        self.kept.extend_from_slice(bytes);
    }

    pub(super) fn clear(&mut self, pool: &mut Pool) {
        pool.give(std::mem::take(&mut self.kept));
    }

    /// Hands all complete frames of what is kept and of `bytes` to `take`, until it wants no
    /// more; the rest is kept. No frame is longer than `limit`.
    pub(super) fn cut(
        &mut self,
        mut bytes: &[u8],
        limit: usize,
        pool: &mut Pool,
        mut take: impl FnMut(&[u8]) -> Taken,
    ) -> Result<(), BadLength> {
        // Usually a piece of one frame is kept: complete just that one, cut the rest in place.
        while !self.kept.is_empty() {
            for _prefix_then_body in 0..2 {
                let missing = missing(&self.kept, limit)?.min(bytes.len());
                let (head, tail) = bytes.split_at(missing);
                self.kept.extend_from_slice(head);
                bytes = tail;
            }
            let (used, ready) = cut(&self.kept, limit, &mut take)?;
            if used == self.kept.len() {
                self.clear(pool);
            } else {
                self.kept.drain(..used);
            }
            if !ready || bytes.is_empty() {
                self.keep(bytes, pool);
                return Ok(());
            }
        }
        let (used, _) = cut(bytes, limit, &mut take)?;
        self.keep(&bytes[used..], pool);
        Ok(())
    }
}

/// How many bytes the first frame in `bytes` lacks, as far as its length is known.
fn missing(bytes: &[u8], limit: usize) -> Result<usize, BadLength> {
    match bytes.first_chunk() {
        None => Ok(PREFIX_BYTES - bytes.len()),
        Some(prefix) => Ok((PREFIX_BYTES + length(*prefix, limit)?).saturating_sub(bytes.len())),
    }
}

fn length(prefix: [u8; PREFIX_BYTES], limit: usize) -> Result<usize, BadLength> {
    let length = i32::from_be_bytes(prefix);
    usize::try_from(length).ok().filter(|length| *length <= limit).ok_or(BadLength(length))
}

/// How many bytes were handed over, and whether more would have been taken.
fn cut(
    bytes: &[u8],
    limit: usize,
    take: &mut impl FnMut(&[u8]) -> Taken,
) -> Result<(usize, bool), BadLength> {
    let mut used = 0;
    while let Some((prefix, rest)) = bytes[used..].split_first_chunk() {
        let length = length(*prefix, limit)?;
        let Some(frame) = rest.get(..length) else { break };
        match take(frame) {
            Taken::Not => return Ok((used, false)),
            Taken::Last => return Ok((used + PREFIX_BYTES + length, false)),
            Taken::More => used += PREFIX_BYTES + length,
        }
    }
    Ok((used, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(frames: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        bytes
    }

    #[test]
    fn frames_come_out_whole_however_the_stream_is_split() {
        let frames: [&[u8]; 5] = [b"one", b"", b"a longer one", b"x", b"the last"];
        let bytes = stream(&frames);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let (mut inbound, mut pool) = (Inbound::default(), Pool::default());
                let mut seen: Vec<Vec<u8>> = Vec::new();
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    let take = |frame: &[u8]| {
                        seen.push(frame.to_vec());
                        Taken::More
                    };
                    inbound.cut(piece, 100, &mut pool, take).unwrap();
                }
                assert_eq!(seen, frames, "split at {first} and {second}");
                assert!(inbound.is_empty());
            }
        }
    }

    #[test]
    fn frames_not_taken_are_kept_in_order() {
        let frames: [&[u8]; 4] = [b"one", b"two", b"three", b"four"];
        let bytes = stream(&frames);
        for split in 0..=bytes.len() {
            let (mut inbound, mut pool) = (Inbound::default(), Pool::default());
            let mut seen: Vec<Vec<u8>> = Vec::new();
            // Takes one frame a call, and every other call refuses the first it is shown.
            for round in 0..12 {
                let piece = match round {
                    0 => &bytes[..split],
                    1 => &bytes[split..],
                    _ => &[],
                };
                let take = |frame: &[u8]| {
                    if round % 2 == 1 {
                        return Taken::Not;
                    }
                    seen.push(frame.to_vec());
                    Taken::Last
                };
                inbound.cut(piece, 100, &mut pool, take).unwrap();
            }
            assert_eq!(seen, frames, "split at {split}");
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_seen_before_its_bytes() {
        for (prefix, good) in [(100i32, true), (101, false), (-1, false), (i32::MIN, false)] {
            let (mut inbound, mut pool) = (Inbound::default(), Pool::default());
            let bytes = prefix.to_be_bytes();
            inbound.cut(&bytes[..3], 100, &mut pool, |_| Taken::More).unwrap();
            let result = inbound.cut(&bytes[3..], 100, &mut pool, |_| Taken::More);
            assert_eq!(result, if good { Ok(()) } else { Err(BadLength(prefix)) });
        }
    }
}
