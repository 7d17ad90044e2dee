//! An Azurite for the whole test binary, and a container of its own for each test. Fixtures and checks speak to it through
//! `curl` and a shared access signature, so that none of our code is both what is tested and what tests.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use super::Variables;
use super::curl;
use super::held::{Held, Shared, shared};

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
        static SHARED: Shared<Azurite> = Shared::new();
        shared(&SHARED, || Held::start("azurite").map(|held| Self { held }))
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
        Ok(names_in(&self.request("GET", "?restype=container&comp=list&include=uncommittedblobs")?))
    }

    /// An object's answer to `HEAD`: its headers, a line each.
    ///
    /// # Errors
    /// When the server cannot be reached, or has no such object.
    pub fn head(&self, name: &str) -> Result<String> {
        self.request("HEAD", &format!("/{name}?"))
    }

    /// The names of committed objects, sorted; at most the 5,000 that one answer holds.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn keys(&self) -> Result<Vec<String>> {
        Ok(names_in(&self.request("GET", "?restype=container&comp=list")?))
    }

    /// An object's bytes.
    ///
    /// # Errors
    /// When the server cannot be reached, or has no such object.
    pub fn get(&self, name: &str) -> Result<Vec<u8>> {
        self.send("GET", &format!("/{name}?"), &[], None)
    }

    /// Stores an object, in place of one that is there.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        let headers = ["--header", "x-ms-blob-type: BlockBlob", "--data-binary", "@-"];
        self.send("PUT", &format!("/{name}?"), &headers, Some(content)).map(drop)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// When the server cannot be reached, or has no such object.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.send("DELETE", &format!("/{name}?"), &[], None).map(drop)
    }

    fn request(&self, method: &str, rest: &str) -> Result<String> {
        let options = match method {
            "HEAD" => &["--head"][..],
            "PUT" => &["--header", "Content-Length: 0"],
            _ => &[],
        };
        Ok(String::from_utf8_lossy(&self.send(method, rest, options, None)?).into_owned())
    }

    fn send(&self, method: &str, rest: &str, options: &[&str], content: Option<&[u8]>) -> Result<Vec<u8>> {
        let set = |name: &str| self.variables.get(name).with_context(|| format!("the server script sets no {name}"));
        let place = format!("{}/{}{rest}", set("VB_TEST_AZURE_ENDPOINT")?, self.name());
        let mut curl = vec!["--request", method];
        curl.extend(options);
        let url = format!("{place}&{}", set("VB_TEST_AZURE_SAS")?);
        curl.push(&url);
        // without the signature
        curl::run(&curl, content).with_context(|| format!("{method} {place}"))
    }
}

fn names_in(answer: &str) -> Vec<String> {
    let names = answer.split("<Name>").skip(1);
    let mut names: Vec<_> = names.filter_map(|rest| Some(rest.split_once("</Name>")?.0.to_owned())).collect();
    names.sort();
    names
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
