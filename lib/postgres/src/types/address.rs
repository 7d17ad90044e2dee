//! inet, cidr, macaddr and macaddr8: their text, made and read here, because Parquet has no type for them.
//!
//! The binary form (`network_send` in PostgreSQL's network.c): the family, the bits of the mask, whether it is a cidr, and
//! the address with its length before it.

use super::Decoder;
use super::number::WRONG_LENGTH;
use super::text::parsed_encoder;
use super::values::strings;
use crate::encode::BoxedEncoder;
use arrow_array::Array;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `PGSQL_AF_INET`; that of IPv6 follows.
const FAMILY_4: u8 = 2;
const FAMILY_6: u8 = 3;

const NO_ADDRESS: &str = "is no address";

/// A cidr shows its mask always, an inet only where it is not the whole address: as the server prints them.
pub(super) fn network(is_cidr: bool) -> Box<dyn Decoder> {
    strings(move |value, out| {
        let (address, mask) = match *value {
            [FAMILY_4, mask, _, 4, a, b, c, d] => (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), mask),
            [FAMILY_6, mask, _, 16, ref bytes @ ..] => {
                let bytes: [u8; 16] = bytes.try_into().map_err(|_| WRONG_LENGTH.to_owned())?;
                (IpAddr::V6(Ipv6Addr::from(bytes)), mask)
            }
            _ => return Err(NO_ADDRESS.to_owned()),
        };
        if is_cidr || mask != whole(address) { write!(out, "{address}/{mask}") } else { write!(out, "{address}") }
            .map_err(|cause| cause.to_string())
    })
}

fn whole(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

pub(super) fn network_encoder(array: &dyn Array, is_cidr: bool) -> Option<BoxedEncoder<'_>> {
    parsed_encoder(array, move |text, out| {
        let (address, mask) = text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)));
        let address: IpAddr = address.parse().map_err(|_| NO_ADDRESS)?;
        let mask = mask.map_or(Ok(whole(address)), |mask| mask.parse::<u8>().map_err(|_| NO_ADDRESS))?;
        let family = if address.is_ipv4() { FAMILY_4 } else { FAMILY_6 };
        out.extend_from_slice(&[family, mask, u8::from(is_cidr)]);
        match address {
            IpAddr::V4(address) => {
                out.push(4);
                out.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                out.push(16);
                out.extend_from_slice(&address.octets());
            }
        }
        Ok(())
    })
}

/// Six or eight bytes in hexadecimal with colons.
pub(super) fn hardware(length: usize) -> Box<dyn Decoder> {
    strings(move |value, out| {
        if value.len() != length {
            return Err(WRONG_LENGTH.to_owned());
        }
        for (index, byte) in value.iter().enumerate() {
            if index > 0 {
                out.push(b':');
            }
            out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
        }
        Ok(())
    })
}

pub(super) fn hardware_encoder(array: &dyn Array, length: usize) -> Option<BoxedEncoder<'_>> {
    parsed_encoder(array, move |text, out| {
        let mut bytes = 0;
        for pair in text.split(':') {
            let two_digits = pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
            let byte = u8::from_str_radix(pair, 16).ok().filter(|_| two_digits);
            out.push(byte.ok_or(NO_ADDRESS)?);
            bytes += 1;
        }
        if bytes == length { Ok(()) } else { Err(NO_ADDRESS.to_owned()) }
    })
}
