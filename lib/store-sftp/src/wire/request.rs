//! What we ask of the server, and how that reads as bytes.

use super::VERSION;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// To read it.
    Read,
    /// To write it; it must not exist yet.
    CreateNew,
}

impl Opening {
    fn flags(self) -> u32 {
        const READ: u32 = 0x01;
        const WRITE: u32 = 0x02;
        const CREATE: u32 = 0x08;
        const EXCLUSIVE: u32 = 0x20;
        match self {
            Self::Read => READ,
            Self::CreateNew => WRITE | CREATE | EXCLUSIVE,
        }
    }
}

/// A request. Paths are the server's; relative ones begin at the folder where a session starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request<'data> {
    Open {
        path: &'data str,
        how: Opening,
    },
    Close {
        handle: &'data [u8],
    },
    Read {
        handle: &'data [u8],
        offset: u64,
        length: u32,
    },
    Write {
        handle: &'data [u8],
        offset: u64,
        bytes: &'data [u8],
    },
    /// Of the name itself, even if it is a symbolic link.
    LookAt {
        path: &'data str,
    },
    /// Of what a symbolic link leads to.
    Follow {
        path: &'data str,
    },
    LookAtOpen {
        handle: &'data [u8],
    },
    OpenFolder {
        path: &'data str,
    },
    ReadFolder {
        handle: &'data [u8],
    },
    Remove {
        path: &'data str,
    },
    MakeFolder {
        path: &'data str,
    },
    RemoveFolder {
        path: &'data str,
    },
    Rename {
        from: &'data str,
        to: &'data str,
    },
    Link {
        from: &'data str,
        to: &'data str,
    },
    Sync {
        handle: &'data [u8],
    },
    FileSystem {
        path: &'data str,
    },
    Lengths,
}

/// The first packet of all, which has no number.
pub(crate) fn hello() -> Vec<u8> {
    [&[0, 0, 0, 5, 1][..], &VERSION.to_be_bytes()].concat()
}

/// Puts the packet of this request, which has this number, in place of what `packet` holds.
pub(crate) fn encode(request: &Request<'_>, number: u32, packet: &mut Vec<u8>) {
    packet.clear();
    packet.extend_from_slice(&[0; 4]);
    packet.push(kind(request));
    put_number(packet, number);
    match *request {
        Request::Open { path, how } => {
            put_bytes(packet, path.as_bytes());
            put_number(packet, how.flags());
            put_no_attributes(packet);
        }
        Request::Close { handle } | Request::ReadFolder { handle } | Request::LookAtOpen { handle } => {
            put_bytes(packet, handle);
        }
        Request::Read { handle, offset, length } => {
            put_bytes(packet, handle);
            packet.extend_from_slice(&offset.to_be_bytes());
            put_number(packet, length);
        }
        Request::Write { handle, offset, bytes } => {
            put_bytes(packet, handle);
            packet.extend_from_slice(&offset.to_be_bytes());
            put_bytes(packet, bytes);
        }
        Request::LookAt { path }
        | Request::Follow { path }
        | Request::OpenFolder { path }
        | Request::Remove { path }
        | Request::RemoveFolder { path } => put_bytes(packet, path.as_bytes()),
        Request::MakeFolder { path } => {
            put_bytes(packet, path.as_bytes());
            put_no_attributes(packet);
        }
        Request::Rename { from, to } => {
            put_bytes(packet, from.as_bytes());
            put_bytes(packet, to.as_bytes());
        }
        Request::Link { from, to } => put_extended(packet, "hardlink@openssh.com", &[from.as_bytes(), to.as_bytes()]),
        Request::Sync { handle } => put_extended(packet, "fsync@openssh.com", &[handle]),
        Request::FileSystem { path } => put_extended(packet, "statvfs@openssh.com", &[path.as_bytes()]),
        Request::Lengths => put_extended(packet, "limits@openssh.com", &[]),
    }
    let length = length_of(packet.len() - 4).to_be_bytes();
    packet[..4].copy_from_slice(&length);
}

fn kind(request: &Request<'_>) -> u8 {
    match request {
        Request::Open { .. } => 3,
        Request::Close { .. } => 4,
        Request::Read { .. } => 5,
        Request::Write { .. } => 6,
        Request::LookAt { .. } => 7,
        Request::LookAtOpen { .. } => 8,
        Request::OpenFolder { .. } => 11,
        Request::ReadFolder { .. } => 12,
        Request::Remove { .. } => 13,
        Request::MakeFolder { .. } => 14,
        Request::RemoveFolder { .. } => 15,
        Request::Follow { .. } => 17,
        Request::Rename { .. } => 18,
        Request::Link { .. } | Request::Sync { .. } | Request::FileSystem { .. } | Request::Lengths => 200,
    }
}

fn put_number(packet: &mut Vec<u8>, number: u32) {
    packet.extend_from_slice(&number.to_be_bytes());
}

fn put_bytes(packet: &mut Vec<u8>, bytes: &[u8]) {
    put_number(packet, length_of(bytes.len()));
    packet.extend_from_slice(bytes);
}

fn put_extended(packet: &mut Vec<u8>, name: &str, fields: &[&[u8]]) {
    put_bytes(packet, name.as_bytes());
    fields.iter().for_each(|field| put_bytes(packet, field));
}

/// The server's own defaults: its umask decides.
fn put_no_attributes(packet: &mut Vec<u8>) {
    put_number(packet, 0);
}

/// Our packets are of a few hundred kilobytes at most.
fn length_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_the_drafts() {
        let mut packet = vec![9; 100];
        encode(&Request::Read { handle: b"\x00\xff", offset: 258, length: 7 }, 5, &mut packet);
        let expected: [&[u8]; 6] =
            [&[0, 0, 0, 23, 5], &[0, 0, 0, 5], &[0, 0, 0, 2, 0, 255], &[0, 0, 0, 0, 0, 0, 1, 2], &[0, 0, 0, 7], &[]];
        assert_eq!(packet, expected.concat());
        encode(&Request::Open { path: "a", how: Opening::CreateNew }, 1, &mut packet);
        let expected: [&[u8]; 5] =
            [&[0, 0, 0, 18, 3], &[0, 0, 0, 1], &[0, 0, 0, 1, b'a'], &[0, 0, 0, 0x2a], &[0, 0, 0, 0]];
        assert_eq!(packet, expected.concat());
        encode(&Request::Lengths, 2, &mut packet);
        assert_eq!(packet[..13], [0, 0, 0, 27, 200, 0, 0, 0, 2, 0, 0, 0, 18]);
        assert_eq!(hello(), [0, 0, 0, 5, 1, 0, 0, 0, 3]);
    }
}
