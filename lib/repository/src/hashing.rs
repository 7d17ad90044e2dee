//! Size and digests of an object, computed on a thread of their own while its bytes pass.

use crate::chunk::Chunk;
use md5::{Digest as _, Md5};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use vb_core::{Error, Result};
use vb_pipe::digest::{Digest, hexadecimal};

/// Pieces that may wait.
const WAITING: usize = 2;

/// Which digests are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digests {
    /// SHA-256, to verify.
    Sha256,
    /// MD5 as well, for a manifest.
    Both,
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hashes {
    pub(crate) size_bytes: u64,
    pub(crate) sha256: String,
    /// Empty if it was not wanted.
    pub(crate) md5: String,
}

/// The thread.
pub(crate) struct Hashing {
    feed: SyncSender<Chunk>,
    thread: JoinHandle<Hashes>,
}

impl Hashing {
    pub(crate) fn start(digests: Digests) -> Result<Self> {
        let (feed, chunks) = sync_channel::<Chunk>(WAITING);
        let hash = move || {
            let mut sha256 = Digest::default();
            let mut md5 = (digests == Digests::Both).then(Md5::new);
            for chunk in chunks {
                update(&mut sha256, &chunk);
                if let Some(md5) = &mut md5 {
                    md5.update(&*chunk);
                }
            }
            let md5 = md5.map(|md5| hexadecimal(&md5.finalize())).unwrap_or_default();
            Hashes { size_bytes: sha256.bytes(), sha256: sha256.sha256(), md5 }
        };
        let thread = std::thread::Builder::new().name("hashing".to_owned()).spawn(hash);
        Ok(Self { feed, thread: thread.map_err(|cause| Error::io("starting the hashing thread", cause))? })
    }

    pub(crate) fn update(&self, chunk: Chunk) -> Result<()> {
        self.feed.send(chunk).map_err(|_| ended())
    }

    pub(crate) fn finish(self) -> Result<Hashes> {
        drop(self.feed);
        self.thread.join().map_err(|_| ended())
    }
}

/// An object that holds the stream from its beginning needs no digest of its own: the reader's is of as many bytes then.
fn update(sha256: &mut Digest, chunk: &Chunk) {
    match chunk.digest().filter(|so_far| so_far.bytes() == sha256.bytes() + chunk.len() as u64) {
        Some(so_far) => so_far.clone_into(sha256),
        None => sha256.update(chunk),
    }
}

fn ended() -> Error {
    Error::failure("the hashing thread ended early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_examples() {
        let hashing = Hashing::start(Digests::Both).unwrap();
        hashing.update(Chunk::from(b"a".to_vec())).unwrap();
        hashing.update(Chunk::from(b"bc".to_vec())).unwrap();
        let hashes = hashing.finish().unwrap();
        assert_eq!(hashes.size_bytes, 3);
        assert_eq!(hashes.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(hashes.md5, "900150983cd24fb0d6963f7d28e17f72");
    }

    /// A stream of which an object has everything from `skip` on, in pieces that know the stream's digest.
    fn object_from(skip: usize) -> String {
        let (hashing, mut stream) = (Hashing::start(Digests::Sha256).unwrap(), Digest::default());
        let pieces = [&b"abc"[..], b"defgh", b"", b"ij"].map(|piece| {
            stream.update(piece);
            Chunk::from(piece.to_vec()).with_digest(stream.clone())
        });
        let (_, first) = pieces[0].split_at(skip);
        let (second, third) = pieces[1].split_at(2);
        for piece in [first, second, third, pieces[2].clone(), pieces[3].clone()] {
            hashing.update(piece).unwrap();
        }
        hashing.finish().unwrap().sha256
    }

    #[test]
    fn the_digest_is_the_objects_wherever_in_the_stream_it_begins() {
        for skip in 0..=3 {
            let mut expected = Digest::default();
            expected.update(&b"abcdefghij"[skip..]);
            assert_eq!(object_from(skip), expected.sha256(), "from byte {skip}");
        }
    }
}
