//! The two directions: what is demanded of the input's end before the output is sealed.

use crate::upstream::{Ended, Upstream};
use serde_json::json;
use vb_core::label::{Label, Proof};
use vb_core::{Error, ErrorKind, Result};
use vb_gzip::{Decompressed, GzipError, Level};
use vb_pipe::{Done, Input, Output, Session};

/// Compresses. The seal says how far the proof reaches, so that a foreign producer's death is never sealed as its end.
pub(crate) fn compress(
    session: &Session,
    input: Input,
    mut output: Output,
    number: u8,
    threads: usize,
) -> Result<Done> {
    let level = Level::new(number).ok_or_else(|| Error::usage("the level is not between 0 and 12"))?;
    let progress = session.progress_of("compressed", input.length());
    let mut upstream = Upstream::new(input, session, &progress, packed);
    let unsealed = vb_gzip::compress(&mut upstream, &mut output, level, threads);
    let unsealed = unsealed.map_err(|cause| refusal("compressing", cause))?;
    let Ended { bytes, label, sealed } = upstream.finish()?;
    drop(progress);
    let label = packed(label);
    let text = serde_json::to_vec(&label).map_err(|cause| Error::failure(format!("writing the label: {cause}")))?;
    unsealed.seal(&mut output, &text).map_err(|cause| refusal("compressing", cause))?;
    let fields = json!({
        "mode": "compress",
        "level": number,
        "threads": threads,
        "sealed": sealed,
        "input_bytes": bytes,
        "size_bytes": output.digest().bytes(),
        "sha256": output.digest().sha256(),
    });
    finish(session, output, label, &fields, &format!("compressed {bytes} bytes"))
}

/// Decompresses any gzip. One of ours must carry its seal.
pub(crate) fn decompress(session: &Session, input: Input, mut output: Output, threads: usize) -> Result<Done> {
    let progress = session.progress_of("decompressed", input.length());
    let mut upstream = Upstream::new(input, session, &progress, unpacked);
    let opened = vb_gzip::decompress(&mut upstream, &mut output, threads);
    // Why the stage before failed says more than that its stream broke off.
    let ended = upstream.finish();
    let (ended, opened) = match (ended, opened) {
        (Ok(ended), Ok(opened)) => (ended, opened),
        (Err(error), Ok(_)) => return Err(error),
        (Err(error), Err(GzipError::Truncated { .. } | GzipError::NotGzip)) => return Err(error),
        (_, Err(cause)) => return Err(refusal("decompressing", cause)),
    };
    drop(progress);
    let sealed = matches!(opened, Decompressed::Sealed(_));
    let bytes = ended.bytes;
    let label = unpacked(inner_label(ended, opened)?);
    let fields = json!({
        "mode": "decompress",
        "threads": threads,
        "sealed": sealed,
        "input_bytes": bytes,
        "size_bytes": output.digest().bytes(),
        "sha256": output.digest().sha256(),
    });
    finish(session, output, label, &fields, &format!("decompressed {bytes} bytes"))
}

fn finish(session: &Session, output: Output, label: Label, fields: &serde_json::Value, verb: &str) -> Result<Done> {
    let done = session.done(fields, format!("{verb} to {}", output.digest().bytes()))?;
    output.seal(label, &done)?;
    Ok(done)
}

/// What the stage before says the stream is, else what the gzip's own seal says.
fn inner_label(ended: Ended, opened: Decompressed) -> Result<Label> {
    match opened {
        Decompressed::Sealed(seal) if !ended.sealed => serde_json::from_slice(&seal.label)
            .map_err(|cause| Error::integrity(format!("decompressing: the seal's label cannot be read: {cause}"))),
        // It decoded to its end, which is the most that a foreign gzip can prove.
        Decompressed::Foreign if !ended.sealed => Ok(Label { proof: Proof::Format, ..ended.label }),
        _ => Ok(ended.label),
    }
}

/// The label of the compressed stream.
fn packed(mut label: Label) -> Label {
    let dot = if label.extension.is_empty() { "" } else { "." };
    label.extension = format!("{}{dot}gz", label.extension);
    label
}

/// The label of the stream inside.
fn unpacked(mut label: Label) -> Label {
    let inside = label.extension.strip_suffix("gz").map(|inside| inside.trim_end_matches('.').to_owned());
    label.extension = inside.unwrap_or(label.extension);
    label
}

fn refusal(step: &str, cause: GzipError) -> Error {
    match cause {
        GzipError::Read(cause) => own(cause, format!("{step}: reading")),
        GzipError::Write(cause) => own(cause, format!("{step}: writing")),
        GzipError::NotGzip => Error::usage(format!("{step}: {cause}"))
            .with_hint("It may not be compressed at all; look at its first bytes with od -c."),
        GzipError::Truncated { .. } | GzipError::Corrupt { .. } | GzipError::SealMismatch { .. } => {
            Error::new(ErrorKind::Integrity, format!("{step}: {cause}"))
                .with_hint("Do not use what was written so far; fetch the stream again or take another backup.")
        }
        GzipError::LabelTooLong { .. } | GzipError::Thread => Error::failure(format!("{step}: {cause}")),
    }
}

/// An error of ours that passed through a reader comes out again; everything else is the system's.
fn own(cause: std::io::Error, step: String) -> Error {
    match cause.downcast::<Error>() {
        Ok(error) => error,
        Err(cause) => Error::io(step, cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_grow_and_shrink() {
        for (inside, outside) in [("parquet", "parquet.gz"), ("", "gz")] {
            let label = packed(Label::of_stream("file", "x", "x", inside));
            assert_eq!(label.extension, outside);
            assert_eq!(unpacked(label).extension, inside);
        }
    }
}
