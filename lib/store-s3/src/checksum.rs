//! CRC-32 as S3 writes it: four bytes, big-endian, in base 64 (`x-amz-checksum-crc32`).

use aws_smithy_types::base64;

pub(crate) fn encode(crc32: u32) -> String {
    base64::encode(crc32.to_be_bytes())
}

/// `None` for anything else, such as the checksum of checksums `…-3` of a multipart object.
pub(crate) fn decode(text: &str) -> Option<u32> {
    let bytes = base64::decode(text).ok()?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_form() {
        // CRC-32 of "123456789", the check value of the Rocksoft catalogue.
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(encode(0xCBF4_3926), "y/Q5Jg==");
        assert_eq!(decode("y/Q5Jg=="), Some(0xCBF4_3926));
        assert_eq!(decode("y/Q5Jg==-3"), None);
    }
}
