//! What reaches the decoder of COPY BINARY may be damaged: it ends in rows or in an error, never in a panic, in flat memory.
//!
//! Streams of every type are made from a seed, damaged, decoded, and what was decoded is encoded again. `VB_FUZZ_INPUTS` says how
//! many (20,000 unless set), `VB_FUZZ_SEED` which; a failure names the one that was at fault.

#[path = "fuzz/streams.rs"]
mod streams;

use std::panic::{AssertUnwindSafe, catch_unwind};
use streams::{damage, stream, types};
use vb_postgres::decode::CopyDecoder;
use vb_postgres::encode::CopyEncoder;
use vb_postgres::schema::{Column, TableDescription};
use vb_postgres::types::ColumnType;
use vb_tests::fuzz::{Inputs, peak_memory_kib};

const INPUTS: u64 = 20_000;
/// The most that the process may ever take: some numbers print as 147,456 digits, and a stream has eight rows at most.
const MOST_MEMORY_KIB: u64 = 200 << 10;

fn table(column_types: &[ColumnType]) -> TableDescription {
    let column = |(index, column_type): (usize, &ColumnType)| {
        Column { name: format!("c{index}"), ..Column::default() }.stored_as(column_type.clone())
    };
    TableDescription { columns: column_types.iter().enumerate().map(column).collect(), ..TableDescription::default() }
}

/// Decodes a stream that comes in blocks of this length, and encodes what came of it. Whether it was taken to its end.
fn decode(table: &TableDescription, column_types: &[ColumnType], bytes: &[u8], block: usize) -> bool {
    let names = column_types.iter().enumerate().map(|(index, of)| (format!("c{index}"), of.clone())).collect();
    let encoder = CopyEncoder::new("fuzz".to_owned(), names);
    let mut decoder = CopyDecoder::new(table);
    let mut each = |batch: arrow_array::RecordBatch| {
        let mut out = Vec::new();
        let _refused = encoder.encode(batch.columns(), 0..batch.num_rows(), 0, &mut out, &mut |_| Ok(()));
        Ok(())
    };
    bytes
        .chunks(block)
        .try_for_each(|block| decoder.push(block, &mut each))
        .and_then(|()| decoder.finish(&mut each))
        .is_ok()
}

#[test]
fn whatever_comes_ends_in_rows_or_in_an_error() {
    let made = Inputs::from_environment(INPUTS);
    let (inputs, seed) = (made.count, made.seed);
    let all = types();
    let mut taken = 0_u64;
    for input in 0..inputs {
        let mut chance = made.chance(input);
        let column_types: Vec<ColumnType> =
            (0..=chance.below(3)).map(|_| all[chance.below(all.len())].clone()).collect();
        let description = table(&column_types);
        let mut bytes = stream(&column_types, &mut chance);
        // One in eight stays whole, and must be taken.
        let whole = input % 8 == 0;
        if !whole {
            damage(&mut bytes, &mut chance);
        }
        let block = 1 + chance.below(bytes.len().max(1));
        let decoded = catch_unwind(AssertUnwindSafe(|| decode(&description, &column_types, &bytes, block)));
        let decoded = decoded.unwrap_or_else(|_| panic!("input {input} of seed {seed} panics: {column_types:?}"));
        assert!(decoded || !whole, "input {input} of seed {seed} is whole and refused: {column_types:?}");
        taken += u64::from(decoded);
    }
    let memory = peak_memory_kib();
    println!("{inputs} streams, {taken} taken, {} refused, no panic, {} MiB at most", inputs - taken, memory >> 10);
    assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
}
