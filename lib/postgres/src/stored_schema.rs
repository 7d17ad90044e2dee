//! How a table was made, as it travels with its rows: beside the description, in the Parquet footer under [`SCHEMA_KEY`].
//!
//! All of it is SQL or plain names, so that a person with psql can make the table without us.

use crate::script::parse_name;
use serde::{Deserialize, Serialize};

/// The footer's key.
pub const SCHEMA_KEY: &str = "vb.schema";

/// The form of what is stored under the key; a reader that knows only smaller numbers uses the description.
pub const FORMAT: u32 = 1;

/// A relation's name, unquoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// Its schema's.
    pub schema: String,
    /// Its own.
    pub name: String,
}

/// All that makes a table but its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSchema {
    /// [`FORMAT`].
    pub format: u32,
    /// The program that wrote the statements, such as `pg_dump 15.18`; none where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// What must be there before the table, in this order.
    #[serde(default)]
    pub objects: Vec<Object>,
    /// Tables that it inherits from, the farthest first, each with its own statements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<Ancestor>,
    /// The relations that the statements make: the table, its parts, their indexes, sequences and statistics.
    #[serde(default)]
    pub relations: Vec<Name>,
    /// Statements before the rows.
    #[serde(default)]
    pub before: Vec<String>,
    /// Statements after the rows: constraints, indexes, triggers, policies.
    #[serde(default)]
    pub after: Vec<String>,
    /// Statements that make it a part of a table that is not in here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attach: Vec<String>,
    /// Where its sequences stood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<Sequence>,
    /// Whether its rows lie in parts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partitioned: bool,
    /// Tables that inherit from it and whose rows are among its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<String>,
}

/// Something that a table needs and that `pg_dump` leaves out when it dumps a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// Its schema; empty for schemas and extensions.
    #[serde(default)]
    pub schema: String,
    /// Its name; of a function with its schema and the types of its arguments, as SQL.
    pub name: String,
    /// The statements that make it.
    pub statements: Vec<String>,
}

impl Object {
    /// Its schema and name, of a function without the arguments.
    #[must_use]
    pub fn bare_name(&self) -> Name {
        let own = || Name { schema: self.schema.clone(), name: self.name.clone() };
        match self.kind {
            ObjectKind::Function => {
                let called = self.name.split('(').next().and_then(parse_name);
                called.map_or_else(own, |(_, name)| Name { schema: self.schema.clone(), name })
            }
            _ => own(),
        }
    }
}

/// What a table may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// A schema.
    Schema,
    /// An extension.
    Extension,
    /// An enum, a domain, a composite or a range type.
    Type,
    /// A function or a procedure.
    Function,
    /// A sequence that no column of the table owns.
    Sequence,
    /// A collation.
    Collation,
}

/// A table that another one inherits from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its name.
    #[serde(flatten)]
    pub name: Name,
    /// Whether the table names it itself, and not only one of its ancestors.
    pub direct: bool,
    /// Statements that make it.
    pub before: Vec<String>,
    /// Its constraints and indexes.
    pub after: Vec<String>,
}

/// Where a sequence stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// Its name.
    #[serde(flatten)]
    pub name: Name,
    /// The column of the table that owns it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The value.
    pub last_value: i64,
    /// Whether that value was given out already.
    pub is_called: bool,
}

impl StoredSchema {
    /// Whether it holds the statements of a dump, and not only what stands beside the description.
    #[must_use]
    pub fn has_dump(&self) -> bool {
        self.format == FORMAT && self.made_by.is_some()
    }
}
