//! Plans from files and catalogs that are made up here; what the server makes of them is tested from outside.

use super::*;
use crate::catalog::TargetColumn;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::sync::Arc;
use vb_core::ErrorKind;
use vb_postgres::row_hash::HashedColumn;

const DESCRIPTION: &str = r#"{"schema":"public","table":"t","columns":[
    {"name":"id","type":"bigint","not_null":true,"identity":"a"},{"name":"body","type":"text"}],"primary_key":["id"]}"#;

/// Two columns, `id` and `body`, with or without a description.
fn file(description: Option<&str>) -> ParquetFile {
    let fields = vec![Field::new("id", DataType::Int64, true), Field::new("body", DataType::Utf8, true)];
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::new(StringArray::from(vec!["a", "b"]))],
    )
    .unwrap();
    let values = description.map(|text| vec![KeyValue::new("vb.table".to_owned(), text.to_owned())]);
    let properties = WriterProperties::builder().set_key_value_metadata(values).build();
    let file = tempfile::tempfile().unwrap();
    let mut writer = ArrowWriter::try_new(file.try_clone().unwrap(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    ParquetFile::open(file, "test").unwrap()
}

fn column(name: &str, type_name: &str) -> TargetColumn {
    TargetColumn { name: name.to_owned(), type_name: type_name.to_owned(), ..TargetColumn::default() }
}

fn target(existing: Option<Existing>) -> Target {
    Target { schema: "public".to_owned(), table: "t".to_owned(), existing, ..Target::default() }
}

fn existing(has_rows: bool) -> Existing {
    let columns = vec![column("body", "text"), column("id", "bigint")];
    Existing { columns, primary_key: vec!["id".to_owned()], has_rows, ..Existing::default() }
}

fn of(request: &Request, file: &ParquetFile, target: &Target) -> Result<Plan> {
    super::of(request, &Files { all: vec![file], telling: file, hashed: None }, target)
}

fn chosen(mode: Mode) -> Request {
    Request { mode: ModeChoice::Chosen(mode), ..Request::default() }
}

#[test]
fn a_missing_table_is_made_and_its_key_built_last() {
    let plan = of(&Request::default(), &file(Some(DESCRIPTION)), &target(None)).unwrap();
    assert!(plan.created && plan.starts_from_nothing && plan.mode == Mode::Insert);
    assert!(plan.before[0].starts_with("CREATE TABLE \"public\".\"t\""));
    assert_eq!(plan.loads[0].copy, "COPY \"public\".\"t\" (\"id\", \"body\") FROM STDIN (FORMAT binary, FREEZE)");
    assert_eq!(plan.after, ["ALTER TABLE \"public\".\"t\" ADD PRIMARY KEY (\"id\")"]);
}

#[test]
fn auto_looks_at_the_rows_that_are_there() {
    let of = |existing| of(&Request::default(), &file(Some(DESCRIPTION)), &target(Some(existing)));
    assert_eq!(of(existing(false)).unwrap().mode, Mode::Insert);
    let merge = of(existing(true)).unwrap();
    assert_eq!((merge.mode, &merge.merge_otherwise), (Mode::Upsert, &None));
    assert!(merge.merge.unwrap().ends_with("ON CONFLICT (\"id\") DO UPDATE SET \"body\" = EXCLUDED.\"body\""));
    let keyless = of(Existing { primary_key: Vec::new(), ..existing(true) }).unwrap_err();
    assert_eq!(keyless.kind(), ErrorKind::Usage);
    assert!(keyless.hint().unwrap().contains("--mode insert") && keyless.hint().unwrap().contains("--mode replace"));
}

#[test]
fn unique_values_may_be_traded_where_nothing_is_lost() {
    let unique = Existing { has_other_unique: true, ..existing(true) };
    let otherwise = |existing| of(&Request::default(), &file(None), &target(Some(existing))).unwrap().merge_otherwise;
    let statement = otherwise(unique.clone()).unwrap();
    assert!(statement.starts_with("WITH gone AS (DELETE FROM \"public\".\"t\" AS known USING"), "{statement}");
    assert_eq!(otherwise(Existing { is_referenced_actively: true, ..unique.clone() }), None);
    let mut wider = unique;
    wider.columns.push(column("own", "text"));
    assert_eq!(otherwise(wider), None);
}

/// The same file twice, as if it were two backups.
fn chain(request: &Request, existing: Option<Existing>, hashed: bool) -> Plan {
    let file = file(Some(DESCRIPTION));
    let hashed = hashed.then(|| vec![HashedColumn { name: "id".to_owned(), text: false }]);
    super::of(request, &Files { all: vec![&file, &file], telling: &file, hashed }, &target(existing)).unwrap()
}

#[test]
fn a_chain_is_sent_file_by_file_and_merged_once() {
    let made = chain(&Request::default(), None, true);
    assert_eq!((made.loads.len(), &made.merge, &made.deletion), (2, &None, &None));
    assert!(made.loads.iter().all(|load| load.copy.ends_with("FREEZE)")));
    let merged = chain(&Request::default(), Some(existing(true)), true);
    assert!(merged.loads.iter().all(|load| load.destination == merging::STAGING));
    let order = [
        "CREATE TEMPORARY TABLE pg_temp.vb_import_rows",
        "COPY pg_temp.vb_import_rows",
        "COPY pg_temp.vb_import_gone",
        "DELETE FROM \"public\"",
        "DELETE FROM pg_temp",
        "ON CONFLICT",
    ];
    let statements = merged.statements();
    let places = order.map(|words| statements.iter().position(|statement| statement.contains(words)));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{statements:#?}");
    assert_eq!(chain(&Request::default(), Some(existing(true)), false).deletion, None);
    assert_eq!(chain(&chosen(Mode::Replace), Some(existing(true)), true).deletion, None);
}

#[test]
fn a_chain_needs_a_key() {
    let keyless = file(Some(
        r#"{"schema":"public","table":"t","columns":[{"name":"id","type":"bigint"},{"name":"body","type":"text"}]}"#,
    ));
    let files = Files { all: vec![&keyless, &keyless], telling: &keyless, hashed: None };
    let error = super::of(&Request::default(), &files, &target(None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn an_incremental_alone_looks_at_the_tables_keys() {
    let file = file(Some(DESCRIPTION));
    let hashed = vec![HashedColumn { name: "id".to_owned(), text: true }];
    let files = Files { all: vec![&file], telling: &file, hashed: Some(hashed) };
    let plan = super::of(&Request::default(), &files, &target(Some(existing(true)))).unwrap();
    let keys =
        "COPY (SELECT tableoid, ctid, \"id\"::pg_catalog.bpchar FROM \"public\".\"t\") TO STDOUT (FORMAT binary)";
    assert!(plan.statements().contains(&keys), "{:#?}", plan.statements());
}

#[test]
fn a_table_that_is_all_key_keeps_known_rows() {
    let existing = Existing { primary_key: vec!["id".to_owned(), "body".to_owned()], ..existing(true) };
    let plan = of(&Request::default(), &file(None), &target(Some(existing))).unwrap();
    assert!(plan.merge.unwrap().ends_with("DO NOTHING"));
}

#[test]
fn an_always_generated_column_cannot_be_updated() {
    let mut existing = existing(true);
    existing.primary_key = vec!["body".to_owned()];
    existing.columns[1].identity = Some("a".to_owned());
    let error = of(&chosen(Mode::Upsert), &file(None), &target(Some(existing))).unwrap_err();
    assert!(error.to_string().contains("\"id\"") && error.hint().unwrap().contains("replace"), "{error}");
}

#[test]
fn what_the_table_computes_is_not_sent() {
    let mut existing = existing(false);
    existing.columns[0].generated = true;
    let computed = DESCRIPTION.replace(r#""type":"text""#, r#""type":"text","generated":"'b'""#);
    let plan = of(&Request::default(), &file(Some(&computed)), &target(Some(existing.clone()))).unwrap();
    assert_eq!(plan.loads[0].copy, "COPY \"public\".\"t\" (\"id\") FROM STDIN (FORMAT binary)");
    // Values that were not computed where they come from are not thrown away.
    let error = of(&Request::default(), &file(Some(DESCRIPTION)), &target(Some(existing))).unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("\"body\""), "{error}");
}

#[test]
fn a_foreign_file_is_matched_by_names_and_must_not_be_rounded() {
    let plan = of(&Request::default(), &file(None), &target(Some(existing(false)))).unwrap();
    assert!(plan.loads[0].copy.contains("(\"id\", \"body\")") && !plan.created);
    let mut rounding = existing(false);
    rounding.columns[1].type_name = "timestamp(3) with time zone".to_owned();
    assert!(of(&Request::default(), &file(None), &target(Some(rounding))).is_err());
}

#[test]
fn replacing_under_a_foreign_key_is_a_conflict() {
    let plan = of(&chosen(Mode::Replace), &file(None), &target(Some(existing(true)))).unwrap();
    assert_eq!(
        plan.before,
        ["LOCK TABLE \"public\".\"t\" IN SHARE ROW EXCLUSIVE MODE", "DELETE FROM \"public\".\"t\""]
    );
    let referenced = Existing { referenced_by: vec!["fk of child".to_owned()], ..existing(true) };
    let error = of(&chosen(Mode::Replace), &file(None), &target(Some(referenced))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn a_description_of_other_columns_is_refused() {
    let other = r#"{"schema":"public","table":"t","columns":[{"name":"id","type":"bigint"}]}"#;
    let error = of(&Request::default(), &file(Some(other)), &target(None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
}
