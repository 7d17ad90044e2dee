//! The retention policy: from the options, and without any from the variables of older programs.

use chrono::TimeDelta;
use vb_core::environment::{
    BACKUP_RETENTION_DAYS, BACKUP_RETENTION_MONTHS, BACKUP_RETENTION_WEEKS, Environment, Variable,
};
use vb_core::retention::Policy;
use vb_core::{Error, Result};

/// What to keep.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What to keep")]
pub(crate) struct KeepArguments {
    /// The newest N, whenever they were made
    #[arg(long, value_name = "N")]
    keep_last: Option<usize>,

    /// The newest of each of the last N hours that have a backup
    #[arg(long, value_name = "N")]
    keep_hourly: Option<usize>,

    /// The newest of each of the last N days; by default BACKUP_RETENTION_DAYS
    #[arg(long, value_name = "N")]
    keep_daily: Option<usize>,

    /// The newest of each of the last N weeks; by default BACKUP_RETENTION_WEEKS
    #[arg(long, value_name = "N")]
    keep_weekly: Option<usize>,

    /// The newest of each of the last N months; by default BACKUP_RETENTION_MONTHS
    #[arg(long, value_name = "N")]
    keep_monthly: Option<usize>,

    /// The newest of each of the last N years
    #[arg(long, value_name = "N")]
    keep_yearly: Option<usize>,

    /// Everything younger than this, such as 36h, 30d or 8w
    #[arg(long, value_name = "AGE")]
    keep_within: Option<String>,
}

impl KeepArguments {
    /// The policy. The variables count only if no option is given: half a policy from each would surprise.
    ///
    /// # Errors
    /// A usage error if a number is none, or nothing is to be kept.
    pub(crate) fn policy(&self, environment: &Environment) -> Result<Policy> {
        let policy = if self.is_empty() { from_environment(environment)? } else { self.given()? };
        if policy.is_empty() {
            return Err(Error::usage("nothing says what to keep").with_hint(
                "Give an option such as --keep-daily 30, or set BACKUP_RETENTION_DAYS; nothing was removed.",
            ));
        }
        Ok(policy)
    }

    fn is_empty(&self) -> bool {
        let counts =
            [self.keep_last, self.keep_hourly, self.keep_daily, self.keep_weekly, self.keep_monthly, self.keep_yearly];
        counts.iter().all(Option::is_none) && self.keep_within.is_none()
    }

    fn given(&self) -> Result<Policy> {
        Ok(Policy {
            last: self.keep_last.unwrap_or(0),
            hourly: self.keep_hourly.unwrap_or(0),
            daily: self.keep_daily.unwrap_or(0),
            weekly: self.keep_weekly.unwrap_or(0),
            monthly: self.keep_monthly.unwrap_or(0),
            yearly: self.keep_yearly.unwrap_or(0),
            within: self.keep_within.as_deref().map(age).transpose()?,
        })
    }
}

fn from_environment(environment: &Environment) -> Result<Policy> {
    let number = |variable: Variable| match environment.get(variable) {
        None => Ok(0),
        Some(text) => text.trim().parse().map_err(|_| {
            Error::usage(format!("{} is {text:?}, which is no number", variable.name))
                .with_hint("Set it to the number of backups to keep, or unset it.")
        }),
    };
    Ok(Policy {
        daily: number(BACKUP_RETENTION_DAYS)?,
        weekly: number(BACKUP_RETENTION_WEEKS)?,
        monthly: number(BACKUP_RETENTION_MONTHS)?,
        ..Policy::default()
    })
}

fn age(text: &str) -> Result<TimeDelta> {
    let units = [('h', 3600), ('d', 86_400), ('w', 604_800)];
    let seconds = units.iter().find_map(|(unit, seconds)| {
        let number: i64 = text.strip_suffix(*unit)?.parse().ok().filter(|number| *number > 0)?;
        number.checked_mul(*seconds)
    });
    seconds.and_then(TimeDelta::try_seconds).ok_or_else(|| {
        Error::usage(format!("--keep-within {text:?} is no age")).with_hint("Write it as 36h, 30d or 8w.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::ErrorKind;

    fn environment(values: &[(&str, &str)]) -> Environment {
        Environment::new(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn options_go_before_variables_and_do_not_mix() {
        let variables = environment(&[("BACKUP_RETENTION_DAYS", "30"), ("BACKUP_RETENTION_MONTHS", "12")]);
        let policy = KeepArguments::default().policy(&variables).unwrap();
        assert_eq!(policy, Policy { daily: 30, monthly: 12, ..Policy::default() });
        let options = KeepArguments { keep_weekly: Some(4), keep_within: Some("2d".to_owned()), ..Default::default() };
        let policy = options.policy(&variables).unwrap();
        assert_eq!(policy, Policy { weekly: 4, within: Some(TimeDelta::days(2)), ..Policy::default() });
    }

    #[test]
    fn no_policy_is_refused_and_so_is_half_of_one() {
        let nothing = KeepArguments::default();
        let zero = KeepArguments { keep_daily: Some(0), ..Default::default() };
        let wrong = environment(&[("BACKUP_RETENTION_DAYS", "thirty")]);
        for (options, variables) in [(&nothing, &environment(&[])), (&zero, &wrong), (&nothing, &wrong)] {
            assert_eq!(options.policy(variables).unwrap_err().kind(), ErrorKind::Usage);
        }
        for bad in ["30", "d", "-1d", "0d", "1y", "999999999999999999w"] {
            let options = KeepArguments { keep_within: Some(bad.to_owned()), ..Default::default() };
            assert_eq!(options.policy(&environment(&[])).unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
    }
}
