//! What an S3 server is asked to do with a backup, and what it says of it afterwards.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{done, file};
use serde_json::Value;
use vb_tests::chance::noise;
use vb_tests::place::Place;
use vb_tests::servers::{Bucket, S3Server};

/// Runs a line that stores into the bucket; the `done` line.
fn stored(place: &Place, bucket: &Bucket, line: &str) -> Value {
    done(&place.shell(line).envs(bucket.variables()).run().unwrap().succeeded().unwrap())
}

/// What the server says of the object under this field of the `done` line.
fn headers(bucket: &Bucket, done: &Value, field: &str) -> String {
    bucket.headers(done[field].as_str().unwrap()).unwrap()
}

#[test]
fn data_has_its_class_and_all_is_encrypted() {
    let (place, bucket) = (Place::new().unwrap(), S3Server::seaweedfs().unwrap().create_bucket("class").unwrap());
    file(&place, "small", &noise(1000));
    file(&place, "large", &noise(20_000_000));
    for name in ["small", "large"] {
        let line = format!("vb-put --storage-class STANDARD_IA --encryption AES256 {name}");
        let done = stored(&place, &bucket, &line);
        let (data, manifest) = (headers(&bucket, &done, "key"), headers(&bucket, &done, "manifest_key"));
        assert!(data.contains("x-amz-storage-class: standard_ia"), "{data}");
        assert!(!manifest.contains("standard_ia"), "{manifest}");
        assert!(data.contains("x-amz-server-side-encryption: aes256"), "{data}");
        assert!(manifest.contains("x-amz-server-side-encryption: aes256"), "{manifest}");
        assert!(bucket.get(done["key"].as_str().unwrap()).unwrap() == std::fs::read(place.path(name)).unwrap());
    }
}

#[test]
fn a_key_of_the_key_service_is_named() {
    let (place, bucket) = (Place::new().unwrap(), S3Server::seaweedfs().unwrap().create_bucket("kms").unwrap());
    file(&place, "data", &noise(20_000_000));
    let done = stored(&place, &bucket, "VB_ENCRYPTION=aws:kms VB_KMS_KEY=backup-key vb-put data");
    for field in ["key", "manifest_key"] {
        let said = headers(&bucket, &done, field);
        assert!(said.contains("x-amz-server-side-encryption: aws:kms"), "{said}");
        assert!(said.contains("x-amz-server-side-encryption-aws-kms-key-id: backup-key"), "{said}");
    }
}

#[test]
fn a_lock_is_on_data_and_manifest() {
    let server = S3Server::seaweedfs().unwrap();
    let (place, bucket) = (Place::new().unwrap(), server.create_locking_bucket("lock").unwrap());
    file(&place, "small", &noise(1000));
    file(&place, "large", &noise(20_000_000));
    for (name, mode) in [("small", "GOVERNANCE"), ("large", "COMPLIANCE")] {
        let done = stored(&place, &bucket, &format!("vb-put --lock-days 3 --lock-mode {mode} {name}"));
        let day = (chrono::Utc::now() + chrono::TimeDelta::days(3)).format("%Y-%m-%d").to_string();
        for field in ["key", "manifest_key"] {
            let said = headers(&bucket, &done, field);
            assert!(said.contains(&format!("x-amz-object-lock-mode: {}", mode.to_lowercase())), "{said}");
            assert!(said.contains(&format!("x-amz-object-lock-retain-until-date: {day}")), "{said}");
        }
    }
    // A bucket that cannot lock says so, and nothing is stored.
    let plain = server.create_bucket("no-lock").unwrap();
    let run = place.shell("vb-put --lock-days 3 small").envs(plain.variables()).run().unwrap();
    assert_ne!(run.exit_code(), 0, "{run}");
    assert_eq!(plain.keys("").unwrap(), [""; 0]);
}

#[test]
fn metadata_and_tags_say_what_it_is() {
    let (place, bucket) = (Place::new().unwrap(), S3Server::seaweedfs().unwrap().create_bucket("tags").unwrap());
    let key = "größe/größe_20261120_031500";
    let escape = |ending: &str| format!("{key}{ending}").replace("größe", "gr%C3%B6%C3%9Fe");
    bucket.put(&escape("_metadata.json"), &common::base(&format!("{key}.jsonl"))).unwrap();
    bucket.put(&escape(".jsonl"), b"x").unwrap();
    let (mut upstream, stdin) = common::Upstream::new(&place);
    let mut label = common::incremental(7);
    label.base = Some("größe_20261120_031500".to_owned());
    upstream.promise(&label);
    let child = common::spawn_with(&place, bucket.variables(), &["--set", "größe"], stdin);
    upstream.write(&noise(20_000_000));
    upstream.seal(label);
    let (code, said) = common::ended(child);
    assert_eq!(code, 0, "{said}");
    let done: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let key = done["key"].as_str().unwrap();
    let escaped = key.replace("größe", "gr%C3%B6%C3%9Fe");
    let said = bucket.headers(&escaped).unwrap();
    for line in [
        "x-amz-meta-set: gr%c3%b6%c3%9fe",
        "x-amz-meta-kind: incremental",
        "x-amz-meta-base: gr%c3%b6%c3%9fe_20261120_031500",
        "x-amz-meta-since: 2026-11-20t03:15:00z",
        "x-amz-meta-source: public.weather",
        "x-amz-meta-lifecycle-hint: cooler-after-30-days",
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    let tags = bucket.ask(&format!("{escaped}?tagging=")).unwrap();
    for (name, value) in [
        ("set", "größe"),
        ("kind", "incremental"),
        ("records", "7"),
        ("since", "2026-11-20T03:15:00Z"),
        ("until", "2026-11-21T03:15:00.250Z"),
        ("sha256", done["sha256"].as_str().unwrap()),
    ] {
        assert!(tags.contains(&format!("<Key>{name}</Key><Value>{value}</Value>")), "{name} is not in {tags}");
    }
}

#[test]
fn rules_are_installed_beside_those_of_others() {
    let (place, bucket) = (Place::new().unwrap(), S3Server::moto().unwrap().create_bucket("rules").unwrap());
    let foreign = "<LifecycleConfiguration><Rule><ID>theirs</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled\
                   </Status><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>";
    bucket.put("?lifecycle=", foreign.as_bytes()).unwrap();
    let line = format!("vb-put --lifecycle --store s3://{}/a/b", bucket.name());
    for _ in 0..2 {
        let run = place.shell(&line).envs(bucket.variables()).run().unwrap().succeeded().unwrap();
        assert_eq!(done(&run)["lifecycle"][0]["storage_class"], "STANDARD_IA");
    }
    let other = format!("vb-put --lifecycle --store s3://{}", bucket.name());
    place.shell(&other).envs(bucket.variables()).run().unwrap().succeeded().unwrap();
    let rules = bucket.ask("?lifecycle=").unwrap();
    for (words, times) in [
        ("<Rule>", 3),
        ("<ID>theirs</ID>", 1),
        ("<Days>9</Days>", 1),
        ("<ID>vb a/b</ID>", 1),
        ("<Prefix>a/b/</Prefix>", 1),
        ("<StorageClass>STANDARD_IA</StorageClass>", 2),
        ("<Days>30</Days>", 2),
        ("<DaysAfterInitiation>1</DaysAfterInitiation>", 2),
    ] {
        assert_eq!(rules.matches(words).count(), times, "{words} in {rules}");
    }
}

#[test]
fn a_store_that_cannot_says_so() {
    let (place, bucket) = (Place::new().unwrap(), S3Server::seaweedfs().unwrap().create_bucket("refuse").unwrap());
    file(&place, "data", b"data");
    for (line, words) in [
        ("vb-put --store file://./b --storage-class STANDARD_IA data", "has no storage classes"),
        ("VB_ENCRYPTION=AES256 vb-put --store file://./b data", "has no encryption of its own"),
        ("vb-put --store file://./b --lock-days 3 data", "has no locks"),
        ("vb-put --store file://./b --lifecycle", "has no lifecycle rules"),
        ("vb-put --encryption rot13 data", "VB_ENCRYPTION is \"rot13\""),
        ("vb-put --lock-days never data", "VB_LOCK_DAYS is \"never\""),
        ("vb-put --lifecycle", "this server has no such rules"),
    ] {
        let run = place.shell(line).envs(bucket.variables()).run().unwrap().exited(2).unwrap();
        let failed = run.event("vb-put", "failed").unwrap();
        assert!(failed["message"].as_str().unwrap().contains(words), "{line}: {failed}");
    }
    assert!(!place.path("b").exists());
    assert_eq!(bucket.keys("").unwrap(), [""; 0]);
}
