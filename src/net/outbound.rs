//! Memory for bytes that wait: taken while there is something to hold, given back when not.

/// Largest buffer that the pool keeps. Larger ones, grown by a big frame, go back to the system.
const BUFFER_BYTES_KEPT_MAX: usize = 64 << 10;

/// Bytes that the pool of one core keeps in all.
const POOL_BYTES_MAX: usize = 8 << 20;

/// Buffers of one core that nobody uses now.
#[derive(Debug, Default)]
pub(super) struct Pool {
    free: Vec<Vec<u8>>,
    bytes: usize,
}

impl Pool {
    /// An empty buffer, with memory if there was one.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let buffer = self.free.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Takes a buffer back; what is in it is forgotten.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity == 0
            || capacity > BUFFER_BYTES_KEPT_MAX
            || self.bytes + capacity > POOL_BYTES_MAX
        {
            return;
        }
        buffer.clear();
        self.bytes += capacity;
        self.free.push(buffer);
    }
}

/// What a connection has still to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbound {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(super) fn push(&mut self, bytes: &[u8], pool: &mut Pool) {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        }
        // A slow reader's queue is moved to the front when most of it is sent, so that its memory
        // follows what waits and not what has ever waited.
        if self.sent > 0 && self.sent >= self.len() {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The kernel took the first `count` unsent bytes.
    pub(super) fn advance(&mut self, count: usize, pool: &mut Pool) {
        assert!(count <= self.len(), "more was sent than waited");
        self.sent += count;
        if self.sent == self.bytes.len() {
            self.clear(pool);
        }
    }

    pub(super) fn clear(&mut self, pool: &mut Pool) {
        pool.give(std::mem::take(&mut self.bytes));
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_back_to_the_pool_and_is_used_again() {
        let mut pool = Pool::default();
        let mut out = Outbound::default();
        out.push(b"hello", &mut pool);
        out.advance(2, &mut pool);
        assert_eq!(out.unsent(), b"llo");
        out.push(b" world", &mut pool);
        assert_eq!(out.len(), 9);
        let memory = out.unsent().as_ptr();
        out.advance(9, &mut pool);
        assert!(out.is_empty());
        out.push(b"x", &mut pool);
        assert!(memory.addr() - out.unsent().as_ptr().addr() < 64);
        assert_eq!(pool.bytes, 0);
    }

    #[test]
    fn large_buffers_are_not_kept() {
        let mut pool = Pool::default();
        pool.give(Vec::with_capacity(BUFFER_BYTES_KEPT_MAX + 1));
        assert!(pool.free.is_empty());
        for _ in 0..1000 {
            pool.give(Vec::with_capacity(BUFFER_BYTES_KEPT_MAX));
        }
        assert_eq!(pool.free.len(), POOL_BYTES_MAX / BUFFER_BYTES_KEPT_MAX);
    }
}
