//! Which encoding a column gets: a pure function of what trials on its first rows measured.
//!
//! The bytes are compressed once more by gzip after this, so what counts is the size after gzip, and a little that before it. Encodings decide
//! more than any compression level: sorted times shrink to bits as differences, while floats with few distinct values
//! want a dictionary and floats with many want their bytes side by side.

use parquet::basic::Encoding;

/// How a column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnChoice {
    /// Whether to begin with a dictionary.
    pub dictionary: bool,
    /// The encoding without a dictionary, or once it has grown too large.
    pub encoding: Encoding,
}

/// What one trial measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// What was tried.
    pub choice: ColumnChoice,
    /// The values' bytes after gzip, in the sample, and a part of those before it; without the dictionary.
    pub value_bytes: usize,
    /// The dictionary's, likewise; 0 without one.
    pub dictionary_bytes: usize,
}

/// How the sample's distinct values grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Rows in the sample.
    pub rows: usize,
    /// Distinct values among the first half of them.
    pub distinct_half: usize,
    /// Distinct values among all of them.
    pub distinct: usize,
}

impl Growth {
    /// How many distinct values a row group of `rows` rows will hold: by the power law that fits both halves.
    #[allow(clippy::cast_precision_loss)] // an estimate
    fn distinct_in(&self, rows: usize) -> f64 {
        let (half, all) = (self.distinct_half.max(1) as f64, self.distinct.max(1) as f64);
        let exponent = (all / half).log2().clamp(0.0, 1.0);
        all * (rows as f64 / self.rows.max(1) as f64).max(1.0).powf(exponent)
    }
}

/// A dictionary beyond this many bytes stops paying, and the writer stops using it.
pub const DICTIONARY_BYTES: usize = 2 << 20;

/// The cheapest trial for a row group of `rows` rows.
#[must_use]
pub fn choose(trials: &[Trial], growth: &Growth, rows: usize) -> Option<ColumnChoice> {
    let cost = |trial: &Trial| cost_per_row(trial, growth, rows);
    let cheapest = trials.iter().min_by(|left, right| cost(left).total_cmp(&cost(right)))?;
    Some(cheapest.choice)
}

/// Bytes a row, after gzip, in a large row group.
#[allow(clippy::cast_precision_loss)] // an estimate
fn cost_per_row(trial: &Trial, growth: &Growth, rows: usize) -> f64 {
    let values = trial.value_bytes as f64 / growth.rows.max(1) as f64;
    if !trial.choice.dictionary {
        return values;
    }
    let (now, then) = (growth.distinct.max(1) as f64, growth.distinct_in(rows));
    let dictionary = trial.dictionary_bytes as f64 * then / now;
    // An index into a larger dictionary is longer: by as many bits as the logarithm grows.
    let longer = (then.max(2.0).log2() / now.max(2.0).log2()).max(1.0);
    values * longer + dictionary / rows as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DICTIONARY: ColumnChoice = ColumnChoice { dictionary: true, encoding: Encoding::PLAIN };
    const PLAIN: ColumnChoice = ColumnChoice { dictionary: false, encoding: Encoding::PLAIN };

    fn trials(plain: usize, values: usize, dictionary: usize) -> [Trial; 2] {
        [
            Trial { choice: PLAIN, value_bytes: plain, dictionary_bytes: 0 },
            Trial { choice: DICTIONARY, value_bytes: values, dictionary_bytes: dictionary },
        ]
    }

    #[test]
    fn a_dictionary_that_no_longer_grows_is_paid_once() {
        let growth = Growth { rows: 10_000, distinct_half: 1000, distinct: 1010 };
        assert_eq!(choose(&trials(20_000, 12_500, 9_000), &growth, 500_000), Some(DICTIONARY));
    }

    #[test]
    fn a_dictionary_of_everything_is_not_taken() {
        let growth = Growth { rows: 10_000, distinct_half: 5000, distinct: 10_000 };
        assert_eq!(choose(&trials(60_000, 16_000, 60_000), &growth, 500_000), Some(PLAIN));
    }
}
