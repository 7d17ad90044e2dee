//! How the rows of one file are sent. Pure text.

use crate::columns::Sent;
use crate::definition::list;
use crate::selection::Selection;
use vb_postgres::sql::identifier;

/// One COPY, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Makes the table where rows wait whose text the server has to read; none where it has to read none.
    pub(crate) waiting: Option<String>,
    /// The COPY that takes the rows.
    pub copy: String,
    /// Takes rows that have waited home.
    pub(crate) home: Option<String>,
    /// Where the COPY goes, in SQL.
    pub(crate) destination: String,
    /// Which columns are sent.
    pub(crate) sent: Vec<Sent>,
    pub(crate) selection: Option<Selection>,
}

impl Load {
    /// The way of a file's rows to `home`. `frozen` if that is a table that this transaction has made.
    pub(crate) fn new(number: usize, sent: Vec<Sent>, home: &str, frozen: bool) -> Self {
        let options = if frozen { "(FORMAT binary, FREEZE)" } else { "(FORMAT binary)" };
        if !sent.iter().any(|sent| sent.parsed_as.is_some()) {
            let copy = copy_into(home, &sent, options);
            return Self { waiting: None, copy, home: None, destination: home.to_owned(), sent, selection: None };
        }
        let destination = format!("pg_temp.vb_import_text_{number}");
        let columns: Vec<String> = sent.iter().map(Sent::waiting).collect();
        let columns = columns.join(", ");
        let values: Vec<String> = sent.iter().map(Sent::read).collect();
        let (names, values) = (names(&sent), values.join(", "));
        Self {
            waiting: Some(format!(
                "CREATE TEMPORARY TABLE {destination} ON COMMIT DROP AS SELECT {columns} FROM {home} WITH NO DATA"
            )),
            copy: copy_into(&destination, &sent, "(FORMAT binary)"),
            home: Some(format!(
                "INSERT INTO {home} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {destination}"
            )),
            destination,
            sent,
            selection: None,
        }
    }

    /// Its statements, in order.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &String> {
        self.waiting.iter().chain(std::iter::once(&self.copy)).chain(&self.home)
    }

    /// The columns of the file that have to be read, each once, in the file's order; all where none is sent: a table without
    /// columns still has rows.
    pub(crate) fn read(&self, of_file: usize) -> Vec<usize> {
        if self.sent.is_empty() {
            return (0..of_file).collect();
        }
        let selection = self.selection.iter().map(|selection| selection.index);
        let mut columns: Vec<usize> = self.sent.iter().map(|sent| sent.index).chain(selection).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

/// The names of what is sent, with commas.
pub(crate) fn names(sent: &[Sent]) -> String {
    list(sent.iter().map(|sent| sent.name.as_str()))
}

/// A COPY of these columns.
pub(crate) fn copy_into(table: &str, sent: &[Sent], options: &str) -> String {
    if sent.is_empty() {
        format!("COPY {table} FROM STDIN {options}")
    } else {
        format!("COPY {table} ({}) FROM STDIN {options}", names(sent))
    }
}

/// `SELECT` of these columns.
pub(crate) fn select_from(table: &str, sent: &[Sent]) -> String {
    let names: Vec<String> = sent.iter().map(|sent| identifier(&sent.name)).collect();
    format!("SELECT {} FROM {table}", names.join(", "))
}
