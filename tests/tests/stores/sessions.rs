//! The same for a file server: what can happen to a session, which is one stream of bytes that nobody else can read.

use std::fs;

use anyhow::{Context, Result, ensure};
use vb_tests::chance::noise;
use vb_tests::leftovers::wait_for_processes;
use vb_tests::place::Place;
use vb_tests::proxy::{Proxy, closed};
use vb_tests::raw::{Direction, Fault, Kind};
use vb_tests::stock::Stock;

use crate::cell::judge;

const LENGTH: usize = 20_000_000;
/// In the middle of the data.
const MIDDLE: usize = 9_000_000;
/// Amid the answers to it: after the greeting, and before the end of the some twenty thousand bytes that come down in all.
const ACKNOWLEDGED: usize = 10_000;

/// One row: which connections break, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    name: &'static str,
    /// None: nobody listens.
    fault: Option<Fault>,
    /// The first so many connections.
    connections: usize,
    code: i32,
}

const fn row(name: &'static str, connections: usize, direction: Direction, after: usize, kind: Kind, code: i32) -> Row {
    Row { name, fault: Some(Fault { direction, after, kind }), connections, code }
}

use Direction::{Down, Up};
use Kind::{Cut, Flip, LoseAnswers, Stall};

/// All of them. An upload whose connection is lost is not resumed: what the server had acknowledged may be gone.
pub(crate) const ROWS: &[Row] = &[
    Row { name: "connection refused", fault: None, connections: 0, code: 8 },
    row("cut before the greeting", 1, Up, 0, Cut, 0),
    row("always cut before the greeting", usize::MAX, Up, 0, Cut, 8),
    row("the greeting stalls", 1, Down, 0, Stall, 0),
    row("cut in the middle of the data", 1, Up, MIDDLE, Cut, 8),
    row("the data stalls", 1, Up, MIDDLE, Stall, 8),
    row("the answers stall", 1, Down, ACKNOWLEDGED, Stall, 8),
    row("a bit flips on its way up", 1, Up, MIDDLE, Flip, 8),
    row("a bit flips on its way down", 1, Down, ACKNOWLEDGED, Flip, 8),
    row("answers are lost", 1, Up, MIDDLE, LoseAnswers, 8),
];

pub(crate) fn run(row: &Row) -> Result<()> {
    cell(row).with_context(|| format!("OpenSSH: {}", row.name))
}

fn cell(row: &Row) -> Result<()> {
    let (place, stock) = (Place::new()?, Stock::on_sftp("cell")?);
    fs::write(place.path("data.bin"), noise(LENGTH)).context("writing the data")?;
    let (fault, connections) = (row.fault, row.connections);
    let proxy = match fault {
        Some(_) => Some(Proxy::raw(&stock.address()?, move |number| fault.filter(|_| number < connections))?),
        None => None,
    };
    let address =
        proxy.as_ref().map_or_else(|| closed().map(|address| address.to_string()), |proxy| Ok(proxy.address()))?;
    let variables = stock.variables_through(&address, &place)?;
    let command = place.shell("vb-put --set noise data.bin").envs(variables).env("VB_TIMEOUT", "3");
    let run = command.run()?.exited(row.code)?;
    let tries = run.stderr_text().lines().filter(|line| line.contains("trying again")).count();
    let early = row.fault.is_none_or(|fault| fault.after == 0);
    ensure!(!early || tries >= if row.code == 0 { 1 } else { 3 }, "{tries} further tries: {run}");
    wait_for_processes(&place)?;
    drop(proxy);
    fs::remove_file(place.path("../known_hosts")).context("removing the known hosts")?;
    judge(&place, &stock, row.code == 0, 0).with_context(|| run.to_string())
}

/// Wherever near its end the connection breaks, the run and the store agree: a backup that is told is there, and one that is not
/// told is no backup, except where the answer to the manifest was lost and could not be had again.
#[test]
fn the_last_answers_are_lost_one_after_the_other() {
    let whole = measure().unwrap();
    for before_the_end in (0..12).map(|step| 60 + step * 300) {
        let after = whole.saturating_sub(before_the_end);
        agrees(after).with_context(|| format!("answers lost after {after} of {whole} bytes")).unwrap();
    }
}

/// How many bytes come down in an undisturbed run, about.
fn measure() -> Result<usize> {
    let (place, stock) = (Place::new()?, Stock::on_sftp("measure")?);
    fs::write(place.path("data.bin"), noise(100_000)).context("writing the data")?;
    let proxy = Proxy::raw(&stock.address()?, |_| None)?;
    let variables = stock.variables_through(&proxy.address(), &place)?;
    place.shell("vb-put --set noise data.bin").envs(variables).run()?.succeeded()?;
    Ok(proxy.passed_down())
}

fn agrees(after: usize) -> Result<()> {
    let (place, stock) = (Place::new()?, Stock::on_sftp("end")?);
    fs::write(place.path("data.bin"), noise(100_000)).context("writing the data")?;
    let fault = Fault { direction: Down, after, kind: Cut };
    let proxy = Proxy::raw(&stock.address()?, move |number| Some(fault).filter(|_| number == 0))?;
    let variables = stock.variables_through(&proxy.address(), &place)?;
    let run = place.shell("vb-put --set noise data.bin").envs(variables).env("VB_TIMEOUT", "3").run()?;
    ensure!([0, 8].contains(&run.exit_code()), "{run}");
    wait_for_processes(&place)?;
    drop(proxy);
    fs::remove_file(place.path("../known_hosts")).context("removing the known hosts")?;
    judge(&place, &stock, run.exit_code() == 0, 0).with_context(|| run.to_string())
}
