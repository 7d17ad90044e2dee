//! A stream on its way: gathered to equal parts; a single request if it fits into one part, else a resumable session. One part
//! is on its way while the next one is gathered.

use crate::GcsStore;
use crate::checksum::{Counter, Sent};
use crate::object::UPLOAD;
use crate::session::{self, Session};
use bytes::BytesMut;
use std::sync::Arc;
use tokio::task::JoinHandle;
use vb_core::key::Key;
use vb_core::{Error, ErrorKind, Result};
use vb_http::{Gathering, comes, memory_of, unless_it_came, with_retries};
use vb_store::{Facts, OnOpen, OpenUpload, Store, Stored, Upload, random_u64};

pub(crate) struct GcsUpload {
    store: GcsStore,
    key: Key,
    facts: Facts,
    /// Taken when the session begins.
    on_open: Option<OnOpen>,
    /// The part that is being filled.
    gathered: Gathering,
    counter: Counter,
    begun: Option<Begun>,
}

/// A session and how far it is.
struct Begun {
    open: OpenUpload,
    session: Arc<Session>,
    /// How many bytes were handed over.
    next: u64,
    /// The part on its way; gives its memory back.
    under_way: Option<JoinHandle<Result<Option<BytesMut>>>>,
}

impl Begun {
    async fn wait(&mut self) -> Result<Option<BytesMut>> {
        let Some(under_way) = self.under_way.take() else { return Ok(None) };
        under_way.await.map_err(|cause| Error::failure(format!("sending a part: {cause}")))?
    }

    async fn stop(&mut self) {
        if let Some(under_way) = self.under_way.take() {
            under_way.abort();
            // However it ended: nothing is on its way any more.
            let _ = under_way.await;
        }
    }
}

impl GcsUpload {
    pub(crate) fn new(store: GcsStore, key: Key, mut facts: Facts, on_open: OnOpen) -> Self {
        facts.insert(UPLOAD.to_owned(), format!("{:016x}", random_u64()));
        let (gathered, counter) = (Gathering::new(store.limits().part_bytes), Counter::new());
        Self { store, key, facts, on_open: Some(on_open), gathered, counter, begun: None }
    }

    /// What its object's metadata says of it.
    fn own(&self) -> &str {
        self.facts.get(UPLOAD).map(String::as_str).unwrap_or_default()
    }

    /// Begins the session if there is none yet.
    fn begin(&mut self) -> Result<()> {
        if self.begun.is_some() {
            return Ok(());
        }
        let place = &self.store.place;
        let open = self.store.wait(session::begin(place, &self.key, &self.facts))?;
        place.sessions().push(open.clone());
        let session = Arc::new(Session::new(place.clone(), &open));
        self.begun = Some(Begun { open: open.clone(), session, next: 0, under_way: None });
        let recorded = self.on_open.take().map_or(Ok(()), |on_open| on_open(&open));
        recorded.or_else(|error| {
            self.release()?;
            Err(error)
        })
    }

    /// Hands the gathered part over, once the one before it has arrived.
    fn send_gathered(&mut self) -> Result<()> {
        self.begin()?;
        let Some(begun) = &mut self.begun else { return Ok(()) };
        let spare = self.store.runtime.block_on(begun.wait())?;
        let bytes = self.gathered.take();
        self.gathered.reuse(spare);
        let largest = self.store.limits().largest_object_bytes();
        if begun.next + bytes.len() as u64 >= largest {
            return Err(Error::failure(format!("storing {}: it is longer than {largest} bytes", self.key)));
        }
        let (session, start) = (begun.session.clone(), begun.next);
        begun.next += bytes.len() as u64;
        begun.under_way = Some(self.store.runtime.spawn(async move {
            session.send(start, &bytes).await?;
            Ok(memory_of(bytes))
        }));
        Ok(())
    }

    fn commit_session(&mut self, sent: &Sent) -> Result<()> {
        let Some(begun) = &mut self.begun else { return Err(Error::failure("no part was sent")) };
        let (place, runtime) = (&self.store.place, &self.store.runtime);
        runtime.block_on(begun.wait())?;
        let bytes = self.gathered.take();
        let step = format!("committing {}", self.key);
        let result = runtime.block_on(async {
            let stored = begun.session.finish(begun.next, &bytes, sent).await?;
            place.accept(&step, &self.key, &stored, sent, true).await
        });
        self.settle(result, self.begun.as_ref().is_some_and(|begun| begun.session.may_be_committed()), sent)
    }

    fn commit_small(&mut self, sent: &Sent) -> Result<()> {
        let bytes = self.gathered.take();
        let (place, mut answer_lost) = (&self.store.place, false);
        let result = self.store.wait(with_retries(&place.config.policy, &place.config.warn, |again| {
            answer_lost |= again;
            place.insert(&self.key, &bytes, Some(&self.facts))
        }));
        self.settle(result.map(|_| ()), answer_lost, sent)
    }

    /// After a commit that failed: where an answer may have been lost or cannot be understood, looks whether the object is ours.
    fn settle(&self, result: Result<()>, answer_lost: bool, sent: &Sent) -> Result<()> {
        let Err(error) = result else { return Ok(()) };
        let may_be_ours = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Failure => true,
            ErrorKind::Conflict => answer_lost,
            _ => false,
        };
        if !may_be_ours {
            return Err(error);
        }
        // An ended upload whose end may have been our own commit is no clear refusal.
        let unclear = answer_lost && error.kind() == ErrorKind::Failure;
        let error = if unclear { Error::unavailable(error.to_string()) } else { error };
        unless_it_came(error, || self.store.wait(self.store.place.holds(&self.key, sent, self.own())))
    }

    /// Frees what the server holds.
    fn release(&mut self) -> Result<()> {
        let Some(mut begun) = self.begun.take() else { return Ok(()) };
        self.store.wait(begun.stop());
        let aborted = self.store.abort_upload(&begun.open);
        if begun.session.may_have_ended() {
            let _what_cannot_be_taken_back_is_swept_later =
                comes(|| self.store.wait(self.store.place.take_back_own(&self.key, self.own())));
        }
        aborted
    }
}

impl Upload for GcsUpload {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.counter.update(bytes);
        while !bytes.is_empty() {
            if self.gathered.is_full() {
                self.send_gathered()?;
            }
            bytes = self.gathered.fill(bytes);
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<Stored> {
        let sent = self.counter.sent();
        if self.begun.is_none() {
            self.commit_small(&sent)?;
            return Ok(sent.stored);
        }
        self.commit_session(&sent)?;
        if let Some(begun) = self.begun.take() {
            self.store.place.sessions().retain(|open| open.id != begun.open.id);
        }
        Ok(sent.stored)
    }

    fn abort(mut self: Box<Self>) -> Result<()> {
        self.release()
    }
}

impl Drop for GcsUpload {
    /// A session that cannot be ended lapses by itself.
    fn drop(&mut self) {
        let _ = self.release();
    }
}
