//! How faithfully a column is stored, for people: nothing is ever lost, but not everything can be computed with by others.

use crate::types::{ColumnType, Scalar};
use serde::{Deserialize, Serialize};

/// In which form a column's values are stored; each holds all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// In the type of Parquet that is meant for such values.
    #[default]
    Exact,
    /// As the text that the server prints and reads back.
    Text,
    /// As bytes that the server sends and reads back.
    Bytes,
}

impl Fidelity {
    /// Whether it is exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        *self == Self::Exact
    }
}

impl ColumnType {
    /// In which form it stores values, and why not exactly. Of a column made of parts, the least exact one counts.
    #[must_use]
    pub fn fidelity(&self) -> (Fidelity, Option<String>) {
        match self {
            Self::Scalar(scalar) => match of_scalar(*scalar) {
                None => (Fidelity::Exact, None),
                Some((fidelity, why)) => (fidelity, Some(why.to_owned())),
            },
            Self::Array(of, _) | Self::Range(of) | Self::Multirange(of) => of.fidelity(),
            Self::Composite(parts) => {
                let mut least = (Fidelity::Exact, None);
                for part in parts {
                    let (fidelity, why) = part.column_type.fidelity();
                    if fidelity > least.0 {
                        least = (fidelity, why.map(|why| format!("its part {}: {why}", part.name)));
                    }
                }
                least
            }
            Self::Numbers(_) => (Fidelity::Exact, None),
            Self::Printed(why) => (Fidelity::Text, Some(why.clone())),
        }
    }
}

fn of_scalar(scalar: Scalar) -> Option<(Fidelity, &'static str)> {
    let why = match scalar {
        Scalar::NumericText => "numbers of any length and any number of decimal places",
        Scalar::Inet | Scalar::Cidr | Scalar::MacAddress | Scalar::MacAddress8 => "Parquet has no addresses",
        Scalar::Bits => "Parquet has no rows of bits",
        Scalar::Lsn => "Parquet has no positions in a log",
        Scalar::VersionedText => "Parquet has no paths",
        Scalar::Geometry => return Some((Fidelity::Bytes, "EWKB, as PostGIS sends it")),
        _ => return None,
    };
    Some((Fidelity::Text, why))
}
