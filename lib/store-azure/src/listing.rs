//! Listings: page by page, handed over in the order of the keys' UTF-8 bytes.

use crate::abort;
use crate::call::call;
use crate::store::{Shared, instant};
use azure_core::http::PageIterator;
use azure_core::http::response::Response;
use azure_storage_blob::models::{
    BlobContainerClientListBlobsOptions, BlobItem, ListBlobsIncludeItem, ListBlobsResponse,
};
use futures::TryStreamExt;
use vb_core::Result;
use vb_core::key::Key;
use vb_store::{ObjectInfo, OpenUpload};

/// Held whole, about 150 bytes an object, and sorted: accounts with a hierarchical namespace list folder by folder, and
/// nothing in an answer tells which kind of account it is.
pub(crate) fn list(shared: &Shared, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
    let mut held = Vec::new();
    let gather =
        |item: BlobItem| held.extend(Found::new(shared, item).filter(|found| !found.marker).map(|found| found.info));
    shared.runtime.block_on(pages(shared, prefix, Vec::new(), gather))?;
    held.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    held.into_iter().try_for_each(each)
}

/// What the listing shows of an object, a marker of an abort, or a name that has uncommitted blocks only.
struct Found {
    info: ObjectInfo,
    marker: bool,
}

impl Found {
    /// `None` for what is no object of ours.
    fn new(shared: &Shared, item: BlobItem) -> Option<Self> {
        let key = shared.own_key(&item.name?)?;
        let properties = item.properties.unwrap_or_default();
        let size_bytes = properties.content_length.unwrap_or_default();
        let marker = size_bytes == 0 && properties.content_type.as_deref() == Some(abort::MARKER);
        let (modified_at, tier) = (instant(properties.last_modified), properties.access_tier);
        let storage_class = tier.map(|tier| tier.to_string());
        let info = ObjectInfo { key, size_bytes, modified_at, crc32: None, storage_class };
        Some(Self { info, marker })
    }
}

async fn pages(
    shared: &Shared,
    prefix: &str,
    include: Vec<ListBlobsIncludeItem>,
    mut each: impl FnMut(BlobItem),
) -> Result<()> {
    let full = shared.full_key(prefix);
    let step = format!("listing az://{}/{full}", shared.config.container);
    let options = BlobContainerClientListBlobsOptions {
        include: Some(include).filter(|include| !include.is_empty()),
        maxresults: Some(shared.config.page_objects),
        prefix: Some(full).filter(|prefix| !prefix.is_empty()),
        ..BlobContainerClientListBlobsOptions::default()
    };
    let explain = |cause: azure_core::Error| crate::error::explain(&step, &cause);
    let mut pages: PageIterator<Response<ListBlobsResponse, _>> =
        shared.container.list_blobs(Some(options)).map_err(explain)?.into_pages();
    while let Some(page) = call(&step, shared.config.policy.limit(0), pages.try_next()).await? {
        page.into_model().map_err(explain)?.blob_items.into_iter().for_each(&mut each);
    }
    Ok(())
}

/// Names without an object that have blocks of ours, and markers of aborts that did not come to their end. Only names
/// that look empty can be such, and each of those is asked for its blocks.
pub(crate) async fn open_uploads(shared: &Shared, prefix: &str) -> Result<Vec<OpenUpload>> {
    let mut empty = Vec::new();
    pages(shared, prefix, vec![ListBlobsIncludeItem::UncommittedBlobs], |item| {
        empty.extend(Found::new(shared, item).filter(|found| found.info.size_bytes == 0));
    })
    .await?;
    let mut open = Vec::new();
    for found in empty {
        let key = found.info.key;
        if found.marker {
            open.push(OpenUpload { key, id: String::new(), begun_at: found.info.modified_at });
            continue;
        }
        open.extend(of_name(shared, &key).await?);
    }
    open.sort_by(|one, other| (&one.key, &one.id).cmp(&(&other.key, &other.id)));
    Ok(open)
}

async fn of_name(shared: &Shared, key: &Key) -> Result<Vec<OpenUpload>> {
    let uploads = abort::uploads_of(shared, key, &format!("listing the blocks of {key}")).await?;
    let open =
        |id: crate::block::UploadId| OpenUpload { key: key.clone(), id: id.to_string(), begun_at: id.begun_at() };
    Ok(uploads.into_iter().map(open).collect())
}
