//! A resumable session (Cloud Storage, "Resumable uploads"): parts follow each other, the server says how far it is, and after
//! a lost answer it is asked and continued from there. A session needs no credentials but its own address.

use crate::checksum::{Sent, encode};
use crate::error::of_bucket;
use crate::object::Place;
use crate::resource::{Resource, description};
use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Method, Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vb_core::key::Key;
use vb_core::{Error, Result};
use vb_http::with_retries;
use vb_store::{Facts, OpenUpload};

/// The end of a large object may take the server longer than a part.
const COMMIT_LIMIT: Duration = Duration::from_secs(600);

/// What the server has after a request.
enum Progress {
    /// So many bytes from the object's beginning.
    Kept(u64),
    /// All; the object exists.
    Finished(Box<Resource>),
}

pub(crate) struct Session {
    place: Arc<Place>,
    key: Key,
    url: String,
    asked: AtomicBool,
    commit_sent: AtomicBool,
}

/// Begins a session. One whose answer is lost has no name; it lapses by itself.
pub(crate) async fn begin(place: &Place, key: &Key, facts: &Facts) -> Result<OpenUpload> {
    let step = format!("beginning the upload of {key}");
    let query = [("uploadType", "resumable"), ("ifGenerationMatch", "0"), ("kmsKeyName", place.kms_key())];
    let url = place.client.upload_url(&query);
    let description =
        description(&place.config, &place.name(key.as_str()), Some(facts), None, chrono::Utc::now()).to_string();
    let answer = with_retries(&place.config.policy, &place.config.warn, |_| {
        let request = place.client.request(Method::POST, &url).header(CONTENT_TYPE, "application/json; charset=utf-8");
        place.client.send(&step, place.config.policy.limit(0), request.body(description.clone()))
    });
    let answer = answer.await.map_err(|error| of_bucket(error, &step, &place.config.bucket))?;
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let id = location.and_then(|location| place.client.session_url(location));
    let id = id.ok_or_else(|| Error::failure(format!("{step}: the server answered without a session")))?;
    Ok(OpenUpload { key: key.clone(), id, begun_at: chrono::Utc::now() })
}

/// Ends a session without an object; one that is gone is no error. The answer to that is 499.
pub(crate) async fn cancel(place: &Place, upload: &OpenUpload) -> Result<()> {
    let step = format!("aborting the upload of {}", upload.key);
    let request = place.client.request(Method::DELETE, &upload.id).header(CONTENT_LENGTH, 0);
    let answer = place.client.exchange(&step, place.config.policy.limit(0), request).await?;
    match answer.status().as_u16() {
        200..300 | 404 | 410 | 499 => Ok(()),
        _ => Err(place.client.refusal(&step, answer).await),
    }
}

impl Session {
    pub(crate) fn new(place: Arc<Place>, open: &OpenUpload) -> Self {
        Self {
            place,
            key: open.key.clone(),
            url: open.id.clone(),
            asked: AtomicBool::new(false),
            commit_sent: AtomicBool::new(false),
        }
    }

    /// Whether the server was asked how far it is, which by mistake some take for the end: then there is an object of what it has.
    pub(crate) fn may_have_ended(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether an earlier commit may have succeeded.
    pub(crate) fn may_be_committed(&self) -> bool {
        self.commit_sent.load(Ordering::Relaxed)
    }

    /// Sends the bytes from `start` on, which more will follow.
    pub(crate) async fn send(&self, start: u64, bytes: &Bytes) -> Result<()> {
        let step = format!("storing bytes {start} to {} of {}", start + bytes.len() as u64, self.key);
        match self.deliver(&step, start, bytes, None).await? {
            Progress::Kept(_) => Ok(()),
            Progress::Finished(stored) => {
                let error =
                    Error::integrity(format!("{step}: the server ended the object after {} bytes", stored.size));
                Err(self.place.take_back(&self.key, &stored, error).await)
            }
        }
    }

    /// Sends the last bytes; now the object exists. Google refuses that itself if the key exists by now or the session was
    /// ended; other servers do not, so a look comes first.
    pub(crate) async fn finish(&self, start: u64, bytes: &Bytes, sent: &Sent) -> Result<Resource> {
        let step = format!("committing {}", self.key);
        if !self.place.sessions().iter().any(|open| open.id == self.url) {
            return Err(Error::failure(format!("{step}: the upload was ended by somebody else")));
        }
        self.place.refuse_existing(&self.key).await?;
        match self.deliver(&step, start, bytes, Some(sent)).await? {
            Progress::Finished(stored) => Ok(*stored),
            Progress::Kept(bytes) => {
                Err(Error::failure(format!("{step}: the server waits for more than {bytes} bytes")))
            }
        }
    }

    /// Goes on from wherever the server is, until it has all the bytes, or with `whole` the object.
    async fn deliver(&self, step: &str, start: u64, bytes: &Bytes, whole: Option<&Sent>) -> Result<Progress> {
        let config = &self.place.config;
        with_retries(&config.policy, &config.warn, |again| self.attempt(step, start, bytes, whole, again)).await
    }

    /// One try; a further one asks first how far the server is.
    async fn attempt(
        &self,
        step: &str,
        start: u64,
        bytes: &Bytes,
        whole: Option<&Sent>,
        again: bool,
    ) -> Result<Progress> {
        let (mut kept, end) = (start, start + bytes.len() as u64);
        if again {
            self.asked.store(true, Ordering::Relaxed);
            self.commit_sent.fetch_or(whole.is_some(), Ordering::Relaxed);
            match self.status(step).await? {
                Progress::Kept(now) => kept = now,
                finished @ Progress::Finished(_) => return Ok(finished),
            }
        }
        loop {
            let done = kept.checked_sub(start).and_then(|done| usize::try_from(done).ok());
            let Some(done) = done.filter(|done| *done <= bytes.len()) else {
                return Err(Error::integrity(format!("{step}: the server has {kept} bytes")));
            };
            match self.put(step, kept, bytes.slice(done..), whole).await? {
                finished @ Progress::Finished(_) => return Ok(finished),
                Progress::Kept(now) if now == end && whole.is_none() => return Ok(Progress::Kept(now)),
                // The server may keep less than it was sent.
                Progress::Kept(now) if now > kept => kept = now,
                Progress::Kept(now) => {
                    return Err(Error::unavailable(format!("{step}: the server kept {now} of {end} bytes")));
                }
            }
        }
    }

    async fn put(&self, step: &str, offset: u64, bytes: Bytes, whole: Option<&Sent>) -> Result<Progress> {
        let (length, total) =
            (bytes.len() as u64, whole.map_or("*".to_owned(), |sent| sent.stored.size_bytes.to_string()));
        let range = match length {
            0 => format!("bytes */{total}"),
            _ => format!("bytes {offset}-{}/{total}", offset + length - 1),
        };
        let mut request = self.place.client.request(Method::PUT, &self.url).header(CONTENT_RANGE, range);
        let mut patience = self.place.config.policy.limit(length);
        if let Some(sent) = whole {
            // The whole object's; allowed with the last bytes only.
            request = request.header("x-goog-hash", format!("crc32c={}", encode(sent.crc32c)));
            patience += COMMIT_LIMIT;
        }
        let request = request.header(CONTENT_LENGTH, length).body(bytes);
        self.progress(step, self.place.client.exchange(step, patience, request).await?).await
    }

    /// Asks how far the server is.
    async fn status(&self, step: &str) -> Result<Progress> {
        let request = self.place.client.request(Method::PUT, &self.url).header(CONTENT_RANGE, "bytes */*");
        let request = request.header(CONTENT_LENGTH, 0);
        self.progress(step, self.place.client.exchange(step, self.place.config.policy.limit(0), request).await?).await
    }

    async fn progress(&self, step: &str, answer: Response) -> Result<Progress> {
        match answer.status().as_u16() {
            308 => {
                let range = answer.headers().get(RANGE).and_then(|value| value.to_str().ok());
                Ok(Progress::Kept(range.map_or(Some(0), kept).ok_or_else(|| {
                    Error::failure(format!("{step}: the server's answer about its progress cannot be understood"))
                })?))
            }
            200..300 => Ok(Progress::Finished(self.place.client.described(step, answer).await?)),
            status @ (404 | 410 | 499) => {
                Err(Error::failure(format!("{step}: the upload was ended by somebody else ({status})")))
            }
            _ => Err(self.place.client.refusal(step, answer).await),
        }
    }
}

/// The bytes in `bytes=0-262143`. Without the header there are none.
fn kept(range: &str) -> Option<u64> {
    let (_, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    last.parse::<u64>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_how_much_is_kept() {
        assert_eq!(kept("bytes=0-262143"), Some(262_144));
        assert_eq!((kept("bytes=0-"), kept("0-5"), kept("bytes */*")), (None, None, None));
    }
}
