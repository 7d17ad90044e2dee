//! The command line, and what it asks for.

use chrono::TimeDelta;
use vb_core::fact::Level;
use vb_core::{Error, Result};
use vb_pipe::{CommonArguments, EXIT_CODES};
use vb_repository::StoreArguments;

const EXAMPLES: &str = "\
Examples:
  vb-verify --latest --chain                     the newest backup and all that it stands on
  vb-verify --budget 10m                         every night: whatever was not checked for longest
  vb-verify --sample 5% --level 1
  VB_SCRATCH_DATABASE_URL=postgresql://… vb-verify --latest --level 4

Levels:
  0  listed      1  size and checksum of the stored objects      2  decoded from end to end
  3  restored into a scratch database or folder                  4  its rows are the source's
";

/// Check backups, and record beside each how far it is proven to be good
#[derive(Debug, clap::Parser)]
#[command(name = "vb-verify", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
#[allow(clippy::struct_excessive_bools)] // one each option
pub(crate) struct Arguments {
    /// These backups, as vb-ls shows them
    #[arg(value_name = "ID", group = "which", conflicts_with_all = ["latest", "all", "sample"])]
    pub(crate) ids: Vec<String>,

    /// The newest backup of each set
    #[arg(long, group = "which", conflicts_with_all = ["all", "sample"])]
    pub(crate) latest: bool,

    /// Every backup
    #[arg(long, group = "which", conflicts_with = "sample")]
    pub(crate) all: bool,

    /// So much of all backups, such as 5%: never checked ones first, then the longest ago
    #[arg(long, value_name = "PER CENT", group = "which", value_parser = percent)]
    pub(crate) sample: Option<f64>,

    /// Begin no further backup after this time, such as 10m; the next run goes on where this one stopped
    #[arg(long, value_name = "TIME", group = "which", value_parser = budget)]
    pub(crate) budget: Option<TimeDelta>,

    /// How far to go
    #[arg(long, value_name = "0..4", default_value = "2", value_parser = level)]
    pub(crate) level: Level,

    /// Also everything that the chosen backups stand on
    #[arg(long)]
    pub(crate) chain: bool,

    /// Only this set; by default VB_SET, else all
    #[arg(long, value_name = "NAME")]
    pub(crate) set: Option<String>,

    #[command(flatten)]
    pub(crate) store: StoreArguments,

    /// Where scratch databases are made and dropped, for levels 3 and 4; by default VB_SCRATCH_DATABASE_URL
    ///
    /// Without a password, which belongs in the variable, PGPASSWORD or the password file.
    #[arg(long, value_name = "URL")]
    pub(crate) scratch: Option<String>,

    /// Put no record of what was found into the store
    #[arg(long)]
    pub(crate) no_record: bool,

    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

fn level(text: &str) -> std::result::Result<Level, String> {
    let number: u8 = text.trim_start_matches('L').parse().map_err(|_| "write a number from 0 to 4".to_owned())?;
    Level::try_from(number)
}

fn percent(text: &str) -> std::result::Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    number.filter(|number| *number > 0.0 && *number <= 100.0).ok_or_else(|| "write it as 5%".to_owned())
}

fn budget(text: &str) -> std::result::Result<TimeDelta, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let seconds = units.iter().find_map(|(unit, seconds)| {
        let number: i64 = text.strip_suffix(*unit)?.parse().ok().filter(|number| *number >= 0)?;
        number.checked_mul(*seconds)
    });
    seconds.and_then(TimeDelta::try_seconds).ok_or_else(|| "write it as 90s, 10m or 2h".to_owned())
}

impl Arguments {
    /// How many of so many backups the sample takes: at least one.
    pub(crate) fn sample_of(&self, count: usize) -> usize {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share
        let share = |percent: f64| (count as f64 * percent / 100.0).ceil() as usize;
        self.sample.map_or(count, share).min(count)
    }

    /// # Errors
    /// A usage error for a URL that holds a password.
    pub(crate) fn refuse_secrets(&self) -> Result<()> {
        let credentials = |url: &str| {
            let rest = url.split_once("://").map_or("", |(_, rest)| rest);
            rest.split_once('@').is_some_and(|(user, _)| user.contains(':')) || url.contains("password=")
        };
        if self.scratch.as_deref().is_some_and(credentials) {
            return Err(Error::usage("--scratch holds a password").with_hint(
                "Put it into VB_SCRATCH_DATABASE_URL; a command line is visible to every user of the machine.",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn parse(line: &str) -> std::result::Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn something_must_be_chosen_and_only_one_way() {
        for line in ["vb-verify", "vb-verify --latest --all", "vb-verify x --latest", "vb-verify --latest --level 5"] {
            assert!(parse(line).is_err(), "{line}");
        }
        for line in ["vb-verify a b", "vb-verify --budget 10m", "vb-verify --sample 5% --budget 2h --level L4"] {
            parse(line).unwrap();
        }
        assert_eq!(parse("vb-verify --sample 5%").unwrap().sample_of(30), 2);
        assert_eq!(parse("vb-verify --sample 5%").unwrap().sample_of(1), 1);
        assert_eq!(parse("vb-verify --all").unwrap().sample_of(30), 30);
    }

    #[test]
    fn a_password_is_no_argument() {
        for (url, refused) in
            [("postgresql://u:p@h/d", true), ("postgresql://u@h/d", false), ("host=x password=y", true)]
        {
            let arguments = Arguments { scratch: Some(url.to_owned()), ..parse("vb-verify --all").unwrap() };
            assert_eq!(arguments.refuse_secrets().is_err(), refused, "{url}");
        }
    }
}
