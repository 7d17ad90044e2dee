#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod stream;
mod upstream;

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vb_core::environment::VB_THREADS;
use vb_core::{Error, Result};
use vb_pipe::{Command, CommonArguments, Done, EXIT_CODES, Input, Output, Session};

const EXAMPLES: &str = "\
Examples:
  vb-export | vb-compress | vb-put
  vb-get --latest | vb-compress -d | vb-import
  vb-compress -d backup.parquet.gz -o backup.parquet";

/// Gzip on all cores, with a seal at its end; -d is the way back, for any gzip.
#[derive(Debug, Parser)]
#[command(name = "vb-compress", version, about, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Arguments {
    /// The file to read instead of standard input
    #[arg(value_name = "FILE")]
    input: Option<PathBuf>,

    /// Decompress
    #[arg(short, long)]
    decompress: bool,

    /// From 0, which stores, over 6 to 12, which is small and very slow
    #[arg(short, long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(0..=12))]
    level: u8,

    /// Threads; all cores by default
    #[arg(short = 'p', long, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Write to this file, which appears when it is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonArguments,
}

fn main() -> ExitCode {
    vb_pipe::main::<Arguments>()
}

impl Command for Arguments {
    const NAME: &'static str = "vb-compress";
    const WRITES_DATA: bool = true;

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn stdout_carries_data(&self) -> bool {
        !self.common.dry_run && self.output.as_deref().is_none_or(|path| path == Path::new("-"))
    }

    fn run(self, session: &Session) -> anyhow::Result<Done> {
        let threads = self.threads(session)?;
        if self.common.dry_run {
            let verb = if self.decompress { "decompress" } else { "compress" };
            let fields = serde_json::json!({ "dry_run": true, "mode": verb, "level": self.level, "threads": threads });
            return Ok(session.done(&fields, format!("would {verb} on {threads} threads"))?);
        }
        let output = Output::open(session, self.output.as_deref())?;
        let input = Input::open(session, self.input.as_deref())?;
        if let Some(path) = self.output.as_deref().filter(|path| input.is_file(path)) {
            return Err(Error::usage(format!("{} is the input and the output", path.display()))
                .with_hint("Write to another file; remove the first one when that is there.")
                .into());
        }
        if self.decompress {
            return Ok(stream::decompress(session, input, output, threads)?);
        }
        Ok(stream::compress(session, input, output, self.level, threads)?)
    }
}

impl Arguments {
    fn threads(&self, session: &Session) -> Result<usize> {
        if let Some(threads) = self.threads {
            return Ok(threads.into());
        }
        match session.environment().get(VB_THREADS) {
            None => Ok(vb_gzip::default_threads()),
            Some(text) => text.parse().ok().filter(|threads| (1..=256).contains(threads)).ok_or_else(|| {
                Error::usage(format!("VB_THREADS is {text:?}")).with_hint("Set it to a number from 1 to 256.")
            }),
        }
    }
}
