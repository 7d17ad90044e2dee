//! What a stream of rows is made of: its columns, as PostgreSQL and as Arrow know them.
//!
//! The description travels in the Parquet footer under the key [`METADATA_KEY`], as JSON, so that an import can make the
//! table as it was.

use crate::fidelity::Fidelity;
use crate::sql::{identifier, printed};
use crate::types::{ColumnType, Scalar};
use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The footer's key for the description.
pub const METADATA_KEY: &str = "vb.table";

/// A column as PostgreSQL describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as `format_type` prints it, such as `numeric(9,5)` or `public.model_name`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What the type is made of, where its name does not say it: a domain's own type, a composite's parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_of: Option<String>,
    /// Whether it is declared NOT NULL.
    #[serde(default)]
    pub not_null: bool,
    /// `a` (always) or `d` (by default) for an identity column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The expression of a generated column: computed again on import, so never written there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
    /// In which form the file holds its values.
    #[serde(default)]
    pub fidelity: Fidelity,
    /// Why they are not in Parquet's own type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether the server printed them, so that it must also read them back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub printed: bool,
    /// How its values are read; absent in a description that was read from a file.
    #[serde(skip)]
    pub column_type: Option<ColumnType>,
}

/// What the rows are rows of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDescription {
    /// The schema's name; empty for a query.
    #[serde(default)]
    pub schema: String,
    /// The table's name; empty for a query.
    #[serde(default)]
    pub table: String,
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The columns of the primary key, in the key's order.
    #[serde(default)]
    pub primary_key: Vec<String>,
    /// The enum types that columns use, by their printed name, with their labels in order.
    #[serde(default)]
    pub enums: BTreeMap<String, Vec<String>>,
    /// Whether the table has no columns, so that the file's one column only counts its rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_columns: bool,
}

impl Column {
    /// The same column, its values stored as this type says.
    #[must_use]
    pub fn stored_as(self, column_type: ColumnType) -> Self {
        let (fidelity, why) = column_type.fidelity();
        let printed = matches!(column_type, ColumnType::Printed(_));
        Self { fidelity, why, printed, column_type: Some(column_type), ..self }
    }
}

impl TableDescription {
    /// The columns that are not stored exactly: in which form, and why.
    pub fn inexact(&self) -> impl Iterator<Item = &Column> + Clone {
        self.columns.iter().filter(|column| !column.fidelity.is_exact())
    }

    /// These rows as COPY BINARY must send them, with the text of the columns that the server prints; none if no column is.
    /// The query's columns may have any names, or none.
    #[must_use]
    pub fn selected_from(&self, query: &str) -> Option<String> {
        let select = |(index, column): (usize, &Column)| {
            let name = numbered(index);
            if column.printed { printed(&name) } else { name }
        };
        let selected = || self.columns.iter().enumerate().map(select).collect::<Vec<_>>().join(", ");
        self.columns
            .iter()
            .any(|column| column.printed)
            .then(|| format!("SELECT {} FROM {}", selected(), self.rows_of(query)))
    }

    /// A query as a source of rows whose columns have the names of [`numbered`].
    #[must_use]
    pub fn rows_of(&self, query: &str) -> String {
        let names: Vec<String> = (0..self.columns.len()).map(numbered).collect();
        format!("({query}) AS vb_rows ({})", names.join(", "))
    }

    /// `schema.table` for people, or `query`.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.table.is_empty() { "query".to_owned() } else { format!("{}.{}", self.schema, self.table) }
    }

    /// The same as SQL.
    #[must_use]
    pub fn quoted_name(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.table))
    }

    /// The Arrow schema of the rows. Every field may be null: a constraint is the table's, not the file's.
    #[must_use]
    pub fn arrow(&self) -> Arc<Schema> {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .filter_map(|column| Some(arrow_field(&column.name, column.column_type.as_ref()?)))
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// The SHA-256 of the columns' names and types and of the key: it changes when the table's shape does.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut sha256 = Sha256::new();
        for column in &self.columns {
            sha256.update(format!("{:?} {}\n", column.name, column.type_name));
        }
        sha256.update(format!("{:?}\n{:?}", self.primary_key, self.enums));
        sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// The name of a column by its place, whatever its own may be.
#[must_use]
pub fn numbered(index: usize) -> String {
    format!("vb_{index}")
}

/// A field whose extension type tells Parquet that text is JSON and sixteen bytes are a UUID.
fn arrow_field(name: &str, column_type: &ColumnType) -> Field {
    let field = Field::new(name, column_type.arrow(), true);
    let extension = match column_type {
        ColumnType::Scalar(Scalar::Json | Scalar::Jsonb) => "arrow.json",
        ColumnType::Scalar(Scalar::Uuid) => "arrow.uuid",
        _ => return field,
    };
    let metadata = HashMap::from([("ARROW:extension:name".to_owned(), extension.to_owned())]);
    debug_assert!(matches!(field.data_type(), DataType::Utf8 | DataType::FixedSizeBinary(16)));
    field.with_metadata(metadata)
}
