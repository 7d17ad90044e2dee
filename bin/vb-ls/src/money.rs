//! `--cost`: what each set costs now, in a year, and to restore; and what another class would save.

use crate::arguments::Arguments;
use crate::inventory::{Backup, Inventory};
use crate::policy;
use crate::stats::{self, SetStats};
use crate::table;
use serde_json::{Value, json};
use std::collections::HashMap;
use vb_core::cost::forecast::{self, Forecast};
use vb_core::cost::{self, Amount, Class, Prices, Suggestion};
use vb_core::environment::{VB_PRICES, VB_STORAGE_CLASS};
use vb_core::manifest::Manifest;
use vb_core::time::Instant;
use vb_core::{Error, Result};
use vb_pipe::Session;
use vb_repository::{Entry, Row, words};

/// The prices of this run.
pub(crate) struct Tariff {
    prices: Prices,
    scheme: String,
    /// The class of what will be stored, and of backups of which the store does not say theirs.
    class: Option<Class>,
    /// Whether all is to be reckoned with that class.
    is_asked_for: bool,
}

impl Tariff {
    /// From the options, else from the environment, else the built-in ones.
    pub(crate) fn of(arguments: &Arguments, session: &Session, inventory: &Inventory) -> Result<Self> {
        let environment = session.environment();
        let prices = match arguments.prices.clone().or(environment.get(VB_PRICES).map(Into::into)) {
            None => Prices::built_in()?,
            Some(path) => {
                let place = path.display().to_string();
                let text = std::fs::read_to_string(&path)
                    .map_err(|cause| Error::io(format!("reading the prices {place}"), cause))?;
                Prices::parse(&text, &place)?
            }
        };
        let scheme = inventory.schemes.first().map_or("", String::as_str);
        let name = arguments.class.as_deref().or(environment.get(VB_STORAGE_CLASS));
        let class = prices.class(scheme, name)?.cloned();
        if class.is_none() {
            session.warn(&format!("there are no prices for {scheme}://, so it counts as free"));
        }
        let is_asked_for = arguments.class.is_some();
        Ok(Self { prices, scheme: scheme.to_owned(), class, is_asked_for })
    }

    /// The class of a backup: what the store says, where the prices know it.
    fn class_of(&self, entry: &Entry) -> Option<&Class> {
        let said = entry.storage_class.as_deref().filter(|_| !self.is_asked_for);
        let said = said.and_then(|name| self.prices.class(&self.scheme, Some(name)).ok()?);
        said.or(self.class.as_ref())
    }

    /// What a backup costs a month.
    pub(crate) fn month(&self, entry: &Entry) -> Option<f64> {
        self.class_of(entry).map(|class| cents(cost::monthly(class, amount(&entry.row))))
    }
}

/// One set's costs.
struct SetCost<'all> {
    stats: SetStats<'all>,
    month: f64,
    restore: f64,
    early: f64,
    delay_hours: u32,
    year: Option<Forecast>,
    suggestion: Option<Suggestion<'all>>,
}

/// Tells the costs of every set.
pub(crate) fn tell(session: &Session, tariff: &Tariff, chosen: &[&Backup], now: Instant) -> Result<String> {
    let Some(class) = &tariff.class else { return Ok(String::new()) };
    let policy = policy::of(session.environment())?;
    let mut costs = Vec::new();
    for stats in stats::of(chosen) {
        costs.push(set_cost(stats, tariff, class, &policy, now)?);
    }
    for cost in &costs {
        session.event("cost", &cost.fields(tariff, class, &policy.words()))?;
    }
    Ok(text(&costs, tariff, class, &policy.words()))
}

fn set_cost<'all>(
    stats: SetStats<'all>,
    tariff: &'all Tariff,
    class: &'all Class,
    policy: &policy::Removal,
    now: Instant,
) -> Result<SetCost<'all>> {
    let priced = |backup: &&Backup| Some((tariff.class_of(&backup.entry)?, aged(&backup.entry.row, now)));
    let amounts: Vec<(&Class, (i64, Amount))> = stats.backups.iter().filter_map(priced).collect();
    // What has been moved to another class already needs no advice.
    let unmoved: Vec<(i64, Amount)> =
        amounts.iter().filter(|(of, _)| of.name == class.name).map(|(_, amount)| *amount).collect();
    let chain = newest_chain(&stats, tariff);
    let manifests: Vec<Manifest> =
        stats.backups.iter().map(|backup| backup.entry.row.manifest()).collect::<Result<_>>()?;
    let year = forecast::year(&manifests, &mut |kept, at| policy.removes(kept, at), class, now)?;
    #[allow(clippy::cast_precision_loss)] // days
    let early = amounts.iter().map(|(class, (days, amount))| cost::early_removal(class, *amount, *days as f64)).sum();
    Ok(SetCost {
        month: amounts.iter().map(|(class, (_, amount))| cost::monthly(class, *amount)).sum(),
        restore: chain.iter().map(|(class, amount)| cost::restore(class, *amount)).sum(),
        delay_hours: chain.iter().map(|(class, _)| class.delay_hours).max().unwrap_or_default(),
        suggestion: cost::suggest(&tariff.prices, class, &unmoved),
        stats,
        early,
        year,
    })
}

fn aged(row: &Row, now: Instant) -> (i64, Amount) {
    ((now - row.created_at).num_days(), amount(row))
}

fn amount(row: &Row) -> Amount {
    Amount::of_backup(row.size_bytes(), row.objects.len())
}

/// All that a restore of the newest backup reads, with the class of each.
fn newest_chain<'all>(stats: &SetStats<'_>, tariff: &'all Tariff) -> Vec<(&'all Class, Amount)> {
    let by_id: HashMap<&str, &Entry> =
        stats.backups.iter().map(|backup| (&*backup.entry.row.id, &backup.entry)).collect();
    let newest = stats.newest().map(|backup| &backup.entry);
    let base = |entry: &&Entry| by_id.get(entry.row.base.as_deref()?).copied();
    let chain = std::iter::successors(newest, base).take(by_id.len());
    chain.filter_map(|entry| Some((tariff.class_of(entry)?, amount(&entry.row)))).collect()
}

impl SetCost<'_> {
    fn fields(&self, tariff: &Tariff, class: &Class, policy: &str) -> Value {
        let year = self.year.map(|year| {
            json!({
                "dollars": cents(year.total()),
                "dollars_storage": cents(year.storage),
                "dollars_requests": cents(year.requests),
                "dollars_early_removals": cents(year.early_removals),
                "backups": year.backups,
                "kept": year.kept,
                "kept_bytes": year.kept_bytes,
                "policy": policy,
            })
        });
        let suggestion = self.suggestion.as_ref().map(|offer| {
            json!({
                "class": offer.class.name,
                "size_bytes": offer.amount.size_bytes,
                "saving_dollars_month": cents(offer.saving_month),
                "move_dollars": cents(offer.move_once),
                "minimum_days": offer.class.minimum_days,
            })
        });
        json!({
            "set": self.stats.set,
            "count": self.stats.backups.len(),
            "size_bytes": self.stats.size_bytes(),
            "class": class.name,
            "prices_as_of": tariff.prices.as_of,
            "dollars_month": cents(self.month),
            "restore_dollars": cents(self.restore),
            "restore_delay_hours": self.delay_hours,
            "minimum_days": class.minimum_days,
            "early_removal_dollars": cents(self.early),
            "year": year,
            "suggestion": suggestion,
        })
    }
}

fn text(costs: &[SetCost<'_>], tariff: &Tariff, class: &Class, policy: &str) -> String {
    let rows = costs.iter().map(|cost| {
        [
            cost.stats.set.to_owned(),
            words::bytes(cost.stats.size_bytes()),
            dollars(cost.month),
            cost.year.map_or_else(|| "-".to_owned(), |year| dollars(year.total())),
            dollars(cost.restore),
        ]
    });
    let heads = ["SET", "SIZE", "A MONTH", "NEXT YEAR", "A RESTORE"];
    let mut text = table::aligned(&heads, rows, &[false, true, true, true, true]);
    for cost in costs {
        if let Some(offer) = &cost.suggestion {
            let (set, name, size) = (cost.stats.set, &offer.class.name, words::bytes(offer.amount.size_bytes));
            let saving = dollars(offer.saving_month);
            text.push_str(&format!(
                "{set}: what is older than 30 days ({size}) would cost {saving} a month less in {name}\n"
            ));
        }
    }
    let (name, as_of) = (&class.name, &tariff.prices.as_of);
    text.push_str(&format!("{name}, list prices of {as_of}; the next year under {policy}\n"));
    text
}

/// To a hundredth of a cent: a month of a small backup costs less than a cent.
fn cents(dollars: f64) -> f64 {
    (dollars * 10_000.0).round() / 10_000.0
}

fn dollars(dollars: f64) -> String {
    if dollars > 0.0 && dollars < 0.01 { "< $0.01".to_owned() } else { format!("${dollars:.2}") }
}
