//! Listings: page by page, handed over in the order of the keys' UTF-8 bytes.

use crate::error::of_bucket;
use crate::object::Place;
use crate::resource::Resource;
use reqwest::Method;
use serde::Deserialize;
use tokio::runtime::Runtime;
use vb_core::Result;
use vb_store::ObjectInfo;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Page {
    items: Vec<Resource>,
    next_page_token: String,
}

/// Google lists in order, so each page is handed over and forgotten. Other servers are not believed: theirs is held whole,
/// about 150 bytes an object, and sorted.
pub(crate) fn list(
    place: &Place,
    runtime: &Runtime,
    prefix: &str,
    each: &mut dyn FnMut(ObjectInfo) -> Result<()>,
) -> Result<()> {
    let mut held = Vec::new();
    let mut token = String::new();
    loop {
        let page = runtime.block_on(page(place, prefix, &token))?;
        held.extend(page.items.into_iter().filter_map(|found| info(place, &found)));
        if place.config.lists_in_order() {
            held.drain(..).try_for_each(&mut *each)?;
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    held.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    held.into_iter().try_for_each(each)
}

async fn page(place: &Place, prefix: &str, token: &str) -> Result<Page> {
    let (name, bucket) = (place.name(prefix), &place.config.bucket);
    let step = format!("listing gs://{bucket}/{name}");
    let url = place.client.objects_url(&[
        ("prefix", &name),
        ("maxResults", &place.config.page_keys.to_string()),
        ("pageToken", token),
        ("fields", "items(name,size,storageClass,timeCreated),nextPageToken"),
    ]);
    place.client.ask(&step, Method::GET, &url, None).await.map_err(|error| of_bucket(error, &step, bucket))
}

/// Google keeps no CRC-32, only the CRC-32C.
fn info(place: &Place, found: &Resource) -> Option<ObjectInfo> {
    let key = place.own_key(&found.name)?;
    let modified_at = found.time_created.unwrap_or_default();
    Some(ObjectInfo {
        key,
        size_bytes: found.size_bytes(),
        modified_at,
        crc32: None,
        storage_class: found.storage_class(),
    })
}
