//! The request that makes an object visible: tried again, and not taken for a failure where only its answer was lost.

use crate::retries::with_retries;
use tokio::runtime::Runtime;
use vb_core::key::Key;
use vb_core::{ErrorKind, Result};
use vb_store::{RetryPolicy, Store, Stored, Warn, find_own};

/// How patiently to commit, and what to believe.
pub struct Commit<'store> {
    /// Where requests run.
    pub runtime: &'store Runtime,
    /// How often and after which pauses.
    pub policy: &'store RetryPolicy,
    /// Told before each further try.
    pub warn: &'store Warn,
    /// Errors after which the object may be there all the same.
    pub unclear: &'store [ErrorKind],
}

impl Commit<'_> {
    /// Makes an object visible. Where an answer may have been lost, looks whether the object is there.
    ///
    /// # Errors
    /// That of the last try, if the object is not the one that was sent.
    pub fn run<F>(&self, store: &impl Store, key: &Key, sent: Stored, mut attempt: impl FnMut() -> F) -> Result<Stored>
    where
        F: Future<Output = Result<()>>,
    {
        let mut answer_lost = false;
        let result = self.runtime.block_on(with_retries(self.policy, self.warn, |again| {
            answer_lost |= again;
            attempt()
        }));
        let Err(error) = result else { return Ok(sent) };
        let may_be_ours = answer_lost || self.unclear.contains(&error.kind());
        if may_be_ours && find_own(store, key, sent).is_ok_and(|own| own.is_some()) {
            return Ok(sent);
        }
        Err(error)
    }
}
