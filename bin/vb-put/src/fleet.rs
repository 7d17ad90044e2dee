//! The stores that get the stream. One that fails is undone and stops no other, as long as enough are left.
//!
//! An upload begins only when there is more than one piece or the stream is proven: so most mistakes cost no request, and
//! a small backup is complete before a store hears of it. All objects are complete everywhere before the first manifest
//! is sent.

use crate::member::Member;
use crate::price::{self, Price};
use crate::report;
use std::sync::MutexGuard;
use vb_core::key::Key;
use vb_core::label::Label;
use vb_core::manifest::{Manifest, Object};
use vb_core::{Error, Result, naming};
use vb_pipe::{Session, cleanup};
use vb_repository::{Chunk, OpenStore, Place};
use vb_store::Facts;

/// The stores of one run. Dropped before the commit, it undoes everything.
pub(crate) struct Fleet {
    session: Session,
    members: Vec<Member>,
    quorum: usize,
    metadata: Facts,
}

/// What became of the backup in one store.
pub(crate) struct Verdict {
    /// The store's URL.
    pub(crate) store: String,
    /// The manifest and its key there.
    pub(crate) result: Result<(Manifest, Key)>,
    /// What keeping it there costs, where that is known.
    pub(crate) price: Option<Price>,
}

/// The verdicts of all stores. As long as it lives no signal is heeded: the mark and the status line belong to it.
pub(crate) struct Verdicts {
    /// In the order in which the stores were named.
    pub(crate) all: Vec<Verdict>,
    _uninterrupted: MutexGuard<'static, ()>,
}

impl Fleet {
    /// `quorum` is how many stores must have the backup; all of them unless it is given.
    ///
    /// # Errors
    /// A usage error if there are not so many.
    pub(crate) fn new(session: &Session, targets: Vec<OpenStore>, quorum: Option<usize>) -> Result<Self> {
        let quorum = quorum.unwrap_or(targets.len());
        if !(1..=targets.len()).contains(&quorum) {
            return Err(Error::usage(format!("--quorum is {quorum}, but the number of stores is {}", targets.len()))
                .with_hint("Give a number from 1 to the number of stores."));
        }
        let members = targets.into_iter().map(Member::new).collect();
        Ok(Self { session: session.clone(), members, quorum, metadata: Facts::new() })
    }

    /// How many stores must have the backup.
    pub(crate) fn quorum(&self) -> usize {
        self.quorum
    }

    /// The URLs.
    pub(crate) fn names(&self) -> Vec<String> {
        self.members.iter().map(Member::name).collect()
    }

    /// Whether nothing in any store has this id.
    ///
    /// # Errors
    /// If too few stores can be asked.
    pub(crate) fn is_free(&mut self, place: &Place) -> Result<bool> {
        let mut free = true;
        for member in &mut self.members {
            free &= member.is_free(place);
        }
        self.demand_quorum()?;
        Ok(free)
    }

    /// Leaves out the stores in which the backup would stand on nothing. To be asked as soon as its label is known, and before the manifest.
    ///
    /// # Errors
    /// A usage error for a base of another set; if too few stores are left.
    pub(crate) fn demand_base(&mut self, set: &str, label: &Label) -> Result<()> {
        let Some(base) = label.base.as_deref() else { return Ok(()) };
        let of = naming::parse_id(base).map(|(of, _)| of);
        if of != Some(set) {
            return Err(Error::usage(format!(
                "an incremental backup of the set {set} cannot stand on {base}, which is of another set"
            ))
            .with_hint(format!(
                "Let full and incremental exports go to the same set{}; what becomes of one set must not break another.",
                of.map(|of| format!(", here with --set {of}")).unwrap_or_default()
            )));
        }
        self.members.iter_mut().for_each(|member| member.demand_base(base, label));
        self.demand_quorum()
    }

    /// What each object is stored with, from the first piece on.
    pub(crate) fn describe(&mut self, metadata: Facts) {
        self.metadata = metadata;
    }

    /// Hands a piece to every store.
    ///
    /// # Errors
    /// If too few stores are left.
    pub(crate) fn write(&mut self, place: &Place, chunk: &Chunk) -> Result<()> {
        for member in &mut self.members {
            member.start(&self.session, place, &self.metadata);
            member.write(chunk);
        }
        self.demand_quorum()
    }

    /// Completes the objects everywhere.
    ///
    /// # Errors
    /// If too few stores have them; those that have are undone.
    pub(crate) fn complete(&mut self, place: &Place) -> Result<()> {
        for member in &mut self.members {
            member.start(&self.session, place, &self.metadata);
            member.complete();
        }
        self.members.iter_mut().for_each(Member::settle);
        self.demand_quorum()
    }

    /// Puts the manifests: from then on the backup exists. One that fails undoes its own store's objects only.
    pub(crate) fn commit(mut self, manifest: impl Fn(Vec<Object>) -> Manifest) -> Verdicts {
        let section = cleanup::uninterrupted();
        let members = std::mem::take(&mut self.members);
        let prices = price::prices(self.session.environment());
        if let Err(error) = &prices {
            self.session.warn(&error.to_string());
        }
        let verdict = |member: Member| {
            let (store, target) = (member.name(), member.target().clone());
            let result = member.commit(&section, &manifest, |words| self.session.warn(words));
            let stored = result.as_ref().ok().zip(prices.as_ref().ok());
            let price = stored
                .and_then(|((stored, _), prices)| price::of(prices, &target.location, &target.environment, stored));
            Verdict { store, result, price }
        };
        let all = members.into_iter().map(verdict).collect();
        Verdicts { all, _uninterrupted: section }
    }

    /// The first failure, if there are too many.
    fn demand_quorum(&mut self) -> Result<()> {
        let left = self.members.iter().filter(|member| !member.has_failed()).count();
        if left >= self.quorum {
            return Ok(());
        }
        let several = self.members.len() > 1;
        let mut first = None;
        for member in &mut self.members {
            let Some(error) = member.take_failure() else { continue };
            if several {
                report::store_failed(&self.session, &member.name(), &error)?;
            }
            first.get_or_insert((member.name(), error));
        }
        Err(match first {
            Some((store, error)) if several => report::in_store(&store, &error),
            Some((_, error)) => error,
            None => Error::failure("there is no store"),
        })
    }
}

impl Drop for Fleet {
    /// Waits until every upload is undone; they are told to end all at once.
    fn drop(&mut self) {
        let threads: Vec<_> = self.members.drain(..).filter_map(Member::give_up).collect();
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}
