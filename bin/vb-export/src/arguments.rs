//! The command line, and what it asks for.

mod dump;

use crate::shard;
use crate::sidecar::Sidecar;
use crate::snapshot::Holding;
use chrono::TimeDelta;
use std::path::{Path, PathBuf};
use vb_core::environment::{self as variables, Environment};
use vb_core::mark::Mark;
use vb_core::position::XMIN;
use vb_core::time::Instant;
use vb_core::{Error, Result, naming, watermark};
use vb_format::Compression;
use vb_pipe::{CommonArguments, EXIT_CODES};
use vb_postgres::keys::Buckets;
use vb_postgres::snapshot::Token;
use vb_source::{Format, Request, Selection, TablePart};

const EXAMPLES: &str = "\
Examples:
  vb-export | vb-compress | vb-put
  vb-export --since @data/.last_backup | vb-compress | vb-put --mark data/.last_backup
  vb-export --since @data/.last_backup --deletes | vb-compress | vb-put --mark data/.last_backup
  vb-export table stations --by xmin --since @data/stations | vb-compress | vb-put --mark data/stations
  vb-export table weather.stations --range 2026-11-01:2026-11-30 -o stations.parquet
  vb-export query 'SELECT * FROM stations' --format csv
  vb-export dump --format parquet --jobs 2 | vb-compress | vb-put
  vb-export dump --format parquet --since @data/shop | vb-compress | vb-put --mark data/shop
  vb-export snapshot -- parallel 'vb-export --shard {}/4 | vb-compress | vb-put' ::: 1 2 3 4";

/// How long a table may stay locked.
const LOCK_WAIT: &str = "5m";

/// One table, query or database of PostgreSQL as one stream.
#[derive(Debug, clap::Parser)]
#[command(name = "vb-export", version, about, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    source: Option<Source>,

    #[command(flatten)]
    part: Part,

    #[command(flatten)]
    speed: Speed,

    #[command(flatten)]
    form: Form,

    /// Write to this file, which appears when it is complete
    #[arg(short, long, value_name = "FILE", global = true)]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

#[derive(Debug, clap::Subcommand)]
enum Source {
    /// A table; without a name $VB_TABLE, else verification_scores
    Table {
        /// The table, with its schema if that is not on the search path
        name: Option<String>,
    },
    /// The rows of a query
    Query {
        /// One SELECT
        sql: String,
    },
    /// The whole database of the connection: the archive of pg_dump, or with --format parquet every table in one tar; then with
    /// --since @FILE what has changed in it
    Dump,
    /// Nothing: holds a snapshot for other exports, as long as a command runs or until it is ended
    Snapshot(Holding),
}

#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Which rows")]
struct Part {
    /// From this time on, or after what `vb-put --mark` wrote into the file; a missing file is a full export
    #[arg(long, value_name = "WHEN|@FILE", global = true)]
    since: Option<String>,

    /// Before this time
    #[arg(long, value_name = "WHEN", global = true)]
    until: Option<String>,

    /// These days, both included
    #[arg(long, value_name = "DAY:DAY", global = true)]
    range: Option<String>,

    /// A condition of your own
    #[arg(long = "where", value_name = "SQL", global = true)]
    condition: Option<String>,

    /// By what rows are new: a time column, or xmin, the transaction that wrote them; without it updated_at, else created_at, else xmin
    #[arg(long, value_name = "COLUMN|xmin", global = true)]
    by: Option<String>,

    /// Everything, although FILE says where the last export ended
    #[arg(long, requires = "since", global = true)]
    full: bool,

    /// Tell in an incremental export which rows are gone; what that takes is kept beside FILE
    #[arg(long, global = true)]
    deletes: bool,

    /// Without the rows of tables that inherit from it
    #[arg(long, global = true)]
    only: bool,

    /// Only the rows that row-level security shows to this role, instead of refusing
    #[arg(long, global = true)]
    enable_row_security: bool,

    /// How long to try again while another session has locked the table; 5m by default
    #[arg(long, value_name = "AGE", global = true)]
    lock_wait: Option<String>,

    /// What to step back where running transactions are hidden
    #[arg(long, value_name = "AGE", default_value = "1h", global = true)]
    overlap: String,

    /// One of several equal parts of the table: 2/8, or auto/8 and auto where Slurm or Kubernetes number the tasks
    #[arg(long, value_name = "K/N", global = true)]
    shard: Option<String>,

    /// The snapshot to read from, as `vb-export snapshot` prints it; without it VB_SNAPSHOT, else one of its own
    #[arg(long, value_name = "TOKEN", global = true)]
    snapshot: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How fast, how sure")]
struct Speed {
    /// Connections that read side by side; without it VB_JOBS, else one
    #[arg(short, long, value_name = "N", global = true)]
    jobs: Option<usize>,

    /// Have the server hash all rows, so that vb-import can tell whether they came back identical
    #[arg(long, global = true)]
    row_hash: bool,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "In which form")]
struct Form {
    /// The stream's format; parquet by default, of a whole database custom
    #[arg(long, value_enum, global = true)]
    format: Option<FormatName>,

    /// Compression inside Parquet; vb-compress does it better
    #[arg(long, value_enum, default_value_t = CompressionName::None, global = true)]
    compression: CompressionName,

    /// The set's name in the store
    #[arg(long, value_name = "NAME", global = true)]
    set: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FormatName {
    Parquet,
    Jsonl,
    Csv,
    Json,
    /// The archive of pg_dump, for a whole database
    Custom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CompressionName {
    None,
    Zstd,
    Snappy,
    Gzip,
}

impl Arguments {
    /// Whether the stream goes to standard output.
    pub(crate) fn writes_to_stdout(&self) -> bool {
        !self.common.dry_run && self.output.as_deref().is_none_or(|path| path == Path::new("-"))
    }

    /// What is asked for.
    ///
    /// # Errors
    /// A usage error for a time, a range or a file that means nothing.
    pub(crate) fn request(
        &self,
        environment: &Environment,
        now: Instant,
        sidecar: Option<&mut Sidecar>,
    ) -> Result<Request> {
        let selection = match &self.source {
            Some(Source::Query { sql }) => self.part.of_query(sql)?,
            Some(Source::Table { name }) => self.part.of_table(name.as_deref(), environment, now, sidecar)?,
            None | Some(Source::Snapshot(_) | Source::Dump) => self.part.of_table(None, environment, now, sidecar)?,
        };
        let set = self.set(environment)?;
        let format = self.form.format()?;
        if self.part.deletes && !matches!(format, Format::Parquet(_)) {
            return Err(Error::usage("only Parquet has room for rows that are gone")
                .with_hint("Leave out --deletes, or --format."));
        }
        let snapshot = self.part.snapshot.as_deref().or_else(|| environment.get(variables::VB_SNAPSHOT));
        let snapshot = snapshot.map(Token::parse).transpose()?;
        let row_hash = self.speed.row_hash || environment.get(variables::VB_ROW_HASH) == Some("yes");
        Ok(Request {
            selection,
            format,
            set,
            jobs: self.speed.jobs(environment)?,
            snapshot,
            row_hash,
            lock_wait: self.lock_wait(environment, now)?,
            row_security: self.part.enable_row_security,
            pg_dump: environment.get(variables::VB_PG_DUMP).map(PathBuf::from),
        })
    }

    /// Where the digests of the keys are kept, if rows that are gone are told.
    pub(crate) fn sidecar(&self) -> Option<Sidecar> {
        let path = self.part.since.as_deref().and_then(|since| since.strip_prefix('@'))?;
        self.part.deletes.then(|| Sidecar::beside(Path::new(path)))
    }

    fn set(&self, environment: &Environment) -> Result<Option<String>> {
        let set = self.form.set.clone().or_else(|| environment.get(variables::VB_SET).map(str::to_owned));
        set.iter().try_for_each(|set| naming::check_set(set))?;
        Ok(set)
    }

    fn lock_wait(&self, environment: &Environment, now: Instant) -> Result<std::time::Duration> {
        let lock_wait = self.part.lock_wait.as_deref().or_else(|| environment.get(variables::VB_LOCK_WAIT));
        let lock_wait = now - watermark::parse_when(lock_wait.unwrap_or(LOCK_WAIT), now)?;
        Ok(lock_wait.to_std().unwrap_or_default())
    }

    /// What to hold, if that is all.
    pub(crate) fn holding(&self) -> Option<&Holding> {
        match &self.source {
            Some(Source::Snapshot(holding)) => Some(holding),
            _ => None,
        }
    }

    /// What to step back where running transactions are hidden.
    ///
    /// # Errors
    /// A usage error if it is no age.
    pub(crate) fn overlap(&self, now: Instant) -> Result<TimeDelta> {
        self.part.overlap(now)
    }
}

impl Speed {
    fn jobs(&self, environment: &Environment) -> Result<usize> {
        let wrong =
            |text: &str| Error::usage(format!("VB_JOBS is {text:?}")).with_hint("Set it to a number from 1 on.");
        let given = environment.get(variables::VB_JOBS).map(|text| text.parse().map_err(|_| wrong(text)));
        match self.jobs.map_or_else(|| given.transpose(), |jobs| Ok(Some(jobs)))? {
            Some(0) => Err(Error::usage("no connection can read nothing").with_hint("Give --jobs a number from 1 on.")),
            jobs => Ok(jobs.unwrap_or(1)),
        }
    }
}

impl Part {
    /// A query says itself which rows it wants.
    fn of_query(&self, sql: &str) -> Result<Selection> {
        let given = [&self.since, &self.until, &self.range, &self.condition, &self.by, &self.shard];
        if given.iter().all(|option| option.is_none()) && !self.only && !self.deletes {
            return Ok(Selection::Query(sql.to_owned()));
        }
        Err(Error::usage("--since, --until, --range, --where, --by, --deletes, --shard and --only are for tables")
            .with_hint("Write the condition into the query."))
    }

    fn of_table(
        &self,
        name: Option<&str>,
        environment: &Environment,
        now: Instant,
        sidecar: Option<&mut Sidecar>,
    ) -> Result<Selection> {
        self.check()?;
        let name = name.or_else(|| environment.get(variables::VB_TABLE)).unwrap_or(naming::DEFAULT_TABLE);
        let until = self.until.as_deref().map(|when| watermark::parse_when(when, now)).transpose()?;
        let since = self.since.as_deref().map(|since| last(since, now)).transpose()?.flatten();
        let since = since.filter(|_| !self.full);
        let deletes = match (sidecar, &since) {
            (Some(sidecar), Some(Ok(mark))) => Some(sidecar.read(mark, Buckets::parse)?),
            (Some(_), Some(Err(reason))) => Some(Err(reason.clone())),
            (Some(_), None) => Some(Err("there was no export before".to_owned())),
            (None, _) => None,
        };
        Ok(Selection::Table(Box::new(TablePart {
            name: name.to_owned(),
            only: self.only,
            since,
            until,
            range: self.range.as_deref().map(watermark::parse_range).transpose()?,
            condition: self.condition.clone(),
            by: self.by.clone(),
            overlap: self.overlap(now)?,
            shard: self.shard.as_deref().map(|text| shard::parse(text, environment)).transpose()?,
            deletes,
        })))
    }

    /// Options that mean nothing together.
    fn check(&self) -> Result<()> {
        let from_file = self.since.as_deref().is_some_and(|since| since.starts_with('@'));
        if self.by.as_deref() == Some(XMIN) && self.since.is_some() && !from_file {
            return Err(Error::usage("xmin knows no times to start from").with_hint(
                "Give --since @FILE, the file that vb-put --mark wrote, or name a time column with --by COLUMN.",
            ));
        }
        if !self.deletes {
            return Ok(());
        }
        if !from_file {
            return Err(Error::usage("--deletes needs --since @FILE, beside which it keeps the digests of the keys")
                .with_hint("Give the file that vb-put --mark writes; a missing one is a full export."));
        }
        let parts = [&self.until, &self.range, &self.condition, &self.shard];
        if parts.iter().any(|part| part.is_some()) {
            return Err(Error::usage(
                "--until, --range, --where and --shard are parts of the table, which cannot tell what is gone",
            )
            .with_hint("Leave them out, or --deletes."));
        }
        Ok(())
    }

    fn overlap(&self, now: Instant) -> Result<TimeDelta> {
        Ok(now - watermark::parse_when(&self.overlap, now)?)
    }
}

/// Where a table's last export ended. A file with a time only, as older programs left it, is nothing that a chain could begin with: then
/// there is a reason for a full export.
fn last(since: &str, now: Instant) -> Result<Option<std::result::Result<Mark, String>>> {
    let stands = |mark: Mark| match since.strip_prefix('@') {
        Some(path) if mark.id.is_none() => Err(format!("{path} holds a time and names no backup")),
        _ => Ok(mark),
    };
    Ok(mark(since, now)?.map(stands))
}

/// `@FILE` holds what the last backup left, and is missing before the first.
fn mark(since: &str, now: Instant) -> Result<Option<Mark>> {
    let Some(path) = since.strip_prefix('@') else {
        let until = watermark::parse_when(since, now)?;
        return Ok(Some(Mark::of_time(until)));
    };
    if path.is_empty() {
        return Err(Error::usage("--since @ names no file").with_hint("Give --since @FILE; is a variable empty?"));
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Mark::parse(&text, path).map(Some),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io(format!("reading the watermark in {path}"), cause)),
    }
}

impl Form {
    fn format(&self) -> Result<Format> {
        let compression = match self.compression {
            CompressionName::None => Compression::None,
            CompressionName::Zstd => Compression::Zstd,
            CompressionName::Snappy => Compression::Snappy,
            CompressionName::Gzip => Compression::Gzip,
        };
        let format = match self.format.unwrap_or(FormatName::Parquet) {
            FormatName::Custom => return Err(Error::usage("--format custom is for vb-export dump")),
            FormatName::Parquet => return Ok(Format::Parquet(compression)),
            FormatName::Jsonl => Format::JsonLines,
            FormatName::Csv => Format::Csv,
            FormatName::Json => Format::Json,
        };
        if compression == Compression::None {
            return Ok(format);
        }
        Err(Error::usage("--compression is for Parquet only").with_hint("Pipe the stream through vb-compress."))
    }
}
