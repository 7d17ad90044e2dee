//! Sweeping what unfinished runs have left, once it is a day old.

use crate::run::Run;
use serde_json::json;
use vb_core::time::{self, Instant};
use vb_core::{Error, Result};
use vb_repository::{listing, litter, removal, words};
use vb_store::ObjectInfo;

impl Run<'_> {
    /// Deletes objects without a manifest and aborts uploads that nobody will finish.
    pub(crate) fn sweep(
        &mut self,
        objects: &[ObjectInfo],
        set: Option<&str>,
        newest_at: Option<Instant>,
    ) -> Result<()> {
        let uploads = self.store.open_uploads(&listing::prefix(set)).unwrap_or_else(|error| {
            self.record(Err(error.during("looking for unfinished uploads")), 0);
            Vec::new()
        });
        let litter = litter::find(objects, &uploads, litter::clock(self.session.now(), newest_at, &uploads));
        for object in litter.objects {
            let swept = if self.dry_run { Ok(true) } else { removal::delete_unnamed(&**self.store, &object.key) };
            // A copy may have made it part of a backup since.
            if !matches!(swept, Ok(false)) {
                let result = swept.map(drop);
                self.report("object", object.key.as_str(), object.modified_at, object.size_bytes, result)?;
            }
        }
        for upload in litter.uploads {
            let result = if self.dry_run { Ok(()) } else { self.store.abort_upload(upload) };
            self.report("upload", upload.key.as_str(), upload.begun_at, 0, result)?;
        }
        Ok(())
    }

    fn report(
        &mut self,
        what: &str,
        key: &str,
        since: Instant,
        size_bytes: u64,
        result: std::result::Result<(), Error>,
    ) -> Result<()> {
        if !self.record(result, size_bytes) {
            return Ok(());
        }
        self.totals.swept += 1;
        let fields = json!({
            "what": what,
            "key": key,
            "since_at": time::seconds(since),
            "size_bytes": size_bytes,
            "dry_run": self.dry_run,
        });
        self.session.event("swept", &fields)?;
        let verb = if self.dry_run { "would sweep" } else { "swept" };
        self.session.tell(format_args!("{verb} the {what} {key} ({})", words::bytes(size_bytes)));
        Ok(())
    }
}
