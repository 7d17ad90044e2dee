//! A set of a file's rows, one bit each.

/// Rows by their number, from 0 on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RowSet {
    words: Vec<u64>,
    count: u64,
}

impl RowSet {
    /// None of so many rows.
    pub(crate) fn none(rows: u64) -> Self {
        let words = usize::try_from(rows.div_ceil(64)).unwrap_or_default();
        Self { words: vec![0; words], count: 0 }
    }

    pub(crate) fn add(&mut self, row: u64) {
        let (word, bit) = place(row);
        if let Some(word) = self.words.get_mut(word).filter(|word| **word & bit == 0) {
            *word |= bit;
            self.count += 1;
        }
    }

    pub(crate) fn has(&self, row: u64) -> bool {
        let (word, bit) = place(row);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// How many they are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

fn place(row: u64) -> (usize, u64) {
    (usize::try_from(row / 64).unwrap_or(usize::MAX), 1 << (row % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_it_once() {
        let mut rows = RowSet::none(65);
        for row in [0, 64, 64, 900] {
            rows.add(row);
        }
        assert!(rows.has(0) && !rows.has(1) && rows.has(64) && !rows.has(900));
        assert_eq!(rows.count(), 2);
    }
}
