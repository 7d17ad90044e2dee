//! A whole database: the archive that `vb-export dump` wrote, into an empty database, checked there, and where it is wanted put into
//! the place of another one.

mod archive;
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

pub use archive::DatabaseArchive;
pub use restore::{Options, Restored, RestoredTable, check_empty, restore};
pub use scratch::{Connected, Scratch, refuse_connected};
