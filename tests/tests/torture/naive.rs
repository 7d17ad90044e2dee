//! What everybody does: copy the rows whose time is after the newest that was seen.

use anyhow::Result;
use postgres::Client;

/// A copy in the source's own database.
pub(crate) struct Naive(Client);

impl Naive {
    pub(crate) fn new(mut client: Client) -> Result<Self> {
        client.batch_execute("CREATE TABLE naive (LIKE ledger INCLUDING INDEXES)")?;
        Ok(Self(client))
    }

    /// One run.
    pub(crate) fn copy(&mut self) -> Result<()> {
        let copy = "INSERT INTO naive SELECT * FROM ledger \
            WHERE updated_at > (SELECT coalesce(max(updated_at), '-infinity') FROM naive) \
            ON CONFLICT (branch, number) DO UPDATE SET note = excluded.note, amount = excluded.amount, updated_at = excluded.updated_at";
        Ok(self.0.batch_execute(copy)?)
    }

    /// Rows of the source that it does not have as they are.
    pub(crate) fn lost(&mut self) -> Result<i64> {
        Ok(self.0.query_one("SELECT count(*) FROM (TABLE ledger EXCEPT TABLE naive) lost", &[])?.get(0))
    }
}
