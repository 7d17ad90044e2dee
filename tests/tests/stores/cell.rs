//! One cell of the table: a run through the proxy, and what is there after it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use vb_tests::chance::noise;
use vb_tests::command::Run;
use vb_tests::leftovers::{files, wait_for_processes};
use vb_tests::place::Place;
use vb_tests::proxy::{Fault, Proxy, closed, some};
use vb_tests::stock::Stock;

use crate::rows::{Broken, Column, Command, Row, Times};

/// More than two parts of every store.
const LENGTH: usize = 36_000_000;
const DATA: &str = "data.bin";
const COPY: &str = "copy.bin";

pub(crate) fn run(column: Column, row: &Row) -> Result<()> {
    cell(column, row).with_context(|| format!("{column:?}: {}", row.name))
}

fn cell(column: Column, row: &Row) -> Result<()> {
    let (place, stock) = (Place::new()?, column.stock()?);
    fs::write(place.path(DATA), noise(LENGTH)).context("writing the data")?;
    if row.command == Command::Get {
        place.shell("vb-put --set noise data.bin").envs(stock.variables()).run()?.succeeded()?;
    }
    let (proxy, address) = proxy(column, row, &stock.address()?)?;
    let line = match row.command {
        Command::Put => "vb-put --set noise data.bin",
        Command::Get => "vb-get --latest -o copy.bin",
    };
    let begun = Instant::now();
    let mut command = place.shell(line).envs(stock.variables_through(&address, &place)?);
    if stalls(row) {
        command = command.env("VB_TIMEOUT", "1").env("VB_RETRIES", if row.times == Times::Always { "1" } else { "3" });
    }
    if matches!(row.fault, Broken::RefusedAtFirst) {
        command = command.env("VB_RETRIES", "50");
    }
    let run = command.run()?;
    let took = begun.elapsed();
    ensure!(took >= Duration::from_secs(row.least_seconds), "it took {took:?}: {run}");
    let code = column.exception(row).map_or(row.code, |(code, _)| code);
    let run = run.exited(code)?;
    if let Some(proxy) = &proxy
        && !matches!(row.fault, Broken::RefusedAtFirst)
    {
        ensure!(proxy.broken() > 0, "nothing was broken: {run}");
    }
    wait_for_processes(&place)?;
    said(row, code, &run)?;
    drop(proxy);
    match row.command {
        Command::Put => judge(&place, &stock, code == 0, row.litter).with_context(|| run.to_string()),
        Command::Get => judge_copy(&place, code == 0).with_context(|| run.to_string()),
    }
}

fn stalls(row: &Row) -> bool {
    matches!(row.fault, Broken::Http(_, Some(Fault::Stall | Fault::StallAnswer)))
}

fn proxy(column: Column, row: &Row, upstream: &str) -> Result<(Option<Proxy>, String)> {
    let (moment, fault) = match row.fault {
        Broken::Refused => return Ok((None, closed()?.to_string())),
        Broken::RefusedAtFirst => {
            let proxy = Proxy::late(upstream, Duration::from_millis(500))?;
            let address = proxy.address();
            return Ok((Some(proxy), address));
        }
        Broken::Http(moment, fault) => (moment, fault),
        Broken::Busy(moment) => (moment, Some(column.busy())),
        Broken::Skewed(moment) => (moment, Some(column.skewed())),
        Broken::Expired(moment) => (moment, Some(column.expired())),
    };
    let times = match row.times {
        Times::Once => 1,
        Times::Tries => 4,
        Times::Always => usize::MAX,
    };
    let plan = match fault {
        Some(fault) => some(column.passes(moment), times, fault, move |request| column.is_at(moment, request)),
        None => some(0, 0, Fault::Stall, |_| false),
    };
    let proxy = Proxy::http(upstream, plan)?;
    let address = proxy.address();
    Ok((Some(proxy), address))
}

/// A warning for each further try, and at the end one line with what to do.
fn said(row: &Row, code: i32, run: &Run) -> Result<()> {
    let tries = run.stderr_text().lines().filter(|line| line.contains("trying again")).count();
    let expected = match (row.times, code) {
        (Times::Once, 0) => 1,
        (Times::Always, 8) if stalls(row) => 1,
        (Times::Tries | Times::Always, 8) => 3,
        _ => 0,
    };
    ensure!(tries >= expected, "{tries} further tries are told, {expected} were expected: {run}");
    if code == 0 {
        return Ok(());
    }
    let command = if row.command == Command::Put { "vb-put" } else { "vb-get" };
    let failed = run.event(command, "failed")?;
    let message = failed["message"].as_str().context("no message")?;
    ensure!(!message.contains('\n') && !message.ends_with('.'), "{message}");
    if code == 7 {
        ensure!(failed["hint"].is_string(), "no hint: {failed}");
    }
    Ok(())
}

/// One whole backup or nothing; and nothing else.
pub(crate) fn judge(place: &Place, stock: &Stock, stored: bool, litter: usize) -> Result<()> {
    let listed = place.shell("vb-ls").envs(stock.variables()).run()?.succeeded()?;
    let listed = listed.status_lines()?.iter().filter(|line| line["event"] == "backup").count();
    ensure!(listed == usize::from(stored), "{listed} backups are listed");
    let keys = stock.keys()?;
    ensure!(keys.len() == 2 * usize::from(stored) + litter, "in the store: {keys:?}");
    ensure!(stock.open_uploads()? == 0, "an upload is open");
    if stored {
        place.shell(&format!("vb-get --latest -o {COPY}")).envs(stock.variables()).run()?.succeeded()?;
        judge_copy(place, true)?;
        fs::remove_file(place.path(COPY)).context("removing the copy")?;
    }
    let left: Vec<String> = files(&place.work())?.into_iter().filter(|name| name != DATA).collect();
    ensure!(left.is_empty(), "left in the working folder: {left:?}");
    no_temporary_files(place)
}

fn judge_copy(place: &Place, expected: bool) -> Result<()> {
    match (fs::read(place.path(COPY)), expected) {
        (Ok(copy), true) => ensure!(copy == noise(copy.len()) && !copy.is_empty(), "the copy is another one"),
        (Err(_), false) => {}
        (Ok(_), false) => bail!("{COPY} is there"),
        (Err(cause), true) => bail!("reading {COPY}: {cause}"),
    }
    no_temporary_files(place)
}

fn no_temporary_files(place: &Place) -> Result<()> {
    for name in ["home", "tmp"] {
        let found = files(&place.path("..").join(name))?;
        ensure!(found.is_empty(), "left in {name}: {found:?}");
    }
    Ok(())
}
