//! The commands on Azure, by the variables that the older programs' users have set: put, list, get, prune.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use vb_tests::command::Command;
use vb_tests::place::Place;
use vb_tests::servers::{Azurite, Container};

/// More than one part of 8 MiB, so that blocks are staged.
const LENGTH: usize = 20_000_000;

/// A place whose commands reach a container of their own.
struct Azure {
    place: Place,
    container: Container,
}

impl Azure {
    fn new(label: &str) -> Result<Self> {
        Ok(Self { place: Place::new()?, container: Azurite::shared()?.create_container(label)? })
    }

    fn line(&self, line: &str) -> Command {
        let set = ["AZURE_STORAGE_CONNECTION_STRING", "AZURE_CONTAINER_NAME"]
            .map(|name| (name, self.container.variables().get(name).map(String::as_str).unwrap_or_default()));
        self.place.shell(line).env("CLOUD_PROVIDER", "azure").env("BACKUP_PREFIX", "weather").envs(set)
    }

    fn put(&self, set: &str) -> Result<Value> {
        // A second backup of the same second would be refused.
        let put = format!("until vb-put --set {set} --unproven {set}; do sleep 0.1; done");
        let line = format!("head -c {LENGTH} /dev/urandom >{set} && {put}");
        self.line(&line).env("VB_STORAGE_CLASS", "Cool").run()?.succeeded()?.event("vb-put", "done")
    }
}

#[test]
fn a_backup_is_put_listed_fetched_and_pruned() {
    a_backup_and_its_end(&Azure::new("whole").unwrap()).unwrap();
}

fn a_backup_and_its_end(azure: &Azure) -> Result<()> {
    let done = azure.put("noise")?;
    let (id, key) = (done["id"].as_str().context("no id")?, done["key"].as_str().context("no key")?);
    let manifest = format!("weather/noise/{id}_metadata.json");
    ensure!(azure.container.names()? == [format!("weather/{key}"), manifest.clone()], "{:?}", azure.container.names()?);
    ensure!(azure.container.head(&format!("weather/{key}"))?.contains("x-ms-access-tier: Cool"), "not in its tier");
    ensure!(azure.container.head(&manifest)?.contains("x-ms-access-tier: Hot"), "the manifest is in the data's tier");

    let class = azure.line("vb-ls").run()?.succeeded()?.event("vb-ls", "backup")?["storage_class"].clone();
    ensure!(class == "Cool", "the class is {class}");
    let listed = azure.line("vb-ls --ids").run()?.succeeded()?;
    ensure!(listed.stdout_text() == format!("{id}\n"), "{listed}");
    azure.line(&format!("vb-get {id} -o fetched && cmp fetched noise")).run()?.succeeded()?;
    let by_url =
        azure.line(&format!("vb-ls --ids --store az://{}/weather", azure.container.name())).run()?.succeeded()?;
    ensure!(by_url.stdout_text() == format!("{id}\n"), "{by_url}");

    azure.put("noise")?;
    azure.line("vb-prune --keep-last 1").run()?.succeeded()?;
    let left = azure.container.names()?;
    ensure!(left.len() == 2 && !left.iter().any(|name| name.contains(id)), "{left:?}");
    Ok(())
}

#[test]
fn a_wrong_key_is_denied_and_never_shown() {
    let azure = Azure::new("denied").unwrap();
    let right = &azure.container.variables()["AZURE_STORAGE_CONNECTION_STRING"];
    let wrong = right.replace("AccountKey=", "AccountKey=AAAA");
    let run = azure.line("vb-ls").env("AZURE_STORAGE_CONNECTION_STRING", &wrong).run().unwrap();
    let said = format!("{run}");
    assert_eq!(run.exit_code(), 7, "{said}");
    assert!(!said.contains("AccountKey") && !said.contains("AAAA"), "{said}");
}
