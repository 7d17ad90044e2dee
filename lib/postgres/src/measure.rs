//! Columns whose type does not say how their values can be stored exactly: asked of the values themselves, in one query.
//!
//! A `numeric` without a precision becomes a decimal if all of its values have the same number of decimal places and 76 digits
//! at most; PostgreSQL keeps 1.10 apart from 1.1, so that any other choice would lose something. An array becomes a list if no
//! value has several dimensions or begins elsewhere than at 1. Else both are text. A table that has such columns is read once
//! more for it; no other is.

use crate::connection::from_postgres;
use crate::schema::{Column, TableDescription, numbered};
use crate::types::{ColumnType, Scalar};
use postgres::{GenericClient, Row};
use vb_core::Result;

/// Digits of the decimals that are chosen, so that the choice does not change with every longer value.
const DIGITS: [u8; 3] = [18, 38, 76];

/// Decides how the columns of these rows are stored that cannot be decided without their values.
///
/// # Errors
/// If the server does not answer.
pub fn measure(client: &mut impl GenericClient, description: &mut TableDescription, query: &str) -> Result<()> {
    let asked: Vec<(usize, String)> = description
        .columns
        .iter()
        .enumerate()
        .filter_map(|(index, column)| Some((index, question(column, &numbered(index))?)))
        .collect();
    if asked.is_empty() {
        return Ok(());
    }
    let questions: Vec<&str> = asked.iter().map(|(_, question)| question.as_str()).collect();
    let query = format!("SELECT {} FROM {}", questions.join(", "), description.rows_of(query));
    let step = format!("measuring {}", description.full_name());
    let row = client.query_one(&query, &[]).map_err(|cause| from_postgres(step, cause))?;
    let mut place = 0;
    for (index, _) in asked {
        let column = std::mem::take(&mut description.columns[index]);
        description.columns[index] = decide(column, &row, &mut place);
    }
    Ok(())
}

/// The aggregates that decide a column, or none if its type decides.
fn question(column: &Column, name: &str) -> Option<String> {
    match column.column_type.as_ref()? {
        ColumnType::Scalar(Scalar::NumericText) => Some(format!(
            "min(scale({name})), max(scale({name})), count({name}) - count(scale({name})), \
             length(trunc(max(abs({name})) FILTER (WHERE scale({name}) IS NOT NULL))::text)"
        )),
        ColumnType::Array(..) => Some(format!("bool_or(array_ndims({name}) > 1 OR array_lower({name}, 1) <> 1)")),
        _ => None,
    }
}

/// Takes the answers that follow this place of the row.
fn decide(column: Column, row: &Row, place: &mut usize) -> Column {
    let mut next = || {
        *place += 1;
        *place - 1
    };
    if let Some(ColumnType::Array(..)) = column.column_type {
        let odd: Option<bool> = row.get(next());
        if odd == Some(true) {
            let why = "arrays of several dimensions, or that do not begin at 1";
            return column.stored_as(ColumnType::Printed(why.to_owned()));
        }
        return column;
    }
    let (least, most): (Option<i32>, Option<i32>) = (row.get(next()), row.get(next()));
    let (special, digits): (i64, Option<i32>) = (row.get(next()), row.get(next()));
    match decimal(least, most, special, digits) {
        Ok(Some(scalar)) => column.stored_as(ColumnType::Scalar(scalar)),
        Ok(None) => column,
        Err(why) => Column { why: Some(why.to_owned()), ..column },
    }
}

/// The decimal that holds numbers of these decimal places and of so many digits before the point; none where there are none.
fn decimal(
    least: Option<i32>,
    most: Option<i32>,
    special: i64,
    digits: Option<i32>,
) -> std::result::Result<Option<Scalar>, &'static str> {
    if special > 0 {
        return Err("NaN or infinity among the numbers");
    }
    let (Some(least), Some(most), Some(digits)) = (least, most, digits) else { return Ok(None) };
    if least != most {
        return Err("the numbers of decimal places differ");
    }
    let precision = DIGITS.into_iter().find(|precision| digits.saturating_add(most) <= i32::from(*precision));
    match (precision, i8::try_from(most)) {
        (Some(precision), Ok(scale)) => Ok(Some(Scalar::Decimal { precision, scale })),
        _ => Err("more than 76 digits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_only_where_nothing_is_lost() {
        let decimal_of = |precision, scale| Ok(Some(Scalar::Decimal { precision, scale }));
        assert_eq!(decimal(Some(2), Some(2), 0, Some(16)), decimal_of(18, 2));
        assert_eq!(decimal(Some(2), Some(2), 0, Some(17)), decimal_of(38, 2));
        assert_eq!(decimal(Some(0), Some(0), 0, Some(76)), decimal_of(76, 0));
        assert!(decimal(Some(0), Some(0), 0, Some(77)).is_err());
        assert!(decimal(Some(1), Some(2), 0, Some(1)).is_err());
        assert!(decimal(Some(2), Some(2), 1, Some(1)).is_err());
        assert_eq!(decimal(None, None, 0, None), Ok(None));
    }
}
