//! The label in a Parquet footer: what `vb-export` says of the file, among the keys and values of its `FileMetaData`.
//!
//! It is written last, so that it stands near the footer's end: of a footer that is too long to be held, the end alone is searched.

use crate::thrift::{BINARY, I64, LIST, Thrift};
use vb_core::label::{LABEL_KEY, Label, Proof};

/// The numbers of fields, as the format's `parquet.thrift` has them.
const NUM_ROWS: i64 = 3;
const KEY_VALUE_METADATA: i64 = 5;
const KEY: i64 = 1;
const VALUE: i64 = 2;

/// The header of a field of text whose number is one more than that of the field before.
const NEXT_TEXT: u8 = 0x10 | BINARY;

/// The label in a whole footer. One of other rows than these is none: a program that took rows away may have kept it.
pub(crate) fn of_footer(footer: &[u8]) -> Option<Label> {
    let (mut rows, mut label) = (None, None);
    Thrift::new(footer).fields(|number, kind, thrift| {
        match (number, kind) {
            (NUM_ROWS, I64) => rows = Some(thrift.number()?),
            (KEY_VALUE_METADATA, LIST) => thrift.structures(|entry| {
                let (key, value) = entry_of(entry)?;
                if key == Some(LABEL_KEY.as_bytes()) {
                    label = value;
                }
                Some(())
            })?,
            _ => thrift.pass(kind, 0)?,
        }
        Some(())
    })?;
    let label = parsed(label?)?;
    (label.records.is_some() && label.records == u64::try_from(rows?).ok()).then_some(label)
}

/// The label in a footer of which this is the end.
pub(crate) fn of_footers_end(end: &[u8]) -> Option<Label> {
    let mut entry = vec![NEXT_TEXT, u8::try_from(LABEL_KEY.len()).ok()?];
    entry.extend(LABEL_KEY.as_bytes());
    entry.push(NEXT_TEXT);
    let found = end.windows(entry.len()).rposition(|window| window == entry)?;
    parsed(Thrift::new(&end[found + entry.len()..]).binary()?)
}

type Text<'bytes> = Option<&'bytes [u8]>;

fn entry_of<'bytes>(thrift: &mut Thrift<'bytes>) -> Option<(Text<'bytes>, Text<'bytes>)> {
    let (mut key, mut value) = (None, None);
    thrift.fields(|number, kind, thrift| {
        match (number, kind) {
            (KEY, BINARY) => key = Some(thrift.binary()?),
            (VALUE, BINARY) => value = Some(thrift.binary()?),
            _ => thrift.pass(kind, 1)?,
        }
        Some(())
    })?;
    Some((key, value))
}

/// What it says of the data counts; that the file is whole, its footer has shown, and no more.
fn parsed(text: &[u8]) -> Option<Label> {
    let label: Label = serde_json::from_slice(text).ok()?;
    Some(Label { extension: "parquet".to_owned(), proof: Proof::Format, stages: Vec::new(), ..label })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::parquet::{self, MAGIC};

    fn text(bytes: &mut Vec<u8>, text: &[u8]) {
        bytes.push(NEXT_TEXT);
        let mut length = text.len();
        while length > 127 {
            bytes.push(u8::try_from(length & 127).unwrap() | 128);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend(text);
    }

    /// A file of 33 rows in no row group, with these keys and values.
    pub(crate) fn file(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut footer = vec![0x15, 4, 0x19, 0x2C, 0x48, 1, b'r', 0x15, 2, 0, 0x15, 4, 0x18, 1, b'a', 0];
        footer.extend([0x16, 66, 0x19, 0x0C]);
        footer.extend([0x19, u8::try_from(entries.len() << 4).unwrap() | 0xC]);
        for (key, value) in entries {
            text(&mut footer, key.as_bytes());
            text(&mut footer, value);
            footer.push(0);
        }
        text(&mut footer, b"made by a test");
        footer.push(0);
        let mut bytes = [MAGIC, &[7; 100], &footer].concat();
        bytes.extend(u32::try_from(footer.len()).unwrap().to_le_bytes());
        bytes.extend(MAGIC);
        bytes
    }

    pub(crate) fn label(records: u64) -> Label {
        let mut label = Label::of_stream("table", "public.w", "w", "parquet");
        (label.records, label.proof) = (Some(records), Proof::Format);
        label
    }

    fn json(label: &Label) -> Vec<u8> {
        serde_json::to_vec(label).unwrap()
    }

    #[test]
    fn it_is_found_among_other_keys_and_trusted_with_no_proof() {
        let sealed = Label { proof: Proof::Sealed, extension: "../x".to_owned(), ..label(33) };
        let bytes = file(&[("vb.table", b"{}"), (LABEL_KEY, &json(&sealed)), ("x", b"y")]);
        assert_eq!(parquet::label_at_end(&bytes), Some(label(33)));
        assert_eq!(parquet::label_at_end(&file(&[("x", b"y")])), None);
        assert_eq!(parquet::label_at_end(&file(&[(LABEL_KEY, b"{}")])), None);
        assert_eq!(parquet::label_at_end(&file(&[(LABEL_KEY, &json(&label(32)))])), None, "of other rows");
    }

    #[test]
    fn of_a_footer_that_is_too_long_the_end_is_searched() {
        let long = vec![b' '; 3 << 20];
        let bytes = file(&[("vb.schema", &long), (LABEL_KEY, &json(&label(33)))]);
        assert_eq!(parquet::label_at_end(&bytes), Some(label(33)));
        assert_eq!(parquet::label_at_end(&bytes[bytes.len() - parquet::WINDOW..]), Some(label(33)));
        assert_eq!(parquet::label_at_end(&file(&[(LABEL_KEY, &json(&label(33))), ("vb.schema", &long)])), None);
    }

    #[test]
    fn garbage_is_no_label() {
        let bytes = file(&[("a", b"b"), (LABEL_KEY, &json(&label(33)))]);
        for at in 104..bytes.len() {
            for flip in [1, 0x80, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let _whatever_it_says = parquet::label_at_end(&damaged);
            }
            let _nor_of_a_part = parquet::label_at_end(&bytes[at..]);
        }
    }
}
