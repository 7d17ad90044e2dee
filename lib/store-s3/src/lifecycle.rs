//! The bucket's rules for objects that age: ours is put among those of others, which stay.

use crate::call::call;
use crate::store::Shared;
use aws_sdk_s3::operation::get_bucket_lifecycle_configuration::GetBucketLifecycleConfigurationOutput;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter,
    Transition, TransitionStorageClass,
};
use vb_core::{Error, Result};
use vb_store::Lifecycle;

/// Rules are replaced all at once, so a rule that somebody adds between the two requests is lost: S3 offers no better.
pub(crate) async fn install(shared: &Shared, lifecycle: &Lifecycle) -> Result<()> {
    let found = read(shared).await?;
    let step = step("writing", shared);
    let own = rule(&shared.config.prefix, lifecycle).map_err(|cause| Error::failure(format!("{step}: {cause}")))?;
    let others = found
        .iter()
        .flat_map(GetBucketLifecycleConfigurationOutput::rules)
        .filter(|rule| rule.id() != own.id())
        .cloned();
    let rules = others.chain([own.clone()]).collect();
    let rules = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
    let rules = rules.map_err(|cause| Error::failure(format!("{step}: {cause}")))?;
    let request = shared.client.put_bucket_lifecycle_configuration().bucket(&shared.config.bucket);
    let smallest = found.and_then(|found| found.transition_default_minimum_object_size);
    let request = request
        .lifecycle_configuration(rules)
        .set_transition_default_minimum_object_size(smallest.map(|smallest| smallest.as_str().into()));
    match call(&step, shared.config.policy.limit(0), request.send()).await {
        Err(error) if error.to_string().contains("NotImplemented") => {
            Err(Error::usage(format!("{step}: this server has no such rules"))
                .with_hint("Move and abort with the server's own means; vb-prune sweeps uploads that are a day old."))
        }
        answer => answer.map(|_| ()),
    }
}

async fn read(shared: &Shared) -> Result<Option<GetBucketLifecycleConfigurationOutput>> {
    let request = shared.client.get_bucket_lifecycle_configuration().bucket(&shared.config.bucket);
    match call(&step("reading", shared), shared.config.policy.limit(0), request.send()).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.to_string().contains("NoSuchLifecycleConfiguration") => Ok(None),
        Err(error) => Err(error),
    }
}

fn step(verb: &str, shared: &Shared) -> String {
    format!("{verb} the lifecycle rules of {}", shared.config.bucket)
}

type Built<T> = std::result::Result<T, aws_sdk_s3::error::BuildError>;

/// Its id says whose it is and for which prefix, so that the next one replaces it.
fn rule(prefix: &str, lifecycle: &Lifecycle) -> Built<LifecycleRule> {
    let days = |days: u32| i32::try_from(days).unwrap_or(i32::MAX);
    let (id, below) = match prefix {
        "" => ("vb".to_owned(), String::new()),
        prefix => (format!("vb {prefix}").chars().take(255).collect(), format!("{prefix}/")),
    };
    let abort = AbortIncompleteMultipartUpload::builder();
    let abort = abort.days_after_initiation(days(lifecycle.abort_uploads_after_days)).build();
    let transition = lifecycle.transition.as_ref().map(|(class, after)| {
        let class = TransitionStorageClass::from(class.as_str());
        Transition::builder().days(days(*after)).storage_class(class).build()
    });
    LifecycleRule::builder()
        .id(id)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(below).build())
        .set_transitions(transition.map(|transition| vec![transition]))
        .abort_incomplete_multipart_upload(abort)
        .build()
}
