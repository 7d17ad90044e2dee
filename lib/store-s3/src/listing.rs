//! Listings: page by page, handed over in the order of the keys' UTF-8 bytes.

use crate::call::call;
use crate::store::{Shared, instant, length};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use vb_core::{Error, Result};
use vb_store::{ObjectInfo, OpenUpload};

/// Amazon's own buckets come in order, so each page is handed over and forgotten. Other servers' orders differ, and no
/// prefix of a listing tells what is still to come: theirs is held whole, about 150 bytes an object, and sorted.
pub(crate) fn list(shared: &Shared, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
    let mut held = Vec::new();
    let mut token = None;
    loop {
        let page = shared.runtime.block_on(page(shared, prefix, token.take()))?;
        held.extend(page.contents().iter().filter_map(|found| {
            let key = shared.own_key(found.key()?)?;
            let (size_bytes, modified_at) = (length(found.size()), instant(found.last_modified()));
            let storage_class = found.storage_class().map(|class| class.as_str().to_owned());
            Some(ObjectInfo { key, size_bytes, modified_at, crc32: None, storage_class })
        }));
        if shared.config.lists_in_order() {
            held.drain(..).try_for_each(&mut *each)?;
        }
        token = page.next_continuation_token().map(str::to_owned);
        if !page.is_truncated().unwrap_or_default() {
            break;
        }
        if token.is_none() {
            return Err(Error::failure(format!("listing {prefix:?}: the server says there is more, but not where")));
        }
    }
    held.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    held.into_iter().try_for_each(each)
}

async fn page(shared: &Shared, prefix: &str, token: Option<String>) -> Result<ListObjectsV2Output> {
    let request = shared.client.list_objects_v2().bucket(&shared.config.bucket).prefix(shared.full_key(prefix));
    let request = request.max_keys(shared.config.page_keys).set_continuation_token(token);
    call(
        &format!("listing s3://{}/{}", shared.config.bucket, shared.full_key(prefix)),
        shared.config.policy.limit(0),
        request.send(),
    )
    .await
}

pub(crate) async fn open_uploads(shared: &Shared, prefix: &str) -> Result<Vec<OpenUpload>> {
    let (full, bucket) = (shared.full_key(prefix), &shared.config.bucket);
    let step = format!("listing open uploads in s3://{bucket}/{full}");
    let mut found = Vec::new();
    let (mut key_marker, mut id_marker) = (None, None);
    loop {
        let request = shared.client.list_multipart_uploads().bucket(bucket).prefix(&full);
        let request = request.set_key_marker(key_marker.take()).set_upload_id_marker(id_marker.take());
        let page =
            call(&step, shared.config.policy.limit(0), request.max_uploads(shared.config.page_keys).send()).await?;
        found.extend(page.uploads().iter().filter_map(|upload| {
            let key = shared.own_key(upload.key()?)?;
            let id = upload.upload_id()?.to_owned();
            Some(OpenUpload { key, id, begun_at: instant(upload.initiated()) })
        }));
        (key_marker, id_marker) =
            (page.next_key_marker().map(str::to_owned), page.next_upload_id_marker().map(str::to_owned));
        if !page.is_truncated().unwrap_or_default() {
            return Ok(found);
        }
        // SeaweedFS gives the second marker only.
        if key_marker.is_none() && id_marker.is_none() {
            return Err(Error::failure(format!("{step}: the server says there is more, but not where")));
        }
    }
}
