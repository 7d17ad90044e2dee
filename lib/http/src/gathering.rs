//! A stream cut into equal parts: bytes are gathered until a part is full.

use bytes::{Bytes, BytesMut};

/// The part that is being filled.
pub struct Gathering {
    part_bytes: usize,
    gathered: BytesMut,
}

impl Gathering {
    /// Parts of this many bytes; at least one.
    #[must_use]
    pub fn new(part_bytes: u64) -> Self {
        Self { part_bytes: usize::try_from(part_bytes).unwrap_or(usize::MAX).max(1), gathered: BytesMut::new() }
    }

    /// Whether the part must go before more can come. It waits until more comes: a stream of exactly one part then needs
    /// one request only, and the last part is never empty.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.gathered.len() >= self.part_bytes
    }

    /// Takes what fits into this part; returns the rest.
    pub fn fill<'bytes>(&mut self, bytes: &'bytes [u8]) -> &'bytes [u8] {
        if self.gathered.capacity() == 0 {
            self.gathered.reserve(self.part_bytes);
        }
        let (now, later) = bytes.split_at(bytes.len().min(self.part_bytes.saturating_sub(self.gathered.len())));
        self.gathered.extend_from_slice(now);
        later
    }

    /// The first bytes of the part, which stay out of it then.
    pub fn split_off_first(&mut self, bytes: usize) -> Bytes {
        self.gathered.split_to(bytes.min(self.gathered.len())).freeze()
    }

    /// The part as far as it is filled; the next one begins.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.gathered).freeze()
    }

    /// Memory of a part that has arrived, for the next one.
    pub fn reuse(&mut self, memory: Option<BytesMut>) {
        if let Some(memory) = memory.filter(|_| self.gathered.is_empty()) {
            self.gathered = memory;
        }
    }
}

/// The memory of bytes that nobody else holds any more, emptied.
#[must_use]
pub fn memory_of(bytes: Bytes) -> Option<BytesMut> {
    bytes.try_into_mut().ok().map(|mut memory| {
        memory.clear();
        memory
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_part_waits_and_the_rest_comes_back() {
        let mut part = Gathering::new(4);
        assert_eq!(part.fill(b"abc"), b"");
        assert!(!part.is_full());
        assert_eq!(part.fill(b"defg"), b"efg");
        assert!(part.is_full());
        assert_eq!(part.take(), "abcd");
        assert!(part.take().is_empty());
    }

    #[test]
    fn memory_is_used_again() {
        let mut part = Gathering::new(4);
        part.fill(b"abcd");
        let sent = part.take();
        let address = sent.as_ptr();
        part.reuse(memory_of(sent));
        part.fill(b"ef");
        let again = part.take();
        assert_eq!((again.as_ptr(), &again[..]), (address, &b"ef"[..]));
    }

    #[test]
    fn what_others_hold_is_left_to_them() {
        let bytes = Bytes::from(vec![1, 2]);
        let held = bytes.clone();
        assert!(memory_of(bytes).is_none());
        assert_eq!(held.len(), 2);
    }
}
