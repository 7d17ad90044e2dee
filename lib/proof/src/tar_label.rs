//! The label of a database's archive: its last member, which a prover reads as it passes, and which is found at a file's end.

use crate::tar::BLOCK;
use crate::tar_header::Header;
use vb_core::label::{DATABASE, DATABASE_HEAD, LABEL_MEMBER, Label, Proof};

/// The label in the contents of its member. What it says of the data counts; that the archive is whole, its end has shown, and no more.
pub(crate) fn parsed(text: &[u8]) -> Option<Label> {
    let label: Label = serde_json::from_slice(text).ok()?;
    let label = Label { extension: "tar".to_owned(), proof: Proof::Format, stages: Vec::new(), ..label };
    (label.source.source_type == DATABASE).then_some(label)
}

/// What a file says it is that begins and ends so, if its end holds all of the label's member.
pub(crate) fn at_end(first: &[u8], end: &[u8]) -> Option<Label> {
    let head = first.get(..BLOCK)?;
    if !Header::parse(head)?.names(head, DATABASE_HEAD) {
        return None;
    }
    let contents_end = end.iter().rposition(|byte| *byte != 0)? + 1;
    // Blocks are counted from the file's end, which is that of a block.
    let offset = end.len() % BLOCK;
    let blocks = end.get(offset..contents_end)?.chunks_exact(BLOCK).enumerate();
    blocks.rev().find_map(|(number, block)| {
        let header = block.starts_with(LABEL_MEMBER.as_bytes()).then(|| Header::parse(block))??;
        let start = offset + (number + 1) * BLOCK;
        let contents = end.get(start..start.checked_add(usize::try_from(header.size).ok()?)?)?;
        let is_last = start + contents.len().next_multiple_of(BLOCK) >= contents_end;
        (is_last && header.names(block, LABEL_MEMBER)).then(|| parsed(contents))?
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn label() -> Label {
        let mut label = Label::of_stream(DATABASE, "shop", "shop", "tar");
        (label.records, label.proof) = (Some(7), Proof::Format);
        label
    }

    #[test]
    fn only_a_database_has_one() {
        let text = |label: &Label| serde_json::to_vec(label).unwrap();
        assert_eq!(parsed(&text(&label())), Some(label()));
        assert_eq!(parsed(&text(&Label::of_stream("table", "public.w", "w", "tar"))), None);
        assert_eq!(parsed(b"[]"), None);
    }
}
