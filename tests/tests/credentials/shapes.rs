//! Every shape of the answer, read by programs as the makers of each document it, opens the relay.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use turn_tests::foreign::Running;
use turn_tests::system::{HttpRequest, HttpResponse, IceServer};

use crate::{APP, Issuing, PAGE_KEY, SECOND, Terms};

/// What node runs.
const CLIENTS: &str = include_str!("shapes.mjs");

/// UDP, TCP and TLS.
const RELAYS: usize = 3;

#[test]
fn every_shape_over_plain_http_opens_the_relay() {
    every_shape_opens_the_relay(false);
}

#[test]
fn every_shape_over_tls_opens_the_relay() {
    every_shape_opens_the_relay(true);
}

fn every_shape_opens_the_relay(over_tls: bool) {
    let issuing = Issuing::start(Terms { over_tls, ..Terms::default() });
    let mut command = Command::new("node");
    command.args(["--input-type=module", "--eval", CLIENTS, "--"]);
    command.args([issuing.url().as_str(), APP.0, APP.1]);
    command.env("NODE_EXTRA_CA_CERTS", issuing.authority_file());
    let finished = Running::start(&mut command).finish(30 * SECOND);
    let configurations: BTreeMap<String, Value> = serde_json::from_str(&finished.output)
        .unwrap_or_else(|error| panic!("{error}: {}", finished.output));
    assert_eq!(configurations.len(), 9, "{configurations:?}");
    for (shape, servers) in &configurations {
        let servers = IceServer::read_all(servers);
        let relays = IceServer::expect_all(&servers, &issuing.tls);
        assert_eq!(relays, RELAYS, "{shape}: {servers:?}");
        let has_stun = servers.iter().flat_map(|it| &it.urls).any(|url| url.starts_with("stun:"));
        // The TURN REST draft has relays only.
        assert_eq!(has_stun, shape != "rest", "{shape}: {servers:?}");
        for server in servers.iter().filter(|server| server.username.is_some()) {
            // With another password, or as somebody else, nobody comes in.
            for (username, credential) in [
                (server.username.clone(), Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned())),
                (
                    server.username.as_ref().map(|name| format!("{name}x")),
                    server.credential.clone(),
                ),
            ] {
                let forged = IceServer { username, credential, ..server.clone() };
                let url = server.urls.iter().find(|url| url.starts_with("turn")).unwrap();
                let refused = forged.try_url(url, &issuing.tls).unwrap_err();
                assert_eq!(refused.code().map(|code| code.get()), Some(401), "{shape}");
            }
        }
    }
    for answer in each_answer(&issuing) {
        assert!([200, 201, 204].contains(&answer.status), "{answer:?}");
        let of = |name| answer.header(name).collect::<Vec<_>>();
        assert_eq!(of("cache-control"), ["no-store"], "{answer:?}");
        assert_eq!(of("set-cookie"), [""; 0], "{answer:?}");
        assert!(of("vary").iter().any(|it| it.eq_ignore_ascii_case("origin")), "{answer:?}");
        assert_eq!(of("access-control-allow-origin"), [""; 0], "{answer:?}");
        let is_json = of("content-type") == ["application/json"];
        assert!(is_json || answer.status == 204, "{answer:?}");
    }
    let output = issuing.daemon.output();
    for secret in [APP.1, PAGE_KEY, "a long random text"] {
        assert!(!output.contains(secret), "{output}");
    }
}

/// One answer of each route.
fn each_answer(issuing: &Issuing) -> Vec<HttpResponse> {
    let paths = [
        "/v1/credentials",
        "/v1/credentials?format=array",
        "/v1/credentials?format=link",
        "/api/v1/turn/credentials",
        "/turn?service=turn",
    ];
    let mut asked: Vec<_> = paths.into_iter().map(HttpRequest::get).collect();
    for path in [
        "/v1/turn/keys/app/credentials/generate",
        "/v1/turn/keys/app/credentials/generate-ice-servers",
        "/2010-04-01/Accounts/app/Tokens.json",
    ] {
        asked.push(HttpRequest::new("POST", path));
    }
    asked.into_iter().map(|request| issuing.ask(&request.bearer(APP.1))).collect()
}
