//! What keeping a backup costs a month, by list prices: of the provider itself, not of other servers that speak its protocol.

use vb_core::cost::{self, Amount, Prices};
use vb_core::environment::{
    AWS_ENDPOINT_URL, AZURE_STORAGE_CONNECTION_STRING, Environment, STORAGE_EMULATOR_HOST, VB_PRICES, VB_STORAGE_CLASS,
};
use vb_core::location::Location;
use vb_core::manifest::Manifest;
use vb_core::{Error, Result};

/// An estimate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Price {
    /// To the hundredth of a cent.
    pub(crate) month: f64,
    pub(crate) currency: String,
}

/// The prices that `VB_PRICES` names, else the built-in ones.
///
/// # Errors
/// If the file cannot be read or is none.
pub(crate) fn prices(environment: &Environment) -> Result<Prices> {
    let Some(path) = environment.get(VB_PRICES) else { return Prices::built_in() };
    let text = std::fs::read_to_string(path).map_err(|cause| Error::io(format!("reading the prices {path}"), cause))?;
    Prices::parse(&text, path)
}

/// Of a backup in a store; `None` where its class has no price.
pub(crate) fn of(
    prices: &Prices,
    location: &Location,
    environment: &Environment,
    manifest: &Manifest,
) -> Option<Price> {
    if is_other_server(&location.scheme, environment) {
        return None;
    }
    let class = prices.class(&location.scheme, environment.get(VB_STORAGE_CLASS)).ok()??;
    let amount = Amount::of_backup(manifest.size_bytes(), manifest.objects.len());
    let month = (cost::monthly(class, amount) * 10_000.0).round() / 10_000.0;
    Some(Price { month, currency: prices.currency.clone() })
}

fn is_other_server(scheme: &str, environment: &Environment) -> bool {
    match scheme {
        "s3" => environment.get(AWS_ENDPOINT_URL).is_some(),
        "gs" => environment.get(STORAGE_EMULATOR_HOST).is_some(),
        "az" => environment.get(AZURE_STORAGE_CONNECTION_STRING).is_some_and(|account| {
            account.contains("UseDevelopmentStorage") || account.contains("BlobEndpoint=http://")
        }),
        _ => false,
    }
}

impl Price {
    /// For the sentence at the end; nothing where it is next to nothing.
    pub(crate) fn words(&self) -> String {
        let Self { month, currency } = self;
        match *month {
            month if month >= 0.01 => format!(", about {month:.2} {currency} a month"),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::label::Label;
    use vb_core::manifest::{Object, Proof};

    fn price(url: &str, values: &[(&str, &str)]) -> Option<Price> {
        let environment = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let at = "2026-11-21T03:15:00Z".parse().unwrap();
        let key = vb_core::key::Key::parse("w/w.gz").unwrap();
        let object = Object { key, size_bytes: 100 << 30, sha256: String::new(), md5: String::new(), crc32: None };
        let manifest =
            Manifest::new("w_20261121_031500", at, Label::of_stream("file", "w", "w", "gz"), vec![object], Proof::File);
        of(&Prices::built_in().unwrap(), &Location::parse(url).unwrap(), &Environment::new(environment), &manifest)
    }

    #[test]
    fn only_what_has_a_price_costs() {
        let standard = price("s3://bucket", &[]).unwrap();
        let cold = price("s3://bucket", &[("VB_STORAGE_CLASS", "DEEP_ARCHIVE")]).unwrap();
        assert!(cold.month > 0.0 && cold.month < standard.month, "{cold:?} {standard:?}");
        assert_eq!(standard.words(), format!(", about {:.2} {} a month", standard.month, standard.currency));
        assert_eq!(price("file:///srv", &[]), None);
        assert_eq!(price("s3://bucket", &[("VB_STORAGE_CLASS", "NO_SUCH")]), None);
        assert_eq!(price("s3://bucket", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]), None);
        assert_eq!(Price { month: 0.0021, currency: "USD".to_owned() }.words(), "");
    }
}
