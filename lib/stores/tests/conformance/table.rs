//! The table as Markdown, and its place in the README.

const BEGIN: &str = "<!-- written by make conformance -->\n";
const END: &str = "<!-- end -->";

/// A row for each case, a column for each store.
pub(crate) fn markdown(names: &[&str], rows: &[(&str, Vec<String>)]) -> String {
    let mut text = format!("| | {} |\n| --- |{}\n", names.join(" | "), " :---: |".repeat(names.len()));
    for (case, cells) in rows {
        text.push_str(&format!("| {case} | {} |\n", cells.join(" | ")));
    }
    text
}

/// The text with this table between its marks; `None` without them.
pub(crate) fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

/// What the table in this text says of a case on the store of this column; `None` where there is no such row.
pub(crate) fn said<'text>(text: &'text str, case: &str, column: usize) -> Option<&'text str> {
    let (_, rest) = text.split_once(BEGIN)?;
    let (table, _) = rest.split_once(END)?;
    let row = table.lines().find_map(|line| line.strip_prefix("| ")?.strip_prefix(case)?.strip_prefix(" | "))?;
    row.trim_end_matches(" |").split(" | ").nth(column)
}

#[test]
fn a_cell_is_found() {
    let table = markdown(&["one", "two"], &[("a case", vec!["✓".to_owned(), "no, because".to_owned()])]);
    let text = format!("{BEGIN}{table}{END}");
    assert_eq!((said(&text, "a case", 0), said(&text, "a case", 1)), (Some("✓"), Some("no, because")));
    assert_eq!((said(&text, "a case", 2), said(&text, "a", 0), said("", "a case", 0)), (None, None, None));
}

#[test]
fn only_what_is_between_the_marks_changes() {
    let text = format!("a\n{BEGIN}old\n{END}\nb\n");
    let table = markdown(&["one", "two"], &[("case", vec!["✓".to_owned(), "no".to_owned()])]);
    assert_eq!(table, "| | one | two |\n| --- | :---: | :---: |\n| case | ✓ | no |\n");
    assert_eq!(replaced(&text, &table).unwrap(), format!("a\n{BEGIN}{table}{END}\nb\n"));
    assert_eq!(replaced("a", &table), None);
}
