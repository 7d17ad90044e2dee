//! An Azurite for the whole test binary, and a container of its own for each test. Fixtures and checks speak to it through
//! `curl` and a shared access signature, so that none of our code is both what is tested and what tests.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow, ensure};

use super::Variables;
use super::held::Held;

/// A running server.
#[derive(Debug)]
pub struct Azurite {
    held: Held,
}

impl Azurite {
    /// The server that all tests of this binary share.
    ///
    /// # Errors
    /// What the script said, when the server did not start.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Azurite, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Held::start("azurite").map(|held| Self { held }).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    /// Makes an empty container that nobody else uses; `label` makes its name readable (lower case, digits, `-`).
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn create_container(&self, label: &str) -> Result<Container> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("{label}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut variables = self.held.variables().clone();
        variables.insert("AZURE_CONTAINER_NAME".into(), name);
        let container = Container { variables };
        container.request("PUT", "?restype=container")?;
        Ok(container)
    }
}

/// A container that one test has to itself. It goes with its server.
#[derive(Debug)]
pub struct Container {
    variables: Variables,
}

impl Container {
    /// The variables that lead a command to this container: `AZURE_STORAGE_CONNECTION_STRING` and `AZURE_CONTAINER_NAME`.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.variables["AZURE_CONTAINER_NAME"]
    }

    /// The names of the objects, sorted, and of uploads that are not committed; at most the 5,000 that one answer holds.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn names(&self) -> Result<Vec<String>> {
        let answer = self.request("GET", "?restype=container&comp=list&include=uncommittedblobs")?;
        let mut names: Vec<_> =
            answer.split("<Name>").skip(1).filter_map(|rest| Some(rest.split_once("</Name>")?.0.to_owned())).collect();
        names.sort();
        Ok(names)
    }

    /// An object's answer to `HEAD`: its headers, a line each.
    ///
    /// # Errors
    /// When the server cannot be reached, or has no such object.
    pub fn head(&self, name: &str) -> Result<String> {
        self.request("HEAD", &format!("/{name}?"))
    }

    fn request(&self, method: &str, rest: &str) -> Result<String> {
        let set = |name: &str| self.variables.get(name).with_context(|| format!("the server script sets no {name}"));
        let place = format!("{}/{}{rest}", set("VB_TEST_AZURE_ENDPOINT")?, self.name());
        let mut curl = Command::new("curl");
        curl.args(["--fail-with-body", "--silent", "--show-error", "--max-time", "60", "--noproxy", "*"]);
        curl.args(match method {
            "HEAD" => &["--head"][..],
            "PUT" => &["--request", "PUT", "--header", "Content-Length: 0"],
            _ => &[],
        });
        let output = curl
            .arg(format!("{place}&{}", set("VB_TEST_AZURE_SAS")?))
            .output()
            .context("starting curl\nhint: Run scripts/setup test, which installs what is missing.")?;
        let (error, body) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        ensure!(output.status.success(), "{method} {place}: {} {body}", error.trim());
        Ok(body.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_container_is_empty_and_its_own() {
        let server = Azurite::shared().unwrap();
        let (one, other) = (server.create_container("mine").unwrap(), server.create_container("mine").unwrap());
        assert_ne!(one.name(), other.name());
        assert!(one.names().unwrap().is_empty() && one.head("nothing").is_err());
    }
}
