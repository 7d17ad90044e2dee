//! What the server answers, read from bytes that are not trusted.

use super::Malformed;

type Parsed<T> = Result<T, Malformed>;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(Status),
    /// What the server calls an open file or folder.
    Handle(Vec<u8>),
    Data(Vec<u8>),
    Names(Vec<Entry>),
    Attributes(Attributes),
    /// To a request of an extension.
    Extended(Vec<u8>),
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: u32,
    /// The server's words; OpenSSH has one for each code and no more.
    pub(crate) message: String,
}

impl Status {
    pub(crate) const OK: u32 = 0;
    pub(crate) const END: u32 = 1;
    pub(crate) const NO_SUCH_FILE: u32 = 2;
    pub(crate) const PERMISSION_DENIED: u32 = 3;
    pub(crate) const FAILURE: u32 = 4;
    pub(crate) const BAD_MESSAGE: u32 = 5;
    pub(crate) const NO_CONNECTION: u32 = 6;
    pub(crate) const CONNECTION_LOST: u32 = 7;
    pub(crate) const UNSUPPORTED: u32 = 8;
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) attributes: Attributes,
}

/// What the server says of a file; a part of it may be missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) size_bytes: Option<u64>,
    pub(crate) mode: Option<u32>,
    /// Seconds since 1970.
    pub(crate) modified: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Regular,
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a socket, ….
    Other,
}

impl Attributes {
    /// `None` where the server does not tell.
    pub(crate) fn kind(&self) -> Option<FileKind> {
        Some(match self.mode? & 0o170_000 {
            0o100_000 => FileKind::Regular,
            0o040_000 => FileKind::Folder,
            0o120_000 => FileKind::Link,
            0 => return None,
            _ => FileKind::Other,
        })
    }
}

/// The first packet of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version: u32,
    /// Names of extensions; a name may come with several versions.
    pub(crate) extensions: Vec<String>,
}

impl Hello {
    /// From a packet without its length.
    pub(crate) fn parse(packet: &[u8]) -> Parsed<Self> {
        let mut rest = Rest(packet);
        if rest.byte()? != 2 {
            return Err(Malformed);
        }
        let mut hello = Self { version: rest.number()?, extensions: Vec::new() };
        while !rest.0.is_empty() {
            hello.extensions.push(String::from_utf8_lossy(rest.bytes()?).into_owned());
            rest.bytes()?;
        }
        Ok(hello)
    }
}

/// The most bytes of data that one request may move (`limits@openssh.com`); zero where the server does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub(crate) read: u64,
    pub(crate) write: u64,
}

impl Lengths {
    pub(crate) fn parse(extended: &[u8]) -> Parsed<Self> {
        let mut rest = Rest(extended);
        let _whole_packet = rest.long()?;
        Ok(Self { read: rest.long()?, write: rest.long()? })
    }
}

/// How full the file system is (`statvfs@openssh.com`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileSystem {
    pub(crate) free_bytes: u64,
    /// That no further file can be made; some file systems have no such number.
    pub(crate) no_more_files: bool,
    pub(crate) read_only: bool,
}

impl FileSystem {
    pub(crate) fn parse(extended: &[u8]) -> Parsed<Self> {
        let mut rest = Rest(extended);
        let mut fields = [0; 11];
        for field in &mut fields {
            *field = rest.long()?;
        }
        let [_, block_bytes, _, _, free_blocks, files, _, free_files, _, flags, _] = fields;
        Ok(Self {
            free_bytes: free_blocks.saturating_mul(block_bytes),
            no_more_files: files > 0 && free_files == 0,
            read_only: flags & 1 != 0,
        })
    }
}

impl Reply {
    /// The request's number and the answer, from a packet without its length.
    pub(crate) fn parse(packet: &[u8]) -> Parsed<(u32, Self)> {
        let mut rest = Rest(packet);
        let (kind, number) = (rest.byte()?, rest.number()?);
        let reply = match kind {
            101 => {
                let code = rest.number()?;
                // Servers of old leave the words out.
                let message = rest.bytes().map(|words| String::from_utf8_lossy(words).into_owned());
                Self::Status(Status { code, message: message.unwrap_or_default() })
            }
            102 => Self::Handle(rest.bytes()?.to_vec()),
            103 => Self::Data(rest.bytes()?.to_vec()),
            104 => {
                let count = rest.number()?;
                Self::Names((0..count).map(|_| rest.entry()).collect::<Parsed<_>>()?)
            }
            105 => Self::Attributes(rest.attributes()?),
            201 => Self::Extended(rest.0.to_vec()),
            _ => return Err(Malformed),
        };
        Ok((number, reply))
    }
}

/// The part of a packet that is not read yet.
struct Rest<'packet>(&'packet [u8]);

impl<'packet> Rest<'packet> {
    fn take(&mut self, length: usize) -> Parsed<&'packet [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Parsed<u8> {
        self.take(1)?.first().copied().ok_or(Malformed)
    }

    fn number(&mut self) -> Parsed<u32> {
        self.take(4)?.try_into().map(u32::from_be_bytes).map_err(|_| Malformed)
    }

    fn long(&mut self) -> Parsed<u64> {
        self.take(8)?.try_into().map(u64::from_be_bytes).map_err(|_| Malformed)
    }

    fn bytes(&mut self) -> Parsed<&'packet [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    fn entry(&mut self) -> Parsed<Entry> {
        let name = self.bytes()?.to_vec();
        let _line_for_people = self.bytes()?;
        Ok(Entry { name, attributes: self.attributes()? })
    }

    fn attributes(&mut self) -> Parsed<Attributes> {
        let flags = self.number()?;
        let mut attributes = Attributes::default();
        if flags & 0x01 != 0 {
            attributes.size_bytes = Some(self.long()?);
        }
        if flags & 0x02 != 0 {
            let _user_and_group = self.long()?;
        }
        if flags & 0x04 != 0 {
            attributes.mode = Some(self.number()?);
        }
        if flags & 0x08 != 0 {
            let _read_at = self.number()?;
            attributes.modified = Some(self.number()?);
        }
        if flags & 0x8000_0000 != 0 {
            for _ in 0..self.number()? {
                let (_name, _value) = (self.bytes()?, self.bytes()?);
            }
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with two names: one with all attributes, one with none and no UTF-8.
    fn names() -> Vec<u8> {
        let parts: [&[u8]; 9] = [
            &[104, 0, 0, 0, 7, 0, 0, 0, 2],
            &[0, 0, 0, 1, b'a', 0, 0, 0, 2, b'l', b's'],
            &[0x80, 0, 0, 0x0f],
            &[0, 0, 0, 0, 0, 0, 1, 0],
            &[0, 0, 0, 1, 0, 0, 0, 2],
            &[0, 0, 0x81, 0xa4],
            &[0, 0, 0, 5, 0, 0, 0, 6],
            &[0, 0, 0, 1, 0, 0, 0, 1, b'x', 0, 0, 0, 0],
            &[0, 0, 0, 1, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        parts.concat()
    }

    #[test]
    fn names_come_with_what_the_server_says_of_them() {
        let attributes = Attributes { size_bytes: Some(256), mode: Some(0o100_644), modified: Some(6) };
        let expected = vec![
            Entry { name: b"a".to_vec(), attributes },
            Entry { name: vec![0xff], attributes: Attributes::default() },
        ];
        assert_eq!(Reply::parse(&names()), Ok((7, Reply::Names(expected))));
        assert_eq!(attributes.kind(), Some(FileKind::Regular));
        assert_eq!(Attributes::default().kind(), None);
    }

    #[test]
    fn a_packet_cut_anywhere_is_malformed() {
        let whole = names();
        for length in 0..whole.len() {
            assert_eq!(Reply::parse(&whole[..length]), Err(Malformed), "{length}");
        }
        assert_eq!(Reply::parse(&[99, 0, 0, 0, 1]), Err(Malformed));
        assert_eq!(Reply::parse(&[103, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 1]), Err(Malformed));
    }

    #[test]
    fn a_status_may_have_no_words() {
        let status = Status { code: Status::FAILURE, message: String::new() };
        assert_eq!(Reply::parse(&[101, 0, 0, 0, 1, 0, 0, 0, 4]), Ok((1, Reply::Status(status))));
    }

    #[test]
    fn the_hello_lists_extensions() {
        let packet = [&[2, 0, 0, 0, 3, 0, 0, 0, 1, b'a', 0, 0, 0, 1, b'1'][..]].concat();
        assert_eq!(Hello::parse(&packet), Ok(Hello { version: 3, extensions: vec!["a".to_owned()] }));
        assert_eq!(Hello::parse(&packet[..9]), Err(Malformed));
    }

    #[test]
    fn a_file_system_says_what_is_free() {
        let fields = [1_u64, 4096, 9, 9, 10, 9, 9, 0, 9, 1, 255];
        let bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
        let found = FileSystem::parse(&bytes).unwrap();
        assert_eq!((found.free_bytes, found.no_more_files, found.read_only), (40_960, true, true));
        assert_eq!(FileSystem::parse(&bytes[..80]), Err(Malformed));
    }
}
