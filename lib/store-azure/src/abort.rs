//! Ending an upload that is not committed, for which Azure has no request.
//!
//! Blocks belong to the object's name, not to an upload, and go only when somebody commits under that name, or by
//! themselves a week after the last one was sent. So an abort commits an empty object, create-only, which frees all blocks
//! and makes every later commit of them fail, and deletes it again by its ETag, so that nothing else is ever deleted. The
//! empty object has a content type of its own: whoever sees it in between knows it for a marker and takes the key for
//! free, and if the abort dies in between, the marker counts as an open upload and the next abort removes it.
//!
//! Azure goes on taking blocks after an abort. An upload of our own stops sending first; for another process's, the abort
//! looks again for a while and frees what came late.
//!
//! Where Azure cannot keep the contract to the letter:
//! - Several uploads of one name at once share their fate: aborting one by its token ends all of them; the others fail,
//!   loudly, at their commits. An upload that ends itself spares the others, and says that its blocks stay until they end.
//! - If the name was taken by another writer, that commit has freed the blocks that were there. Blocks that came after it
//!   cannot be freed without touching the other writer's object; they are in nobody's way and go by themselves.

use crate::block::UploadId;
use crate::call::call;
use crate::store::{Seen, Shared, is_gone};
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlockBlobClientCommitBlockListOptions, BlockListType, BlockLookupList,
};
use std::collections::BTreeSet;
use std::time::Duration;
use vb_core::key::Key;
use vb_core::{Error, ErrorKind, Result};

/// The content type of the empty object that stands for an abort under way.
pub(crate) const MARKER: &str = "application/vnd.vb.aborted";

/// Looks for blocks that come after an abort: this far apart, until so many in a row find none, but not for ever.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
const QUIET_LOOKS: u32 = 3;
const MOST_LOOKS: u32 = 40;

/// What becomes of other uploads under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// They end too.
    EndToo,
    /// They go on, and our blocks stay as long as they do.
    Spare,
}

/// Whether this is no object but an abort under way.
pub(crate) fn is_marker(seen: &Seen) -> bool {
    seen.info.size_bytes == 0 && seen.content_type.as_deref() == Some(MARKER)
}

/// Frees the blocks of this upload; without an id only a marker that is left over. Idempotent.
pub(crate) async fn abort(shared: &Shared, key: &Key, id: Option<UploadId>, others: Others) -> Result<()> {
    let step = format!("aborting the upload of {key}");
    let Some(id) = id else { return remove_marker(shared, key, &step).await };
    let found = uploads_of(shared, key, &step).await?;
    if !found.contains(&id) {
        return remove_marker(shared, key, &step).await;
    }
    if others == Others::Spare && found.len() > 1 {
        return Err(Error::failure(format!("{step}: its blocks stay until another upload of the same name ends")));
    }
    let freed = free(shared, key, &step).await;
    let age = chrono::Utc::now() - id.begun_at();
    if others == Others::Spare || age.num_days() >= 1 {
        return freed;
    }
    match freed {
        // From here on the looks go on where this broke off: another abort would not know that there was anything.
        Err(error) if !error.is_passing() => Err(error),
        Ok(()) | Err(_) => settle(shared, key, id, &step).await,
    }
}

/// Frees all blocks under this name.
async fn free(shared: &Shared, key: &Key, step: &str) -> Result<()> {
    match commit_marker(shared, key, step).await {
        Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
        // Another writer was first: an object, which stays, or another abort's marker.
        Ok(()) | Err(_) => {}
    }
    remove_marker(shared, key, step).await
}

/// Another process's last blocks may be on their way yet, even if it was killed: frees those too, until no more come. A look that fails for
/// a passing reason is made again, as often as the policy allows in a row.
async fn settle(shared: &Shared, key: &Key, id: UploadId, step: &str) -> Result<()> {
    let (mut quiet_looks, mut failed_looks) = (0, 0);
    for _ in 0..MOST_LOOKS {
        tokio::time::sleep(LOOK_PAUSE).await;
        let look = look_again(shared, key, id, step).await;
        failed_looks = if look.is_err() { failed_looks + 1 } else { 0 };
        match look {
            Ok(true) => quiet_looks = 0,
            Ok(false) => quiet_looks += 1,
            Err(error) if error.is_passing() && failed_looks < shared.config.policy.tries => {}
            Err(error) => return Err(error),
        }
        if quiet_looks == QUIET_LOOKS {
            return Ok(());
        }
    }
    Err(Error::failure(format!("{step}: its blocks keep coming")).with_hint("End the command that writes it first."))
}

/// Returns whether more had come of this upload.
async fn look_again(shared: &Shared, key: &Key, id: UploadId, step: &str) -> Result<bool> {
    let came = uploads_of(shared, key, step).await?.contains(&id);
    if came {
        free(shared, key, step).await?;
    } else {
        remove_marker(shared, key, step).await?;
    }
    Ok(came)
}

/// The uploads that have blocks under this name; those of other programs are left out.
pub(crate) async fn uploads_of(shared: &Shared, key: &Key, step: &str) -> Result<BTreeSet<UploadId>> {
    let blob = shared.blob(key).block_blob_client();
    let answer =
        match call(step, shared.config.policy.limit(0), blob.get_block_list(BlockListType::Uncommitted, None)).await {
            Ok(answer) => answer,
            Err(error) if is_gone(&error) => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
        };
    let list = answer.into_model().map_err(|cause| crate::error::explain(step, &cause))?;
    let blocks = list.uncommitted_blocks.unwrap_or_default();
    Ok(blocks.iter().filter_map(|block| UploadId::of_block(block.name.as_deref()?)).collect())
}

async fn commit_marker(shared: &Shared, key: &Key, step: &str) -> Result<()> {
    let nothing = BlockLookupList { uncommitted: Some(Vec::new()), ..BlockLookupList::default() };
    let nothing = nothing.try_into().map_err(|cause| crate::error::explain(step, &cause))?;
    let options = BlockBlobClientCommitBlockListOptions {
        blob_content_type: Some(MARKER.to_owned()),
        encryption_scope: shared.config.storing.encryption_scope.clone(),
        if_none_match: Some("*".into()),
        ..BlockBlobClientCommitBlockListOptions::default()
    };
    let blob = shared.blob(key).block_blob_client();
    call(step, shared.config.policy.limit(0), blob.commit_block_list(nothing, Some(options))).await.map(|_| ())
}

async fn remove_marker(shared: &Shared, key: &Key, step: &str) -> Result<()> {
    let Some(marker) = shared.see(key, step).await?.filter(is_marker) else { return Ok(()) };
    let options = BlobClientDeleteOptions { if_match: marker.etag, ..BlobClientDeleteOptions::default() };
    match call(step, shared.config.policy.limit(0), shared.blob(key).delete(Some(options))).await {
        // Somebody else removed it, or has stored an object by now.
        Err(error) if is_gone(&error) || error.kind() == ErrorKind::Conflict => Ok(()),
        answer => answer.map(|_| ()),
    }
}
