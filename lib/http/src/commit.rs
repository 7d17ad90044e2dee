//! The request that makes an object visible: tried again, and not taken for a failure where only its answer was lost.

use crate::retries::with_retries;
use tokio::runtime::Runtime;
use vb_core::key::Key;
use vb_core::{Error, ErrorKind, Result};
use vb_store::{LOOKS, RetryPolicy, Store, Stored, Warn, find_own};

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
        if may_be_ours {
            unless_it_came(error, || Ok(find_own(store, key, sent)?.is_some())).map(|()| sent)
        } else {
            Err(error)
        }
    }
}

/// The error of a commit, unless the object that was sent is there by now, or soon. `look` tells whether it is.
///
/// # Errors
/// That error, if the object does not come, another is in its place, or a look fails.
pub fn unless_it_came(error: Error, look: impl FnMut() -> Result<bool>) -> Result<()> {
    // Where something stands under the key, only a look that fails is worth another one.
    let waits = error.kind() != ErrorKind::Conflict;
    if look_until(look, waits).is_ok_and(|came| came) { Ok(()) } else { Err(error) }
}

/// Looks until what a server may still be making is there, but no longer than a few seconds. A look that fails for a passing reason is no
/// reason to give up: whatever lost the answer may be in its way too.
///
/// # Errors
/// That of the last look, or of one that fails for good.
pub fn comes(look: impl FnMut() -> Result<bool>) -> Result<bool> {
    look_until(look, true)
}

fn look_until(mut look: impl FnMut() -> Result<bool>, waits: bool) -> Result<bool> {
    let mut last = Ok(false);
    for pause in LOOKS {
        std::thread::sleep(pause);
        last = look();
        let goes_on = last.as_ref().map_or_else(Error::is_passing, |came| waits && !came);
        if !goes_on {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of an error when the looks go like this, and how many of them there were.
    fn settled(error: Error, looks: &[std::result::Result<bool, ErrorKind>]) -> (bool, usize) {
        let mut count = 0;
        let result = unless_it_came(error, || {
            count += 1;
            looks[count - 1].map_err(|kind| Error::new(kind, "looking for a: refused"))
        });
        (result.is_ok(), count)
    }

    #[test]
    fn an_object_that_comes_late_is_ours_and_one_that_does_not_come_is_an_error() {
        let lost = || Error::unavailable("committing a: the connection was closed");
        assert_eq!(settled(lost(), &[Ok(false), Ok(true)]), (true, 2));
        assert_eq!(settled(lost(), &[Ok(false), Err(ErrorKind::Unavailable), Ok(true)]), (true, 3));
        assert_eq!(settled(lost(), &[Ok(false), Err(ErrorKind::Usage)]), (false, 2));
        assert_eq!(settled(lost(), &[Ok(false); 4]), (false, 4));
        let taken = || Error::conflict("storing a: it exists already");
        assert_eq!(settled(taken(), &[Ok(false)]), (false, 1));
        assert_eq!(settled(taken(), &[Err(ErrorKind::Unavailable), Ok(true)]), (true, 2));
    }
}
