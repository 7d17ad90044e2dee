//! Which rows are new: by a time column, or by the transaction that wrote them. Pure.

use crate::request::TablePart;
use chrono::TimeDelta;
use vb_core::mark::Mark;
use vb_core::position::XMIN;
use vb_core::{Error, Result};
use vb_postgres::catalog::Table;
use vb_postgres::extent::Extent;
use vb_postgres::relation::RelationKind;
use vb_postgres::schema::{Column, TableDescription};
use vb_postgres::sql::{identifier, timestamp, timestamptz};

/// The time columns that are looked for, the best first: an update must be seen.
const TIME_COLUMNS: [&str; 2] = ["updated_at", "created_at"];

/// By what rows are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By<'table> {
    /// The time in this column.
    Column(&'table Column),
    /// The transaction that wrote the row.
    Xmin,
}

impl<'table> By<'table> {
    /// What the user chose, else what the last export went by, else the best that there is.
    pub(crate) fn choose(part: &TablePart, table: &'table Table, extents: &[Extent]) -> Result<Option<Self>> {
        let description = &table.description;
        let needs_time = part.until.is_some() || part.range.is_some();
        let has_xmin = why_no_xmin(table, extents).is_none();
        let marked = part.since.as_ref().and_then(|mark| Some(mark.as_ref().ok()?.position.as_ref()?.by.as_str()));
        let marked = marked.filter(|by| match *by {
            XMIN => has_xmin && !needs_time,
            name => time(description, name).is_some() && !(table.is_subscribed && has_xmin),
        });
        match part.by.as_deref().or(marked) {
            Some(XMIN) if needs_time => Err(Error::usage("--until and --range go by time, of which xmin knows none")
                .with_hint("Name a time column with --by COLUMN, or select rows with --where.")),
            Some(XMIN) => match why_no_xmin(table, extents) {
                None => Ok(Some(Self::Xmin)),
                Some(why) => {
                    Err(Error::usage(format!("{} cannot be exported by xmin: {why}", description.full_name()))
                        .with_hint("Name a time column with --by COLUMN, or export the tables beneath it."))
                }
            },
            Some(name) => {
                let column = time(description, name).ok_or_else(|| {
                    Error::usage(format!("the table {} has no timestamp column {name:?}", description.full_name()))
                        .with_hint("Name a column of type timestamptz or timestamp, or xmin for the transaction that wrote a row.")
                })?;
                Ok(Some(Self::Column(column)))
            }
            // Rows that are received later than they were written bear their old times.
            None if table.is_subscribed && has_xmin && !needs_time => Ok(Some(Self::Xmin)),
            None => match TIME_COLUMNS.into_iter().find_map(|name| time(description, name)) {
                Some(column) => Ok(Some(Self::Column(column))),
                None if needs_time => {
                    Err(Error::usage(format!("the table {} has no time column", description.full_name()))
                        .with_hint("Name one with --by COLUMN, or select rows with --where."))
                }
                None => Ok(has_xmin.then_some(Self::Xmin)),
            },
        }
    }

    /// The name in labels and status lines.
    pub(crate) fn name(self) -> &'table str {
        match self {
            Self::Column(column) => &column.name,
            Self::Xmin => XMIN,
        }
    }

    /// Rows that the last export may not have seen.
    ///
    /// A row without a time may be as new as any.
    ///
    /// `xmin` is the lower half of the number of the transaction that wrote the row, also when the row is frozen since
    /// (`HeapTupleHeaderGetRawXmin`; before 9.4 freezing wrote 2 there, whose age is the largest). `age` counts from one number that
    /// stays the same for the whole transaction (`GetStableLatestTransactionId`), so both ages are measured from there. A row that the
    /// snapshot sees is never younger than it; a negative age is that of a frozen row more than 2^31 transactions old. A frozen row that is
    /// older by 2^32 or more may look new, which costs its bytes; none that is new ever looks old, as long as fewer than 2^31 transactions
    /// lie between two exports ([`vb_core::continuation::MOST_XIDS`]). `age` may not run in a parallel worker, which would count from another
    /// number. Subtransactions have numbers after their parent's, and their parent is not older than the watermark.
    pub(crate) fn condition(self, mark: &Mark) -> String {
        match self {
            Self::Column(column) => {
                let name = identifier(&column.name);
                let new = format!("{name} >= {}", oldest(column, mark));
                if column.not_null { new } else { format!("({new} OR {name} IS NULL)") }
            }
            Self::Xmin => {
                let since = mark.position.as_ref().and_then(|position| position.until_xid).unwrap_or_default();
                let low = since & u64::from(u32::MAX);
                format!("pg_catalog.age(xmin) BETWEEN 0 AND (SELECT pg_catalog.age('{low}'::pg_catalog.xid))")
            }
        }
    }

    /// The time column.
    pub(crate) fn column(self) -> Option<&'table Column> {
        match self {
            Self::Column(column) => Some(column),
            Self::Xmin => None,
        }
    }
}

/// The oldest time that a row may bear that the last export has not seen.
///
/// A column that keeps fewer digits than a transaction's start may have rounded it down. One without a time zone bears the clock of whoever
/// wrote it, which we do not know: no zone lies more than twelve hours behind UTC (IANA time zone database, Etc/GMT+12).
fn oldest(column: &Column, mark: &Mark) -> String {
    if mark.id.is_none() {
        return timestamptz(mark.until);
    }
    let kept = column.type_name.split_once('(').and_then(|(_, rest)| rest.split_once(')')?.0.parse::<u32>().ok());
    let unit = kept.map_or(0, |digits| 10_i64.pow(6_u32.saturating_sub(digits)));
    let unit = TimeDelta::microseconds(if unit > 1 { unit } else { 0 });
    if column.type_name.ends_with("with time zone") {
        return timestamptz(mark.until - unit);
    }
    timestamp(mark.until - unit - TimeDelta::hours(12))
}

fn time<'table>(table: &'table TableDescription, name: &str) -> Option<&'table Column> {
    table.column(name).filter(|column| column.type_name.starts_with("timestamp"))
}

/// Why rows do not know the transaction that wrote them; none if they do.
fn why_no_xmin(table: &Table, extents: &[Extent]) -> Option<String> {
    match table.kind {
        RelationKind::View => Some("a view has no rows of its own".to_owned()),
        RelationKind::ForeignTable => Some("its rows lie on another server".to_owned()),
        RelationKind::Table | RelationKind::Partitioned | RelationKind::MaterializedView => extents
            .iter()
            .find(|extent| !extent.has_xmin)
            .map(|extent| format!("the rows of {} lie on another server, or in no heap", extent.name)),
    }
}
