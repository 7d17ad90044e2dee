//! What other programs say about our streams: whole ones are read, unsealed ones refused.

mod common;

use common::{MIB, random, run, sealed, text, unsealed};

const PYTHON: &str = "import gzip,sys;sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";

fn samples() -> Vec<Vec<u8>> {
    vec![vec![], b"a".to_vec(), text(3 * MIB + 1), random(2 * MIB)]
}

#[test]
fn a_sealed_stream_is_read_by_everyone() {
    for data in samples() {
        let stream = sealed(&data);
        let tested = run("gzip", &["-t"], &stream);
        assert!(tested.status.success() && tested.stderr.is_empty(), "{}", String::from_utf8_lossy(&tested.stderr));
        for (program, arguments) in [("gzip", &["-dc"][..]), ("zcat", &[]), ("python3", &["-c", PYTHON])] {
            let output = run(program, arguments, &stream);
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(output.stdout == data, "{program} read something else");
        }
    }
}

#[test]
fn an_unsealed_stream_is_an_unexpected_end_of_file() {
    for data in samples() {
        let stream = unsealed(&data);
        for (program, arguments) in [("gzip", &["-t"][..]), ("zcat", &[]), ("python3", &["-c", PYTHON])] {
            let output = run(program, arguments, &stream);
            let words = String::from_utf8_lossy(&output.stderr).to_lowercase();
            assert!(!output.status.success(), "{program} accepted {} bytes without a seal", data.len());
            let expected = if program == "python3" { "eoferror" } else { "unexpected end of file" };
            assert!(words.contains(expected), "{program}: {words}");
        }
    }
}
