//! A value in binary form from one server, made one of another's: types that users made have other oids there.

use super::ColumnType;
use super::number::WRONG_LENGTH;

impl ColumnType {
    /// Puts this server's oids into a value, which is in another's binary form.
    ///
    /// # Errors
    /// If it is no value of this type.
    pub fn adopt(&self, value: &mut [u8]) -> Result<(), String> {
        match self {
            Self::Array(element, oid) => {
                let dimensions = number(value, 0)?;
                value.get_mut(8..12).ok_or(WRONG_LENGTH)?.copy_from_slice(&oid.to_be_bytes());
                if matches!(**element, Self::Scalar(_)) {
                    return Ok(());
                }
                let head = dimensions.checked_mul(8).and_then(|bytes| bytes.checked_add(12)).ok_or(WRONG_LENGTH)?;
                let mut at = head;
                while at < value.len() {
                    at = adopt_part(element, value, at)?;
                }
                Ok(())
            }
            Self::Composite(parts) => {
                let mut at = 4;
                for part in parts {
                    value.get_mut(at..at + 4).ok_or(WRONG_LENGTH)?.copy_from_slice(&part.oid.to_be_bytes());
                    at = adopt_part(&part.column_type, value, at + 4)?;
                }
                Ok(())
            }
            Self::Range(bound) | Self::Multirange(bound) if !matches!(**bound, Self::Scalar(_)) => {
                Err("is a range of a type that cannot be moved".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Adopts a part, which begins with its length, and returns where it ends.
fn adopt_part(column_type: &ColumnType, value: &mut [u8], at: usize) -> Result<usize, String> {
    let word = value.get(at..).and_then(|rest| rest.first_chunk()).ok_or(WRONG_LENGTH)?;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*word)) else { return Ok(at + 4) };
    let end = (at + 4).checked_add(length).ok_or(WRONG_LENGTH)?;
    column_type.adopt(value.get_mut(at + 4..end).ok_or(WRONG_LENGTH)?)?;
    Ok(end)
}

fn number(value: &[u8], at: usize) -> Result<usize, String> {
    let word = value.get(at..).and_then(|rest| rest.first_chunk()).ok_or(WRONG_LENGTH)?;
    usize::try_from(i32::from_be_bytes(*word)).map_err(|_| WRONG_LENGTH.to_owned())
}
