//! The rows of all files on their way into a new or filled table, over one connection or shared by several.

use crate::files::Files;
use crate::liveness::Verdict;
use crate::plan::Plan;
use crate::rows::{self, Counts, Groups, Sending};
use postgres::Client;
use std::thread;
use vb_core::Result;
use vb_postgres::connection::from_postgres;

/// What the connections share.
pub(crate) struct Share<'run> {
    plan: &'run Plan,
    files: &'run Files<'run>,
    /// Which rows are there in the end, of a chain; all without it.
    verdicts: &'run [Verdict],
    /// Of each file.
    groups: Vec<Groups>,
    passed: &'run (dyn Fn(u64) + Sync),
}

impl<'run> Share<'run> {
    pub(crate) fn new(
        plan: &'run Plan,
        files: &'run Files<'run>,
        verdicts: &'run [Verdict],
        passed: &'run (dyn Fn(u64) + Sync),
    ) -> Self {
        Self { plan, files, verdicts, groups: files.all.iter().map(|_| Groups::default()).collect(), passed }
    }

    /// Sends every row within the transaction that is open.
    pub(crate) fn send_alone(&self, client: &mut Client) -> Result<Vec<Counts>> {
        self.checked(&[self.send(client)?])
    }

    /// Sends every row, a transaction for each of these connections.
    pub(crate) fn send_together(&self, clients: Vec<Client>) -> Result<Vec<Counts>> {
        let shares = thread::scope(|scope| {
            let running: Vec<_> = clients.into_iter().map(|client| scope.spawn(|| self.commit(client))).collect();
            // All of them, so that nothing is written any more when the first error is told.
            let ended: Vec<Result<Vec<Counts>>> = running.into_iter().map(rows::join).collect();
            ended.into_iter().collect::<Result<Vec<_>>>()
        })?;
        self.checked(&shares)
    }

    /// The work of one of several connections. If it fails, the others need not go on.
    fn commit(&self, mut client: Client) -> Result<Vec<Counts>> {
        let counts = self.send(&mut client).inspect_err(|_| self.groups.iter().for_each(Groups::end))?;
        let step = format!("restoring {}", self.plan.table);
        client.batch_execute("COMMIT").map_err(|cause| from_postgres(step, cause))?;
        Ok(counts)
    }

    /// Sends what no other connection takes.
    fn send(&self, client: &mut Client) -> Result<Vec<Counts>> {
        let send = |(place, (file, load))| {
            let verdict = self.verdicts.get(place);
            let live = verdict.map(|verdict: &Verdict| |row: u64| verdict.is_live(row));
            let wanted = live.as_ref().map(|live| live as &(dyn Fn(u64) -> bool + Sync));
            let (table, groups) = (&self.plan.table, &self.groups[place]);
            rows::send_share(client, &Sending { table, file, load, groups, wanted }, self.passed)
        };
        self.files.all.iter().copied().zip(&self.plan.loads).enumerate().map(send).collect()
    }

    /// Of each file all that the connections have sent, which must be all that it has.
    fn checked(&self, shares: &[Vec<Counts>]) -> Result<Vec<Counts>> {
        let mut all = vec![Counts::default(); self.files.all.len()];
        for (place, counts) in shares.iter().flat_map(|shares| shares.iter().enumerate()) {
            all[place] += *counts;
        }
        let files = self.files.all.iter().zip(&all);
        files.into_iter().try_for_each(|(file, counts)| rows::check_all(&self.plan.table, file, *counts))?;
        Ok(all)
    }
}
