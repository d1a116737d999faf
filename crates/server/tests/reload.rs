//! Reloads of a running server: all or nothing, and said.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::SystemTime;

use common::{Site, allocate, free_port, head};
use rcgen::{CertificateParams, KeyPair};
use turn_client::{Client, Credentials, TlsOptions};
use turn_engine::{RealmId, TenantId};

const ANN: &str = "[auth]\nusers = { ann = 'a password of ann' }\n";
const BOB: &str = "[auth]\nusers = { bob = 'a password of bob' }\n";

#[test]
fn r18_users_change_and_who_has_an_allocation_keeps_it() {
    let head = head(free_port());
    let site = Site::start(&format!("{head}{ANN}"));
    let (mut ann, _) = site.allocate("ann", "a password of ann").unwrap();
    site.write(&format!("{head}{BOB}"));
    let report = site.reload().unwrap();
    assert!(report.changed.iter().any(|key| key.starts_with("auth.users")), "{report:?}");
    assert!(report.needs_restart.is_empty(), "{report:?}");
    assert!(site.allocate("ann", "a password of ann").is_err());
    site.allocate("bob", "a password of bob").unwrap();
    ann.refresh(std::time::Duration::from_secs(600)).unwrap();
    // Nothing more to change.
    let again = site.reload().unwrap();
    assert_eq!((again.changed.len(), again.needs_restart.len()), (0, 0));
}

#[test]
fn r18_a_file_with_a_mistake_changes_nothing() {
    let head = head(free_port());
    let site = Site::start(&format!("{head}{ANN}"));
    let before = site.running.config();
    let mistakes = [
        format!("{head}{BOB}nonce_lifetime = 5\n"),
        format!(
            "{head}{BOB}[tls]\ncertificates = [{{ certificate = 'no.pem', key = 'no.key' }}]\n"
        ),
        format!("{head}[auth]\nusers = {{ bob = \"a\\u0007b\" }}\n"),
        "not toml".to_owned(),
    ];
    for text in mistakes {
        site.write(&text);
        let errors = site.reload().unwrap_err();
        assert!(!errors.is_empty() && !errors.join("").contains("password of"), "{errors:?}");
        assert_eq!(*site.running.config(), *before);
        site.allocate("ann", "a password of ann").unwrap();
        assert!(site.allocate("bob", "a password of bob").is_err());
    }
    std::fs::remove_file(&site.path).unwrap();
    assert!(site.reload().unwrap_err().join("").contains("turnserver.toml"));
}

#[test]
fn a_public_address_that_is_written_anew_is_told_from_then_on() {
    let head = head(free_port());
    let site = Site::start(&format!("{head}{ANN}"));
    let (mut old, allocation) = site.allocate("ann", "a password of ann").unwrap();
    let told = |allocation: &turn_client::Allocation| allocation.relayed.ip().to_string();
    assert_eq!(told(&allocation), "127.0.0.1");
    for public in ["203.0.113.1", "203.0.113.2"] {
        let relay = format!("[relay]\nexternal = ['{public}=127.0.0.1']");
        site.write(&format!("{}{ANN}", head.replace("[relay]", &relay)));
        let report = site.reload().unwrap();
        assert_eq!((report.changed, report.needs_restart), (vec!["relay.external".into()], vec![]));
        let (_new, allocation) = site.allocate("ann", "a password of ann").unwrap();
        assert_eq!(told(&allocation), public);
        let reach = site.running.server().reach();
        assert!(
            reach.iter().all(|reach| reach.hosts.iter().any(|host| host == public)),
            "{reach:?}"
        );
    }
    old.refresh(std::time::Duration::from_secs(600)).unwrap();
}

#[test]
fn what_needs_a_restart_is_said_and_the_rest_is_applied() {
    let head = head(free_port());
    let site = Site::start(&format!("{head}{ANN}"));
    let other = head.replace("shards = 2", "shards = 1");
    site.write(&format!("{other}{BOB}"));
    for _ in 0..2 {
        let report = site.reload().unwrap();
        assert_eq!(report.needs_restart, ["shards"]);
    }
    assert_eq!(site.running.server().fleet().shards(), 2);
    site.allocate("bob", "a password of bob").unwrap();
}

#[test]
fn realms_and_tenants_keep_their_numbers() {
    let port = free_port();
    let head = head(port).replace("shards = 2", "shards = 2\nrealm = 'a.example'");
    let two = format!(
        "{head}[auth]\nsecrets = [{{ secret = 'a secret of app', tenant = 'app' }}, {{ secret = 'a secret of web', tenant = 'web' }}]\n\
         [realms.'b.example'.auth]\nusers = {{ ann = 'a password of ann' }}\n"
    );
    let site = Site::start(&two);
    let secret =
        |text: &str| Credentials::shared_secret(text.as_bytes(), &format!("{}:ann", hour()));
    let (mut of_web, _) = allocate(site.address(), secret("a secret of web")).unwrap();
    let one = format!(
        "{head}[auth]\nsecrets = [{{ secret = 'a secret of web', tenant = 'web' }}]\n\
         [realms.'c.example'.auth]\nusers = {{ ann = 'a password of ann' }}\n"
    );
    site.write(&one);
    site.reload().unwrap();
    let registry = site.running.server().registry();
    assert_eq!(registry.realm("c.example"), Some(RealmId(2)));
    assert_eq!(registry.tenant(RealmId(0), "web"), Some(TenantId(1)));
    of_web.refresh(std::time::Duration::from_secs(600)).unwrap();
    let rows = site.run(turn_admin::Control::allocations(&*site.running));
    assert_eq!(rows.first().unwrap().tenant.as_deref(), Some("web"));
    assert!(allocate(site.address(), secret("a secret of app")).is_err());
    allocate(site.address(), secret("a secret of web")).unwrap();
}

#[test]
fn other_certificate_files_are_served_from_then_on() {
    let port = free_port();
    let directory = tempfile::tempdir().unwrap();
    let roots = ["one", "two"].map(|name| certificate(directory.path(), name));
    let text = |name: &str| {
        let file =
            |kind: &str| directory.path().join(format!("{name}.{kind}")).display().to_string();
        let head = head(port).replace("[relay]", "transports = ['tls']\n[relay]");
        let tls = format!(
            "[tls]\ncertificates = [{{ certificate = '{}', key = '{}' }}]\n",
            file("pem"),
            file("key")
        );
        format!("{head}{ANN}{tls}")
    };
    let site = Site::start(&text("one"));
    let serves = |root: &[u8]| {
        let options = TlsOptions::new("turn.example", vec![root.to_vec()]);
        let local = "127.0.0.1:0".parse().unwrap();
        Client::connect_tls(local, site.address(), &options, Credentials::anonymous()).is_ok()
    };
    assert!(serves(&roots[0]) && !serves(&roots[1]));
    site.write(&text("two"));
    let report = site.reload().unwrap();
    assert!(report.changed.iter().any(|key| key.starts_with("tls")), "{report:?}");
    common::until("the new certificate", || serves(&roots[1]));
    assert!(!serves(&roots[0]));
    let figures = site.run(turn_admin::Control::metrics(&*site.running));
    assert_eq!((figures.reloads.applied, figures.certificate_reloads.applied), (1, 1));
    assert!(figures.tls.took.count() >= 2);
}

#[test]
fn a_file_of_coturns_is_reloaded_too() {
    let port = free_port();
    let text = |user: &str| {
        format!(
            "listening-ip=127.0.0.1\nlistening-port={port}\nrealm=a.example\nlt-cred-mech\n\
             user={user}:a password of {user}\nallow-loopback-peers\nno-tls\nno-dtls\n"
        )
    };
    let site = Site::with_name("turnserver.conf", &text("ann"));
    site.allocate("ann", "a password of ann").unwrap();
    site.write(&text("bob"));
    site.reload().unwrap();
    site.allocate("bob", "a password of bob").unwrap();
    assert!(site.allocate("ann", "a password of ann").is_err());
}

/// An hour from now, as time-limited names have it.
fn hour() -> u64 {
    turnserver::clock::unix_seconds(SystemTime::now()) + 3_600
}

fn certificate(directory: &std::path::Path, name: &str) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["turn.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    certificate.der().to_vec()
}
