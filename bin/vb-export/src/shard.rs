//! Which shard this process exports: by number, or by what its scheduler says.

use vb_core::environment::{self as variables, Environment, Variable};
use vb_core::{Error, Result};
use vb_source::Shard;

/// `2/8`; or `auto/8` and `auto`, for a task of a Slurm job array or a pod of a Kubernetes indexed job.
///
/// # Errors
/// A usage error if it is no shard, or no scheduler has numbered this process.
pub(crate) fn parse(text: &str, environment: &Environment) -> Result<Shard> {
    match text.strip_prefix("auto") {
        Some("") => {
            let count = number(environment, variables::SLURM_ARRAY_TASK_COUNT)?;
            Shard::parse(&format!("{}/{}", task(environment)?, count.ok_or_else(|| unnumbered(text))?))
        }
        Some(of) => Shard::parse(&format!("{}{of}", task(environment)?)),
        None => Shard::parse(text),
    }
}

/// The number of this task, from 1 on.
fn task(environment: &Environment) -> Result<u32> {
    if let Some(index) = number(environment, variables::JOB_COMPLETION_INDEX)? {
        return Ok(index + 1);
    }
    let first = number(environment, variables::SLURM_ARRAY_TASK_MIN)?.unwrap_or(1);
    let task = number(environment, variables::SLURM_ARRAY_TASK_ID)?;
    task.and_then(|task| (task + 1).checked_sub(first)).ok_or_else(|| unnumbered("auto"))
}

fn number(environment: &Environment, variable: Variable) -> Result<Option<u32>> {
    let wrong = |text: &str| Error::usage(format!("{} is {text:?}, which is no number", variable.name));
    environment.get(variable).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

fn unnumbered(text: &str) -> Error {
    Error::usage(format!("no scheduler has numbered this process, as --shard {text} needs it")).with_hint(
        "Give --shard 2/8; auto is for Slurm job arrays, and auto/8 for these and for Kubernetes indexed jobs.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str, values: &[(&str, &str)]) -> Option<(u32, u32)> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        parse(text, &Environment::new(values)).ok().map(|shard| (shard.number, shard.of))
    }

    #[test]
    fn schedulers_number_from_where_they_like() {
        let slurm = [("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_MIN", "0"), ("SLURM_ARRAY_TASK_COUNT", "8")];
        assert_eq!(shard("auto", &slurm), Some((4, 8)));
        assert_eq!(shard("auto/8", &slurm[..1]), Some((3, 8)));
        assert_eq!(shard("auto/4", &[("JOB_COMPLETION_INDEX", "0")]), Some((1, 4)));
        assert_eq!(shard("2/8", &[]), Some((2, 8)));
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in ["0/8", "9/8", "8", "a/b", "auto", "auto/8", "automatic"] {
            assert_eq!(shard(text, &[]), None, "{text}");
        }
        assert_eq!(shard("auto/4", &[("JOB_COMPLETION_INDEX", "4")]), None);
    }
}
