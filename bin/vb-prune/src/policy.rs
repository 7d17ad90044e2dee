//! The retention policy: from the options, and without any from the variables of older programs.

use crate::preset::Preset;
use vb_core::environment::Environment;
use vb_core::fact::Level;
use vb_core::label::Kind;
use vb_core::retention::{self, Age, GroupBy, Period, Policy, Rule};
use vb_core::{Error, Result};

/// What to keep. A backup that any rule keeps is kept.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What to keep")]
pub(crate) struct KeepArguments {
    /// The newest N, whenever they were made
    #[arg(long, value_name = "N", value_parser = number)]
    keep_last: Option<usize>,

    /// The newest of each of the last N hours that have a backup
    #[arg(long, value_name = "N", value_parser = number)]
    keep_hourly: Option<usize>,

    /// The newest of each of the last N days; by default BACKUP_RETENTION_DAYS
    #[arg(long, value_name = "N", value_parser = number)]
    keep_daily: Option<usize>,

    /// The newest of each of the last N weeks; by default BACKUP_RETENTION_WEEKS
    #[arg(long, value_name = "N", value_parser = number)]
    keep_weekly: Option<usize>,

    /// The newest of each of the last N months; by default BACKUP_RETENTION_MONTHS
    #[arg(long, value_name = "N", value_parser = number)]
    keep_monthly: Option<usize>,

    /// The newest of each of the last N years
    #[arg(long, value_name = "N", value_parser = number)]
    keep_yearly: Option<usize>,

    /// Everything made within this age of the newest good backup, such as 36h, 30d, 8w or 1y5m7d2h
    #[arg(long, value_name = "AGE")]
    keep_within: Option<Age>,

    /// The newest of each hour within this age of the newest good backup
    #[arg(long, value_name = "AGE")]
    keep_within_hourly: Option<Age>,

    /// The newest of each day within this age
    #[arg(long, value_name = "AGE")]
    keep_within_daily: Option<Age>,

    /// The newest of each week within this age
    #[arg(long, value_name = "AGE")]
    keep_within_weekly: Option<Age>,

    /// The newest of each month within this age
    #[arg(long, value_name = "AGE")]
    keep_within_monthly: Option<Age>,

    /// The newest of each year within this age
    #[arg(long, value_name = "AGE")]
    keep_within_yearly: Option<Age>,

    /// Everything that has all of these tags; may be given several times
    #[arg(long, value_name = "TAG[,TAG…]")]
    keep_tag: Vec<String>,

    /// Remove only what is older than this, counted from the newest good backup
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,

    /// With --older-than: keep the newest N however old they are
    #[arg(long, value_name = "N", value_parser = number, requires = "older_than")]
    keep_at_least: Option<usize>,

    /// A known policy, whose numbers other options replace
    #[arg(long, value_enum, value_name = "NAME")]
    preset: Option<Preset>,

    /// Only a backup verified as far as this counts (0 to 4, see vb-verify); by default 0: every complete one
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    require_level: Option<Level>,

    /// Judge only full or only incremental backups, and leave the others alone
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,

    /// Judge what a set holds of one source as one history, or its full and its incremental backups apart
    #[arg(long, value_name = "set|set,kind", value_parser = group_by)]
    group_by: Option<GroupBy>,
}

impl KeepArguments {
    /// The policy for this set or all. The variables count only if no rule is given: half a policy from each would surprise.
    ///
    /// # Errors
    /// A usage error if a number is none, or nothing is to be kept.
    pub(crate) fn policy(&self, environment: &Environment, set: Option<&str>) -> Result<Policy> {
        let mut rules = self.rules();
        if rules.is_empty() {
            rules = retention::rules_from(environment)?;
        }
        if rules.is_empty() {
            return Err(Error::usage("nothing says what to keep").with_hint(
                "Give an option such as --keep-daily 30, or set BACKUP_RETENTION_DAYS; nothing was removed.",
            ));
        }
        Ok(Policy {
            rules,
            require_level: self.require_level.unwrap_or_default(),
            group_by: self.group_by.unwrap_or_default(),
            kind: self.kind,
            set: set.map(str::to_owned),
        })
    }

    fn rules(&self) -> Vec<Rule> {
        let counts = [self.keep_hourly, self.keep_daily, self.keep_weekly, self.keep_monthly, self.keep_yearly];
        let ages = [
            self.keep_within_hourly,
            self.keep_within_daily,
            self.keep_within_weekly,
            self.keep_within_monthly,
            self.keep_within_yearly,
        ];
        let preset = |period| self.preset.and_then(|preset| preset.most(period));
        let newest = Period::ALL
            .into_iter()
            .zip(counts)
            .filter_map(|(of_each, most)| Some(Rule::Newest { of_each, most: most.or_else(|| preset(of_each))? }));
        let newest_within = Period::ALL
            .into_iter()
            .zip(ages)
            .filter_map(|(of_each, age)| Some(Rule::NewestWithin { of_each, age: age? }));
        let lasts = [self.keep_last, self.keep_at_least];
        let mut rules: Vec<Rule> = lasts.into_iter().flatten().map(Rule::Last).collect();
        rules.extend(newest);
        rules.extend(self.keep_within.map(Rule::Within));
        rules.extend(newest_within);
        rules.extend(self.older_than.map(Rule::NotOlder));
        rules.extend(self.keep_tag.iter().map(|tags| Rule::Tagged(tag_list(tags))));
        rules
    }
}

fn tag_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

fn number(text: &str) -> std::result::Result<usize, String> {
    retention::parse_number(text).ok_or_else(|| "give a number or \"unlimited\"".to_owned())
}

fn level(text: &str) -> std::result::Result<Level, String> {
    let digits = text.trim_start_matches(['L', 'l']);
    digits.parse::<u8>().map_err(|_| "give a number from 0 to 4".to_owned()).and_then(Level::try_from)
}

fn kind(text: &str) -> std::result::Result<Kind, String> {
    [Kind::Full, Kind::Incremental]
        .into_iter()
        .find(|kind| kind.name() == text)
        .ok_or_else(|| "full or incremental".to_owned())
}

fn group_by(text: &str) -> std::result::Result<GroupBy, String> {
    match text {
        "set" => Ok(GroupBy::Set),
        "set,kind" | "kind,set" => Ok(GroupBy::SetAndKind),
        _ => Err("give \"set\" or \"set,kind\"".to_owned()),
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
