//! One column of one block of rows, still in PostgreSQL's binary form.

/// Where a value lies in the block: its offset, and its length or -1 for NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the block's beginning.
    pub offset: u32,
    /// The value's length in bytes; negative for NULL.
    pub length: i32,
}

/// The values of one column, in row order.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'block> {
    block: &'block [u8],
    places: &'block [Place],
}

/// A value that cannot be stored exactly, or that is not what its type says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// Its row, counted from the beginning of these fields.
    pub row: usize,
    /// Why it cannot be stored: a clause that follows the value's name.
    pub why: String,
}

impl<'block> Fields<'block> {
    /// The places must lie within the block: [`crate::decode`] has checked them.
    #[must_use]
    pub fn new(block: &'block [u8], places: &'block [Place]) -> Self {
        Self { block, places }
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The block that the places point into.
    #[must_use]
    pub fn block(&self) -> &'block [u8] {
        self.block
    }

    /// Where one of these values begins in the block.
    #[must_use]
    pub fn offset_of(&self, value: &[u8]) -> usize {
        (value.as_ptr() as usize).saturating_sub(self.block.as_ptr() as usize)
    }

    /// The values in row order; none is NULL.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'block [u8]>> {
        let block = self.block;
        self.places.iter().map(move |place| {
            let length = usize::try_from(place.length).ok()?;
            block.get(place.offset as usize..)?.get(..length)
        })
    }

    /// Calls `take` for each value, and names the row of the first that it refuses.
    ///
    /// # Errors
    /// The first refusal.
    pub fn try_each(&self, mut take: impl FnMut(Option<&'block [u8]>) -> Result<(), String>) -> Result<(), BadValue> {
        for (row, value) in self.iter().enumerate() {
            take(value).map_err(|why| BadValue { row, why })?;
        }
        Ok(())
    }
}
