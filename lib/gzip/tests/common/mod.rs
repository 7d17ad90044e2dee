//! What the tests share: data, streams, and other people's programs.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;
use vb_gzip::{Decompressed, GzipError, Level, Result, Seal, compress, decompress};

pub const MIB: usize = 1 << 20;
pub const LABEL: &[u8] = br#"{"source":"table","kind":"full"}"#;

/// Bytes that do not compress, the same every time.
pub fn random(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..bytes).map(|_| next()).collect()
}

/// Lines of text with a few different words.
pub fn text(bytes: usize) -> Vec<u8> {
    let numbers = random(bytes / 8 + 1);
    let lines = numbers.iter().flat_map(|number| format!("row {number} of verified\n").into_bytes());
    lines.take(bytes).collect()
}

pub fn level(number: u8) -> Level {
    Level::new(number).unwrap()
}

pub fn sealed_with(data: &[u8], number: u8, threads: usize, label: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let unsealed = compress(data, &mut stream, level(number), threads).unwrap();
    let totals = unsealed.seal(&mut stream, label).unwrap();
    assert_eq!(totals.uncompressed_bytes, data.len() as u64);
    stream
}

pub fn sealed(data: &[u8]) -> Vec<u8> {
    sealed_with(data, 6, 2, LABEL)
}

/// What `compress` has written when the input turns out not to be whole.
pub fn unsealed(data: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    drop(compress(data, &mut stream, level(6), 2).unwrap());
    stream
}

pub fn open(stream: &[u8]) -> Result<(Decompressed, Vec<u8>)> {
    let mut data = Vec::new();
    decompress(stream, &mut data, 2).map(|end| (end, data))
}

pub fn open_sealed(stream: &[u8]) -> (Seal, Vec<u8>) {
    match open(stream).unwrap() {
        (Decompressed::Sealed(seal), data) => (seal, data),
        (Decompressed::Foreign, _) => panic!("not sealed"),
    }
}

/// Where each member of a sealed stream begins, the seal last.
pub fn member_starts(stream: &[u8]) -> Vec<usize> {
    let mut starts = vec![0];
    loop {
        let at = starts[starts.len() - 1];
        if &stream[at + 12..at + 14] == b"VS" {
            return starts;
        }
        let length = u32::from_le_bytes(stream[at + 16..at + 20].try_into().unwrap());
        starts.push(at + length as usize);
    }
}

pub fn is_truncated<T>(result: &Result<T>) -> bool {
    matches!(result, Err(GzipError::Truncated { .. }))
}

/// Runs a program with this input. A program that is missing fails the test.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|cause| panic!("cannot run {program}: {cause}"));
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        // A program that has seen enough closes its input early.
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output().unwrap()
    })
}

/// A gzip of the program `gzip`, with a file name, a time and another level.
pub fn gzip(data: &[u8]) -> Vec<u8> {
    let output = run("gzip", &["-9", "-c"], data);
    assert!(output.status.success());
    output.stdout
}
