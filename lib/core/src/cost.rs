//! What stored backups cost, from a file of list prices: a month, a write, an early removal, a restore. Pure arithmetic.
//!
//! An estimate for decisions, not an invoice: no free tiers, discounts or taxes. The built-in file says where its prices
//! are from and of which date.

pub mod forecast;

use crate::{Error, Result};
use serde::Deserialize;

const BUILT_IN: &str = include_str!("prices.json");
/// What the providers call a GB.
const GB: f64 = 1_073_741_824.0;
const DAYS_A_MONTH: f64 = 365.25 / 12.0;
/// What is older than this is seldom restored.
const OLD_DAYS: i64 = 30;

/// A file of prices.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Prices {
    /// The day on which they were collected.
    pub as_of: String,
    /// In which they are.
    pub currency: String,
    /// Where they are from.
    #[serde(default)]
    pub sources: Vec<String>,
    /// The classes; the first of a scheme is what a store has where nobody says otherwise.
    pub classes: Vec<Class>,
}

/// A storage class of a provider.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Class {
    /// The scheme of the provider's stores: `s3`, `az`, `gs`.
    pub scheme: String,
    /// The provider's own name for it.
    pub name: String,
    /// A GB for a month.
    pub gb_month: f64,
    /// A thousand requests that write.
    pub writes_1000: f64,
    /// A thousand requests that read.
    pub reads_1000: f64,
    /// A GB that is read.
    pub retrieval_gb: f64,
    /// A GB that leaves the provider.
    pub egress_gb: f64,
    /// Days that are paid for, however early an object is removed.
    #[serde(default)]
    pub minimum_days: u32,
    /// Bytes that are paid for, however small an object is.
    #[serde(default)]
    pub minimum_object_bytes: u64,
    /// How long a restore waits before it can read.
    #[serde(default)]
    pub delay_hours: u32,
    /// Whether one fire takes it.
    #[serde(default)]
    pub one_zone: bool,
}

/// Bytes in so many objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// All bytes.
    pub size_bytes: u64,
    /// The objects, manifests included.
    pub objects: u64,
}

/// A class in which older backups would cost less.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion<'prices> {
    /// The class.
    pub class: &'prices Class,
    /// What would move.
    pub amount: Amount,
    /// What it saves a month.
    pub saving_month: f64,
    /// What the move costs once.
    pub move_once: f64,
}

impl Prices {
    /// The built-in ones.
    ///
    /// # Errors
    /// None: a test reads them.
    pub fn built_in() -> Result<Self> {
        Self::parse(BUILT_IN, "the built-in prices")
    }

    /// Reads a file of the form of the built-in one. `place` names it in errors.
    ///
    /// # Errors
    /// A usage error if it is none, or has a price below zero.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let wrong = |why: String| {
            Error::usage(format!("reading {place}: {why}"))
                .with_hint("Take lib/core/src/prices.json of the sources as a pattern.")
        };
        let prices: Self = serde_json::from_str(text).map_err(|cause| wrong(cause.to_string()))?;
        let bad =
            prices.classes.iter().find(|class| class.numbers().iter().any(|price| !price.is_finite() || *price < 0.0));
        match bad {
            Some(class) => Err(wrong(format!("{} has a price below zero", class.name))),
            None => Ok(prices),
        }
    }

    /// The class of this name, in any case; without a name the one that the scheme's stores have.
    ///
    /// # Errors
    /// A usage error that names those there are. A scheme without prices (a disk of one's own) has none.
    pub fn class(&self, scheme: &str, name: Option<&str>) -> Result<Option<&Class>> {
        let mut classes = self.classes.iter().filter(|class| class.scheme == scheme);
        let Some(name) = name else { return Ok(classes.next()) };
        let all = classes.clone();
        if let Some(found) = classes.find(|class| class.name.eq_ignore_ascii_case(name)) {
            return Ok(Some(found));
        }
        let known: Vec<&str> = all.map(|class| class.name.as_str()).collect();
        if known.is_empty() {
            return Ok(None);
        }
        Err(Error::usage(format!("the prices know no class {name:?} of {scheme}://"))
            .with_hint(format!("Use one of {}, or add it to a file for --prices.", known.join(", "))))
    }
}

impl Class {
    fn numbers(&self) -> [f64; 5] {
        [self.gb_month, self.writes_1000, self.reads_1000, self.retrieval_gb, self.egress_gb]
    }
}

/// What this costs a month.
#[must_use]
pub fn monthly(class: &Class, amount: Amount) -> f64 {
    // Manifests are small, so nearly all of the minimum falls on them where there is one.
    let least = class.minimum_object_bytes.saturating_mul(amount.objects.saturating_sub(1));
    gigabytes(amount.size_bytes.max(least)) * class.gb_month
}

/// What storing it costs once. Multipart uploads write more than once an object, about every 16 MiB.
#[must_use]
pub fn storing(class: &Class, amount: Amount) -> f64 {
    thousands(amount.objects + amount.size_bytes / (16 << 20)) * class.writes_1000
}

/// What is still to be paid when it is removed at this age.
#[must_use]
pub fn early_removal(class: &Class, amount: Amount, age_days: f64) -> f64 {
    let rest = (f64::from(class.minimum_days) - age_days).max(0.0);
    monthly(class, amount) * rest / DAYS_A_MONTH
}

/// What reading all of it once costs, to a place outside of the provider.
#[must_use]
pub fn restore(class: &Class, amount: Amount) -> f64 {
    let gigabytes = gigabytes(amount.size_bytes);
    let requests = amount.objects + amount.size_bytes / (4 << 20);
    gigabytes * (class.retrieval_gb + class.egress_gb) + thousands(requests) * class.reads_1000
}

/// The class of the same provider in which backups older than 30 days would cost least, if that saves anything within a
/// year. Only classes that are read at once and survive a fire: a backup that has to be waited for, or that burns with
/// the others, is another decision.
#[must_use]
pub fn suggest<'prices>(
    prices: &'prices Prices,
    class: &Class,
    backups: &[(i64, Amount)],
) -> Option<Suggestion<'prices>> {
    let old: Vec<Amount> = backups.iter().filter(|(days, _)| *days > OLD_DAYS).map(|(_, amount)| *amount).collect();
    let amount = old.iter().copied().fold(Amount::default(), Amount::plus);
    let better = prices
        .classes
        .iter()
        .filter(|other| other.scheme == class.scheme && other.delay_hours == 0 && (class.one_zone || !other.one_zone));
    let offers = better.map(|other| {
        let saving = |one: &Amount| monthly(class, *one) - monthly(other, *one);
        let saving_month = old.iter().map(saving).sum();
        Suggestion { class: other, amount, saving_month, move_once: thousands(amount.objects) * other.writes_1000 }
    });
    let worth = |offer: &Suggestion<'_>| offer.saving_month * 12.0 > offer.move_once && offer.saving_month > 0.0;
    offers.filter(worth).max_by(|one, other| one.saving_month.total_cmp(&other.saving_month))
}

impl Amount {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { size_bytes: self.size_bytes + other.size_bytes, objects: self.objects + other.objects }
    }

    /// A backup and its manifest.
    #[must_use]
    pub fn of_backup(size_bytes: u64, objects: usize) -> Self {
        Self { size_bytes, objects: objects as u64 + 1 }
    }
}

#[allow(clippy::cast_precision_loss)] // an estimate
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / GB
}

#[allow(clippy::cast_precision_loss)] // an estimate
fn thousands(count: u64) -> f64 {
    count as f64 / 1000.0
}

#[cfg(test)]
mod tests;
