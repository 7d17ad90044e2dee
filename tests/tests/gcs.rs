//! The commands on Google Cloud Storage: put, list, read back and prune, with nothing but the variables of that provider.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use vb_tests::command::Command;
use vb_tests::place::Place;
use vb_tests::servers::{GcsBucket, GcsServer};

struct Night {
    place: Place,
    bucket: GcsBucket,
}

impl Night {
    fn new(label: &str) -> Result<Self> {
        Ok(Self { place: Place::new()?, bucket: GcsServer::shared()?.create_bucket(label)? })
    }

    /// As users of older programs have it: the provider, the bucket and the prefix.
    fn line(&self, line: &str) -> Command {
        let line = self.place.shell(line).envs(self.bucket.variables().clone());
        line.env("CLOUD_PROVIDER", "gcp").env("BACKUP_PREFIX", "weather")
    }

    /// A stream of tar that does not compress, so that it proves its own end.
    fn put(&self, bytes: usize) -> Result<Value> {
        let line = format!("head -c {bytes} /dev/urandom >data && tar -cf - data | vb-put --set station");
        self.line(&line).run()?.succeeded()?.event("vb-put", "done")
    }
}

#[test]
fn a_backup_comes_back_and_goes() {
    let night = Night::new("whole").unwrap();
    // One request, and more than two parts of 16 MiB.
    for bytes in [1000, 40 << 20] {
        let done = night.put(bytes).unwrap();
        let id = done["id"].as_str().context("no id").unwrap();
        assert!(done["store"].as_str().unwrap().starts_with("gs://"), "{done}");
        let keys = night.bucket.keys().unwrap();
        let key = |field: &str| format!("weather/{}", done[field].as_str().unwrap_or_default());
        assert!(keys.contains(&key("key")) && keys.contains(&key("manifest_key")), "{keys:?}");
        let line = format!("vb-get {id} -o back.tar && tar -xOf back.tar data | cmp - data");
        night.line(&line).run().unwrap().succeeded().unwrap();
    }
    let listed = night.line("vb-ls --ids").run().unwrap().succeeded().unwrap();
    assert_eq!(listed.stdout_text().lines().count(), 2, "{listed}");
    night.line("vb-prune --keep-last 1").run().unwrap().succeeded().unwrap();
    assert_eq!(night.bucket.keys().unwrap().len(), 2);
    let url = format!("vb-ls --ids --store gs://{}/weather", night.bucket.name());
    assert_eq!(night.line(&url).run().unwrap().succeeded().unwrap().stdout_text().lines().count(), 1);
}

#[test]
fn only_data_gets_the_storage_class() {
    let night = Night::new("class").unwrap();
    fs::write(night.place.path("report.csv"), "a,b\n1,2\n").unwrap();
    let put = night.line("vb-put --unproven report.csv").env("VB_STORAGE_CLASS", "NEARLINE");
    put.run().unwrap().succeeded().unwrap();
    for object in night.bucket.objects().unwrap() {
        let class = if object["name"].as_str().unwrap().ends_with("_metadata.json") { "STANDARD" } else { "NEARLINE" };
        assert_eq!(object["storageClass"], class, "{object}");
    }
    let listed = night.line("vb-ls").run().unwrap().succeeded().unwrap().event("vb-ls", "backup").unwrap();
    assert_eq!(listed["storage_class"], "NEARLINE", "{listed}");
}

fn refused(night: &Night, variables: &[(&str, &str)], code: i32, words: &str) -> Result<()> {
    let line =
        variables.iter().fold(night.line("vb-put --unproven report.csv"), |line, (name, value)| line.env(name, value));
    let run = line.run()?.exited(code)?;
    ensure!(run.stderr_text().contains(words) && run.stderr_text().contains("hint: "), "{run}");
    ensure!(night.bucket.keys()?.is_empty(), "something was stored");
    Ok(())
}

#[test]
fn refusals_say_what_to_do() {
    let night = Night::new("refused").unwrap();
    fs::write(night.place.path("report.csv"), "a,b\n1,2\n").unwrap();
    refused(&night, &[("BACKUP_BUCKET", "no-such-bucket")], 4, "no bucket no-such-bucket").unwrap();
    refused(&night, &[("STORAGE_EMULATOR_HOST", "127.0.0.1:9")], 8, "connection refused").unwrap();
    refused(&night, &[("VB_STORAGE_CLASS", "STANDARD_IA")], 2, "VB_STORAGE_CLASS").unwrap();
    let google = [("STORAGE_EMULATOR_HOST", ""), ("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")];
    refused(&night, &google, 4, "/no/such/file").unwrap();
}
