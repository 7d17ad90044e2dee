//! A whole database: the archive that `vb-export dump` wrote, or a chain of them, into an empty database, checked there, and where it is wanted put into
//! the place of another one.

mod archive;
mod chain;
mod crew;
mod large_objects;
mod locks;
pub mod pg_restore;
mod phases;
mod properties;
mod restore;
mod rows;
mod schema;
mod scratch;
mod table;

pub use archive::DatabaseArchive;
pub use chain::DatabaseChain;
pub use restore::{Options, Restored, RestoredTable, check_empty, restore};
pub use scratch::{Connected, Scratch, refuse_connected};
