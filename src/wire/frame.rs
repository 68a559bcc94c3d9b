//! Where messages begin and end in a stream: a 4-byte length, then that many bytes.
//!
//! [`Frames`] cuts what arrived into frames. A frame that arrived whole is handed out where it
//! lies; only a part of one is kept, in memory that grows with what arrived, never with what a
//! length claims.

/// A length that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength(pub i32);

/// How long the length is, in bytes.
pub const PREFIX_BYTES: usize = 4;

/// Cuts the frames of one connection out of its stream.
#[derive(Debug)]
pub struct Frames {
    length_max: usize,
    /// What arrived and was not handed out, from `head` on.
    held: Vec<u8>,
    head: usize,
}

impl Frames {
    /// For frames of up to `length_max` bytes, length excluded.
    pub const fn new(length_max: usize) -> Self {
        Self { length_max, held: Vec::new(), head: 0 }
    }

    /// From now on, frames of up to `length_max` bytes. Applies to a frame under way, too.
    pub fn set_length_max(&mut self, length_max: usize) {
        self.length_max = length_max;
    }

    /// How many bytes are held back: a part of a frame, or what [`Frames::stash`] was given.
    pub fn held(&self) -> usize {
        self.held.len() - self.head
    }

    /// The first four bytes of what comes next, if they are there. Before the handshake they may
    /// be a four-letter word.
    pub fn peek(&self, input: &[u8]) -> Option<[u8; PREFIX_BYTES]> {
        let held = &self.held[self.head..];
        let mut bytes = held.iter().chain(input).copied();
        let mut word = [0; PREFIX_BYTES];
        for byte in &mut word {
            *byte = bytes.next()?;
        }
        Some(word)
    }

    /// The next frame, without its length. Takes from `input` what it needs; when it answers
    /// `None`, all of `input` was taken and more must arrive.
    ///
    /// After an error the stream cannot be understood any more.
    #[inline]
    pub fn next<'f, 'i: 'f>(
        &'f mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'f [u8]>, BadLength> {
        if self.head == self.held.len() {
            self.release();
            let whole: &'i [u8] = input;
            let Some((prefix, rest)) = whole.split_first_chunk::<PREFIX_BYTES>() else {
                self.stash(input);
                *input = &[];
                return Ok(None);
            };
            let length = self.length(*prefix)?;
            if let Some((frame, rest)) = rest.split_at_checked(length) {
                *input = rest;
                return Ok(Some(frame));
            }
            self.stash(input);
            *input = &[];
            return Ok(None);
        }
        self.next_held(input)
    }

    /// The same, when part of the frame is held.
    fn next_held(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>, BadLength> {
        self.take(input, PREFIX_BYTES);
        let Some((prefix, _)) = self.held[self.head..].split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = self.length(*prefix)?;
        self.take(input, PREFIX_BYTES + length);
        if self.held() < PREFIX_BYTES + length {
            return Ok(None);
        }
        let start = self.head + PREFIX_BYTES;
        self.head = start + length;
        Ok(Some(&self.held[start..self.head]))
    }

    /// Keeps `input` for later calls of [`Frames::next`], when its frames cannot be taken now.
    pub fn stash(&mut self, input: &[u8]) {
        if input.is_empty() {
            return;
        }
        self.compact();
        self.held.extend_from_slice(input);
    }

    /// Moves bytes from `input` until `wanted` are held, or `input` is empty.
    fn take(&mut self, input: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.held()).min(input.len());
        if missing > 0 {
            let (now, later) = input.split_at(missing);
            self.compact();
            self.held.extend_from_slice(now);
            *input = later;
        }
    }

    /// Moves what is held to the front, if that frees as much as it moves.
    fn compact(&mut self) {
        if self.head >= self.held() {
            self.held.drain(..self.head);
            self.head = 0;
        }
    }

    /// Nothing is held: an idle connection costs no memory.
    fn release(&mut self) {
        if self.held.capacity() > 0 {
            self.held = Vec::new();
            self.head = 0;
        }
    }

    fn length(&self, prefix: [u8; PREFIX_BYTES]) -> Result<usize, BadLength> {
        let length = i32::from_be_bytes(prefix);
        match usize::try_from(length) {
            Ok(count) if count <= self.length_max => Ok(count),
            _ => Err(BadLength(length)),
        }
    }
}

/// Starts a frame at the end of `out`; [`end`] is to be called with the result.
#[inline]
pub fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    start
}

/// Completes the frame that began at `start`.
#[inline]
pub fn end(out: &mut [u8], start: usize) {
    let length = out.len() - start - PREFIX_BYTES;
    let length = i32::try_from(length).expect("a frame is smaller than 2 GiB");
    out[start..start + PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
}
