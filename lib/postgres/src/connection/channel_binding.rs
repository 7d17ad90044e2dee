//! `tls-server-end-point` (RFC 5929): the hash of the server's certificate that SCRAM signs, so that nobody can sit between.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The hash by which the certificate itself was signed (SHA-256 in place of MD5 and SHA-1); `None` where there is no such one.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    // RFC 5280, 4.1: SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, … }, signature }
    let (content, _) = element(certificate, 0x30)?;
    let (_, after) = element(content, 0x30)?;
    let (algorithm, _) = element(after, 0x30)?;
    let (identifier, _) = element(algorithm, 0x06)?;
    /// 1.2.840.113549.1.1: RSA with a hash.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    /// 1.2.840.10045.4: ECDSA with a hash.
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    let by_prefix = (identifier.strip_prefix(RSA), identifier.strip_prefix(ECDSA));
    match by_prefix {
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => Some(Sha256::digest(certificate).to_vec()),
        (Some([12]), _) | (_, Some([3, 3])) => Some(Sha384::digest(certificate).to_vec()),
        (Some([13]), _) | (_, Some([3, 4])) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// One DER element with this tag: its content, and what follows it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = input.split_first()?;
    let (length, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    if *length < 0x80 {
        return rest.split_at_checked(usize::from(*length));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(*length & 0x7f))?;
    if digits.len() > 4 {
        return None;
    }
    rest.split_at_checked(digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(identifier: &[u8]) -> Vec<u8> {
        let mut inner = vec![0x30, 0x81, 0x80];
        inner.extend([7; 0x80]);
        inner.extend([
            0x30,
            u8::try_from(identifier.len()).unwrap() + 4,
            0x06,
            u8::try_from(identifier.len()).unwrap(),
        ]);
        inner.extend(identifier);
        inner.extend([0x05, 0x00, 0x03, 0x01, 0x00]);
        let mut outer = vec![0x30, 0x81, u8::try_from(inner.len()).unwrap()];
        outer.extend(inner);
        outer
    }

    #[test]
    fn the_hash_follows_the_signature() {
        const RSA: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
        const ECDSA: [u8; 6] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
        for (identifier, length) in [
            ([&RSA[..], &[5]].concat(), Some(32)),
            ([&RSA[..], &[11]].concat(), Some(32)),
            ([&RSA[..], &[12]].concat(), Some(48)),
            ([&RSA[..], &[13]].concat(), Some(64)),
            ([&RSA[..], &[10]].concat(), None),
            ([&ECDSA[..], &[1]].concat(), Some(32)),
            ([&ECDSA[..], &[3, 2]].concat(), Some(32)),
            ([&ECDSA[..], &[3, 4]].concat(), Some(64)),
            (vec![0x2b, 0x65, 0x70], None),
        ] {
            assert_eq!(server_end_point(&certificate(&identifier)).map(|hash| hash.len()), length, "{identifier:?}");
        }
        assert_eq!(server_end_point(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(server_end_point(b""), None);
    }
}
