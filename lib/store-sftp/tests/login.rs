//! Who may log in and which server is believed: keys, agents, known hosts, the user's own configuration.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{Server, key, must_be, refusal, until};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use vb_core::ErrorKind;
use vb_store::Store;
use vb_store_sftp::SftpStore;

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

fn make_key(folder: &Path) -> String {
    let path = folder.join("another").display().to_string();
    let status = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path]).status().unwrap();
    assert!(status.success());
    path
}

#[test]
fn an_unknown_host_key_is_denied_and_never_learned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known hosts").display().to_string();
    std::fs::write(&path, "").unwrap();
    let error = refusal(&SERVER.store_with("login", &[("VB_SSH_KNOWN_HOSTS", &path)]));
    must_be(&error, ErrorKind::Denied, "connecting to 127.0.0.1: the server's host key is not known");
    let hint = error.hint().unwrap();
    assert!(hint.contains(&format!("ssh-keyscan -p {} 127.0.0.1 >>{path}", SERVER.port())), "{hint}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn what_the_hint_says_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts").display().to_string();
    let scan = Command::new("ssh-keyscan").args(["-p", &SERVER.port().to_string(), "127.0.0.1"]).output().unwrap();
    std::fs::write(&path, scan.stdout).unwrap();
    SERVER.store_with("login", &[("VB_SSH_KNOWN_HOSTS", &path)]).list("", &mut |_| Ok(())).unwrap();
}

#[test]
fn a_changed_host_key_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let other = std::fs::read_to_string(format!("{}.pub", make_key(folder.path()))).unwrap();
    let path = folder.path().join("known_hosts").display().to_string();
    std::fs::write(&path, format!("[127.0.0.1]:{} {other}", SERVER.port())).unwrap();
    let error = refusal(&SERVER.store_with("login", &[("VB_SSH_KNOWN_HOSTS", &path)]));
    must_be(&error, ErrorKind::Denied, "connecting to 127.0.0.1: the server's host key is not the one that is known");
    assert!(error.hint().unwrap().contains("ssh-keygen -R '[127.0.0.1]:"), "{:?}", error.hint());
}

#[test]
fn a_wrong_key_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let error = refusal(&SERVER.store_with("login", &[("VB_SSH_KEY", &make_key(folder.path()))]));
    must_be(&error, ErrorKind::Denied, "connecting to 127.0.0.1: permission denied (publickey)");
    assert!(error.hint().unwrap().contains("VB_SSH_KEY"), "{:?}", error.hint());
}

#[test]
fn files_that_are_not_there_are_said_at_once() {
    for name in ["VB_SSH_KEY", "VB_SSH_KNOWN_HOSTS"] {
        let url = format!("sftp://{}/~", SERVER.variable("VB_TEST_SFTP"));
        let error = SftpStore::open(SERVER.config_of(&url, &[(name, "/no/such/file")])).map(|_| ()).unwrap_err();
        must_be(&error, ErrorKind::Usage, &format!("{name} is /no/such/file: no such file"));
    }
}

/// An agent that ends with the test.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn an_agent_serves_without_a_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent").display().to_string();
    let _agent = Agent(Command::new("ssh-agent").args(["-D", "-a", &socket]).stdout(Stdio::null()).spawn().unwrap());
    until("the agent", || Path::new(&socket).exists());
    let variables = [("VB_SSH_KEY", ""), ("SSH_AUTH_SOCK", socket.as_str())];
    must_be(&refusal(&SERVER.store_with("agent", &variables)), ErrorKind::Denied, "permission denied");
    let add =
        Command::new("ssh-add").arg("-q").arg(SERVER.variable("VB_SSH_KEY")).env("SSH_AUTH_SOCK", &socket).status();
    assert!(add.unwrap().success());
    SERVER.store_with("agent", &variables).put_new(&key("a"), b"x").unwrap();
}

#[test]
fn the_users_configuration_decides_what_the_url_leaves_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let (user, _) = SERVER.variable("VB_TEST_SFTP").split_once('@').unwrap();
    let lines = [
        "Host backups".to_owned(),
        "HostName 127.0.0.1".to_owned(),
        format!("Port {}", SERVER.port()),
        format!("User {user}"),
        format!("IdentityFile {}", SERVER.variable("VB_SSH_KEY")),
        format!("UserKnownHostsFile {}", SERVER.variable("VB_SSH_KNOWN_HOSTS")),
        // What would stand in the way: a question, a trust on first use, a session of another kind.
        "StrictHostKeyChecking accept-new".to_owned(),
        "RemoteCommand echo hello".to_owned(),
        "ControlMaster auto".to_owned(),
        format!("ControlPath {}/control", folder.path().display()),
        "ControlPersist yes".to_owned(),
    ];
    std::fs::write(&path, lines.join("\n")).unwrap();
    let variables = [("VB_SSH_KEY", ""), ("VB_SSH_KNOWN_HOSTS", "")];
    let mut config = SERVER.config_of("sftp://backups/~/alias", &variables);
    config.ssh_options = vec!["-F".to_owned(), path.display().to_string()];
    SftpStore::open(config).unwrap().put_new(&key("a"), b"x").unwrap();
    assert_eq!(common::names(&SERVER.folder("alias")), ["a"]);
    assert!(!folder.path().join("control").exists(), "a master connection was left behind");
}

#[test]
fn nobody_there_is_unavailable() {
    let config = SERVER.config_of("sftp://127.0.0.1:9/x", &[]);
    let error = refusal(&SftpStore::open(config).unwrap());
    must_be(
        &error,
        ErrorKind::Unavailable,
        "connecting to 127.0.0.1: connect to host 127.0.0.1 port 9: Connection refused",
    );
    let config = SERVER.config_of("sftp://no-such-host.invalid/x", &[]);
    must_be(&refusal(&SftpStore::open(config).unwrap()), ErrorKind::Unavailable, "could not resolve hostname");
}
