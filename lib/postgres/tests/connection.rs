//! Connections to a real server: who gets in, by which way, and what is said to whom who does not.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod server;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use server::Server;
use vb_core::environment::Environment;
use vb_core::{Error, ErrorKind};
use vb_postgres::connection::{CopyOut, Parameters, RawConnection, connect, connect_narrowed};

/// Resolves these variables alone, with no home but the one among them.
fn parameters(variables: &[(&str, &str)]) -> Parameters {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Parameters::resolve(&Environment::new(variables), "vb-test").unwrap()
}

/// What `query` gives over the client and over the raw connection, which must agree.
fn both(parameters: &Parameters, query: &str) -> String {
    let value: Option<String> = connect(parameters).unwrap().query_one(query, &[]).unwrap().get(0);
    let raw = RawConnection::open(parameters).unwrap().query_value(query).unwrap();
    assert_eq!(value, raw, "{query}");
    value.unwrap_or_default()
}

/// The refusal that both kinds of connection get, in the same words.
fn refusal(parameters: &Parameters) -> Error {
    let client = connect(parameters).err().expect("the client is refused");
    let raw = RawConnection::open(parameters).expect_err("the raw connection is refused");
    assert_eq!((client.kind(), client.to_string(), client.hint()), (raw.kind(), raw.to_string(), raw.hint()));
    client
}

/// A self-signed certificate for localhost, as `openssl req -x509` makes it (it may sign others), and its key beside it.
fn make_self_signed(path: &Path) {
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout"])
        .arg(path.with_extension("key"))
        .arg("-out")
        .arg(path)
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "openssl made no certificate");
}

const IS_ENCRYPTED: &str = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

#[test]
fn by_url_and_by_variables() {
    let server = Server::shared();
    let by_url = parameters(&[("DATABASE_URL", server.get("DATABASE_URL"))]);
    assert_eq!(by_url.describe(), format!("postgres@127.0.0.1:{}/postgres", server.get("PGPORT")));
    assert_eq!(both(&by_url, "SELECT current_setting('application_name')"), "vb-test");
    assert_eq!(both(&by_url, IS_ENCRYPTED), "true", "prefer takes TLS when it is offered");

    let mut variables = server.login();
    variables.push(("PGOPTIONS", "-c work_mem=123kB"));
    variables.push(("PGAPPNAME", "other"));
    assert_eq!(both(&parameters(&variables), "SELECT current_setting('work_mem')"), "123kB");
    assert_eq!(both(&parameters(&variables), "SELECT current_setting('application_name')"), "other");
}

#[test]
fn passwords() {
    let server = Server::shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".pgpass");
    let home = folder.path().to_str().unwrap();
    let without = |more: &[(&'static str, &'static str)]| {
        let mut variables = server.login();
        variables.retain(|(name, _)| *name != "PGPASSWORD");
        variables.push(("HOME", home));
        variables.extend(more);
        parameters(&variables)
    };
    let line = format!("127.0.0.1:{}:*:postgres:{}\n", server.get("PGPORT"), server.get("PGPASSWORD"));
    std::fs::write(&file, line).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(both(&without(&[]), "SELECT current_user::text"), "postgres");

    let error = refusal(&without(&[("PGPASSWORD", "wrong")]));
    let step = format!("connecting to postgres@127.0.0.1:{}/postgres", server.get("PGPORT"));
    assert_eq!(error.to_string(), format!("{step}: password authentication failed for user \"postgres\""));
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.hint().unwrap().contains("PGPASSWORD"));

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = without(&[]);
    assert_eq!(open.warnings().len(), 1);
    let error = refusal(&open);
    assert_eq!(error.to_string(), format!("{step}: the server wants a password and none is set"));
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[test]
fn every_kind_of_password() {
    let server = Server::start();
    let mut admin = connect(&parameters(&[("DATABASE_URL", server.get("DATABASE_URL"))])).unwrap();
    let hba: String = admin.query_one("SHOW hba_file", &[]).unwrap().get(0);
    admin
        .batch_execute(
            "CREATE ROLE clear LOGIN PASSWORD 'c'; SET password_encryption = md5; CREATE ROLE hashed LOGIN PASSWORD 'h';
             CREATE ROLE plain LOGIN PASSWORD 'p'; CREATE ROLE encrypted LOGIN PASSWORD 'e'",
        )
        .unwrap();
    let rules = std::fs::read_to_string(&hba).unwrap();
    let first = "host all clear all password\nhost all hashed all md5\nhostnossl all plain all md5\nhostssl all encrypted all md5\n\
                 hostssl all plain all reject\nhostnossl all encrypted all reject\n";
    std::fs::write(&hba, format!("{first}{rules}")).unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").unwrap();
    let login = |user: &str, password: &str, mode: &str| {
        let mut variables = server.login();
        variables.retain(|(name, _)| *name != "PGUSER" && *name != "PGPASSWORD");
        variables.extend([("PGUSER", user), ("PGPASSWORD", password), ("PGSSLMODE", mode)]);
        parameters(&variables)
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while connect(&login("clear", "c", "disable")).is_err() {
        assert!(Instant::now() < deadline, "the server did not take the new rules");
    }
    assert_eq!(both(&login("clear", "c", "prefer"), "SELECT current_user::text"), "clear");
    assert_eq!(both(&login("hashed", "h", "prefer"), "SELECT current_user::text"), "hashed");
    assert_eq!(refusal(&login("hashed", "c", "prefer")).kind(), ErrorKind::Denied);
    // prefer and allow find the kind of encryption that the server wants for the role.
    assert_eq!(both(&login("plain", "p", "prefer"), IS_ENCRYPTED), "false");
    assert_eq!(both(&login("encrypted", "e", "allow"), IS_ENCRYPTED), "true");
    assert_eq!(both(&login("clear", "c", "allow"), IS_ENCRYPTED), "false");
    assert_eq!(refusal(&login("encrypted", "e", "disable")).kind(), ErrorKind::Denied);
}

#[test]
fn socket_service_and_several_hosts() {
    let server = Server::shared();
    let (port, socket) = (server.get("PGPORT"), server.get("VB_TEST_PG_SOCKET"));
    let by_socket =
        parameters(&[("PGHOST", socket), ("PGPORT", port), ("PGUSER", "postgres"), ("PGSSLMODE", "require")]);
    assert_eq!(both(&by_socket, IS_ENCRYPTED), "false");
    let encoded = socket.replace('/', "%2F");
    let by_url = parameters(&[("DATABASE_URL", &format!("postgres://postgres@{encoded}:{port}/postgres"))]);
    assert_eq!(by_url.describe(), format!("postgres@{socket}:{port}/postgres"));
    assert_eq!(both(&by_url, "SELECT 'yes'"), "yes");

    let folder = tempfile::tempdir().unwrap();
    let services = folder.path().join("services");
    std::fs::write(&services, format!("[here]\nhost={socket}\nport={port}\nuser=postgres\ndbname=template1\n"))
        .unwrap();
    let service = parameters(&[("PGSERVICE", "here"), ("PGSERVICEFILE", services.to_str().unwrap())]);
    assert_eq!(both(&service, "SELECT current_database()::text"), "template1");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut variables = server.login();
    let (hosts, ports) = ("127.0.0.1,localhost", format!("{closed},{port}"));
    variables.retain(|(name, _)| *name != "PGHOST" && *name != "PGPORT");
    variables.extend([("PGHOST", hosts), ("PGPORT", ports.as_str())]);
    let (_client, narrowed) = connect_narrowed(&parameters(&variables)).unwrap();
    assert_eq!(narrowed.describe(), format!("postgres@localhost:{port}/postgres"));
    let url = format!("{}?target_session_attrs=standby", server.get("DATABASE_URL"));
    assert!(refusal(&parameters(&[("DATABASE_URL", &url)])).to_string().ends_with("the server is not a standby"));
}

#[test]
fn tls() {
    let server = Server::shared();
    let with = |more: &[(&'static str, &str)]| {
        let mut variables = server.login();
        let more: Vec<(&str, &str)> = more.to_vec();
        variables.extend(more);
        parameters(&variables)
    };
    let authority = server.get("VB_TEST_PG_CA");
    assert_eq!(both(&with(&[("PGSSLMODE", "disable")]), IS_ENCRYPTED), "false");
    assert_eq!(both(&with(&[("PGSSLMODE", "require")]), IS_ENCRYPTED), "true");
    assert_eq!(both(&with(&[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", authority)]), IS_ENCRYPTED), "true");

    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.crt");
    make_self_signed(&wrong);
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = refusal(&with(&[("PGSSLMODE", mode), ("PGSSLROOTCERT", wrong.to_str().unwrap())]));
        assert!(error.to_string().contains("the server's certificate is not trusted"), "{mode}: {error}");
        assert_eq!(error.kind(), ErrorKind::Denied);
    }
    let prefer = with(&[("PGSSLMODE", "prefer"), ("PGSSLROOTCERT", wrong.to_str().unwrap())]);
    assert_eq!(both(&prefer, IS_ENCRYPTED), "true", "prefer does not verify");

    // The certificate bears localhost and 127.0.0.1, not this name.
    let named = [("PGHOST", "other.example"), ("PGHOSTADDR", "127.0.0.1"), ("PGSSLROOTCERT", authority)];
    assert_eq!(both(&with(&[&named[..], &[("PGSSLMODE", "verify-ca")]].concat()), IS_ENCRYPTED), "true");
    let error = refusal(&with(&[&named[..], &[("PGSSLMODE", "verify-full")]].concat()));
    assert!(error.to_string().contains("the server's certificate is not trusted"), "{error}");
}

#[test]
fn channel_binding() {
    let server = Server::shared();
    let with = |binding: &str, mode: &str| {
        let url = format!("{}?channel_binding={binding}&sslmode={mode}", server.get("DATABASE_URL"));
        parameters(&[("DATABASE_URL", &url)])
    };
    for (binding, mode) in [("require", "require"), ("prefer", "disable"), ("disable", "require")] {
        assert_eq!(both(&with(binding, mode), "SELECT 'yes'"), "yes", "{binding} {mode}");
    }
    let unbound = with("require", "disable");
    assert_eq!(connect(&unbound).err().unwrap().kind(), ErrorKind::Denied);
    assert_eq!(RawConnection::open(&unbound).unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn a_self_signed_certificate_that_is_trusted_itself() {
    let server = Server::start();
    let mut admin = connect(&parameters(&[("DATABASE_URL", server.get("DATABASE_URL"))])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.crt");
    make_self_signed(&own);
    let with = |mode: &str, host: &str| {
        let mut variables = server.login();
        let own = own.to_str().unwrap();
        variables.extend([("PGSSLMODE", mode), ("PGSSLROOTCERT", own), ("PGHOST", host), ("PGHOSTADDR", "127.0.0.1")]);
        parameters(&variables)
    };
    assert_eq!(refusal(&with("verify-ca", "localhost")).kind(), ErrorKind::Denied);

    let used: String = admin.query_one("SHOW ssl_cert_file", &[]).unwrap().get(0);
    std::fs::copy(own.with_extension("key"), Path::new(&used).with_extension("key")).unwrap();
    std::fs::copy(&own, &used).unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while connect(&with("verify-ca", "localhost")).is_err() {
        assert!(Instant::now() < deadline, "the server did not take the new certificate");
    }
    assert_eq!(both(&with("verify-full", "localhost"), IS_ENCRYPTED), "true");
    assert_eq!(both(&with("verify-ca", "other.example"), IS_ENCRYPTED), "true");
    assert_eq!(refusal(&with("verify-full", "other.example")).kind(), ErrorKind::Denied);
}

#[test]
fn what_is_not_there() {
    let server = Server::shared();
    let mut variables = server.login();
    variables.push(("PGDATABASE", "absent"));
    let error = refusal(&parameters(&variables));
    assert!(error.to_string().ends_with("/absent: database \"absent\" does not exist"), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refusal(&parameters(&[("DATABASE_URL", &format!("postgres://u@127.0.0.1:{closed}/d"))]));
    assert_eq!(error.to_string(), format!("connecting to u@127.0.0.1:{closed}/d: connection refused"));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = refusal(&parameters(&[("DATABASE_URL", "postgres://u@%2Fnonexistent/d")]));
    assert_eq!(error.to_string(), "connecting to u@/nonexistent:5432/d: no such file or directory");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = refusal(&parameters(&[("DATABASE_URL", "postgres://u@host.invalid/d")]));
    assert_eq!(error.to_string(), "connecting to u@host.invalid:5432/d: the host host.invalid cannot be resolved");
    assert!(error.hint().is_some());
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u@{}/d?connect_timeout=1", listener.local_addr().unwrap());
    let start = Instant::now();
    let error = refusal(&parameters(&[("DATABASE_URL", &url)]));
    assert!(error.to_string().ends_with("/d: connection timed out"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    drop(listener);
}

#[test]
fn a_server_without_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answers = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().unwrap();
            socket.read_exact(&mut [0; 8]).unwrap();
            socket.write_all(b"N").unwrap();
        }
    });
    let error = refusal(&parameters(&[("DATABASE_URL", &format!("postgres://u@{address}/d?sslmode=require"))]));
    assert!(error.to_string().ends_with("/d: the server does not offer TLS"), "{error}");
    answers.join().unwrap();
}

/// Every byte of a COPY up to ReadyForQuery, by reads of this size.
fn drain(copy: &mut CopyOut, size: usize) -> Vec<u8> {
    let mut buffer = vec![0; size];
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"Z\0\0\0\x05I") {
        let count = copy.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "the server closed the connection");
        bytes.extend_from_slice(&buffer[..count]);
    }
    bytes
}

#[test]
fn raw_copies() {
    let server = Server::shared();
    let socket =
        [("PGHOST", server.get("VB_TEST_PG_SOCKET")), ("PGPORT", server.get("PGPORT")), ("PGUSER", "postgres")];
    let tls = server.login();
    let plain = [&tls[..], &[("PGSSLMODE", "disable")]].concat();
    for variables in [&socket[..], &tls, &plain] {
        let mut raw = RawConnection::open(&parameters(variables)).unwrap();
        raw.execute("BEGIN; SET LOCAL work_mem = '1MB'; COMMIT").unwrap();
        let error = raw.execute("SELECT * FROM absent").unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::NotFound, "relation \"absent\" does not exist")
        );
        raw.execute("CREATE TEMP TABLE t AS SELECT n, repeat('x', 50) AS x FROM generate_series(1, 20000) n").unwrap();
        let error = raw.execute("COPY t FROM STDIN").unwrap_err();
        assert!(error.to_string().contains("no rows here"), "{error}");

        let mut copy = raw.copy_out("COPY (SELECT 'ab') TO STDOUT").unwrap();
        let expected = [&b"d\0\0\0\x07ab\n"[..], b"c\0\0\0\x04", b"C\0\0\0\x0bCOPY 1\0", b"Z\0\0\0\x05I"].concat();
        assert_eq!(drain(&mut copy, 7), expected);
        let mut copy = copy.into_connection().copy_out("COPY t TO STDOUT (FORMAT binary)").unwrap();
        let large = drain(&mut copy, 256 << 10);
        assert!(large.len() > 20000 * 60 && large.ends_with(b"COPY 20000\0Z\0\0\0\x05I"));
        let raw = copy.into_connection();
        assert_eq!(raw.copy_out("SELECT 1").unwrap_err().to_string(), "the server's answer is out of order");
    }
}

#[test]
fn a_copy_is_cancelled() {
    let server = Server::shared();
    for mode in ["disable", "require"] {
        let mut variables = server.login();
        variables.push(("PGSSLMODE", mode));
        let raw = RawConnection::open(&parameters(&variables)).unwrap();
        let mut copy = raw.copy_out("COPY (SELECT generate_series(1, 1000000000000)) TO STDOUT").unwrap();
        let cancel = copy.cancel_handle();
        let thread = std::thread::spawn(move || cancel.cancel());
        let (mut buffer, mut tail) = (vec![0; 64 << 10], Vec::new());
        while !tail.windows(5).any(|window| window == b"57014") {
            let count = copy.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "the server closed the connection");
            tail.drain(..tail.len().saturating_sub(5));
            tail.extend_from_slice(&buffer[..count]);
        }
        thread.join().unwrap().unwrap();
    }
}
