//! `vb-prune` from outside: against restic on random histories, and on a store with plans, pins and litter.
// In helpers too a failure names its line.
#![allow(clippy::unwrap_used)]

#[path = "retention/against_restic.rs"]
mod against_restic;
#[path = "retention/on_a_store.rs"]
mod on_a_store;
#[path = "retention/without_a_store.rs"]
mod without_a_store;
