//! `vb-prune` from outside: against restic on random histories, and on a store with plans, pins and litter.

#[path = "retention/against_restic.rs"]
mod against_restic;
#[path = "retention/on_a_store.rs"]
mod on_a_store;
#[path = "retention/without_a_store.rs"]
mod without_a_store;
