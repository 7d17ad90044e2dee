//! The digests of an object in half of their text's room: a listing holds them for a hundred thousand backups.

use std::borrow::Cow;
use vb_pipe::digest::hexadecimal;

/// What a manifest says of an object's bytes: digests as text, usually lower-case hexadecimal of so many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Bytes {
        sha256: [u8; 32],
        md5: [u8; 16],
        crc32: Option<[u8; 4]>,
    },
    /// Of another form: manifests are not ours alone to write.
    Text(Box<Text>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    sha256: String,
    md5: String,
    crc32: Option<String>,
}

impl Digests {
    /// From their texts.
    #[must_use]
    pub fn new(sha256: &str, md5: &str, crc32: Option<&str>) -> Self {
        Self(bytes_of_all(sha256, md5, crc32).unwrap_or_else(|| {
            let (sha256, md5, crc32) = (sha256.to_owned(), md5.to_owned(), crc32.map(str::to_owned));
            Form::Text(Box::new(Text { sha256, md5, crc32 }))
        }))
    }

    /// The text again.
    #[must_use]
    pub fn sha256(&self) -> Cow<'_, str> {
        match &self.0 {
            Form::Bytes { sha256, .. } => hexadecimal(sha256).into(),
            Form::Text(text) => text.sha256.as_str().into(),
        }
    }

    /// The text again.
    #[must_use]
    pub fn md5(&self) -> Cow<'_, str> {
        match &self.0 {
            Form::Bytes { md5, .. } => hexadecimal(md5).into(),
            Form::Text(text) => text.md5.as_str().into(),
        }
    }

    /// The text again.
    #[must_use]
    pub fn crc32(&self) -> Option<Cow<'_, str>> {
        match &self.0 {
            Form::Bytes { crc32, .. } => crc32.as_ref().map(|crc32| hexadecimal(crc32).into()),
            Form::Text(text) => text.crc32.as_deref().map(Cow::from),
        }
    }
}

fn bytes_of_all(sha256: &str, md5: &str, crc32: Option<&str>) -> Option<Form> {
    let crc32 = match crc32 {
        Some(text) => Some(bytes_of(text)?),
        None => None,
    };
    Some(Form::Bytes { sha256: bytes_of(sha256)?, md5: bytes_of(md5)?, crc32 })
}

fn bytes_of<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    if text.len() != 2 * BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

    #[test]
    fn every_text_comes_back_and_digests_take_their_bytes() {
        let long = SHA256.replace("ba", "BA");
        for (sha256, md5, crc32, fits) in [
            (SHA256, MD5, Some("cbf43926"), true),
            (SHA256, MD5, None, true),
            (SHA256, MD5, Some("00ff10af"), true),
            (&long, MD5, None, false),
            (SHA256, "", Some("cbf43926"), false),
            (SHA256, MD5, Some("cbf4392g"), false),
            (SHA256, MD5, Some("0xcbf439"), false),
            ("ab", "cd", Some("éabcdef"), false),
        ] {
            let digests = Digests::new(sha256, md5, crc32);
            assert_eq!((&*digests.sha256(), &*digests.md5(), digests.crc32().as_deref()), (sha256, md5, crc32));
            assert_eq!(matches!(digests.0, Form::Bytes { .. }), fits, "{digests:?}");
        }
    }
}
