//! What the listener lets nobody do: administer, guess, ask for more than its cap, and ask too often.

use std::cell::Cell;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use turn_client::{AllocateOptions, Credentials};
use turn_credentials::UnixSeconds;
use turn_tests::system::{HttpRequest, connect, http_unix};

use crate::{APP, Issuing, MAX_TTL, OTHER, PAGE_KEY, SECOND, Terms};

/// Another client, at another address of this machine.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Wrong keys that an address has in a minute.
const GUESSES: usize = 10;

#[test]
fn h23_no_admin_or_metrics_route_is_behind_it() {
    let issuing = Issuing::start(Terms::default());
    let description = http_unix(&issuing.socket, "GET", "/openapi.json").unwrap().json();
    let paths = description.get("paths").and_then(Value::as_object).unwrap();
    let walked = Cell::new(0);
    let expect_none = |method: &'static str, path: &str| {
        walked.set(walked.get() + 1);
        let request = HttpRequest::new(method, path);
        for request in [request.clone(), request.bearer(APP.1)] {
            // Each from an address of its own: the bucket of one would be empty.
            let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, walked.get()));
            let answer = request.from_to(from, issuing.door).unwrap();
            assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
        }
    };
    for (path, operations) in paths {
        for (verb, operation) in operations.as_object().unwrap() {
            if operation.pointer("/tags/0").and_then(Value::as_str) != Some("admin") {
                continue;
            }
            let method = ["GET", "POST", "PUT", "DELETE"].into_iter();
            let method = method.clone().find(|it| it.eq_ignore_ascii_case(verb)).unwrap();
            expect_none(method, &path.replace("{username}", "alice").replace("{id}", "0-1"));
        }
    }
    assert!(walked.get() >= 12, "the description has only {walked:?} admin routes");
    // Those of the metrics listener, and what is not described.
    for path in ["/metrics", "/healthz", "/readyz", "/version", "/status", "/", "/debug", "/v1"] {
        expect_none("GET", path);
    }
    for method in ["POST", "DELETE", "PUT", "PATCH"] {
        expect_none(method, "/drain");
        expect_none(method, "/reload");
    }
    // The other way round: nothing is given out without a key at the operator's doors.
    for path in ["/v1/credentials", "/turn", "/api/v1/turn/credentials"] {
        assert_eq!(HttpRequest::get(path).to(issuing.metrics).unwrap().status, 404, "{path}");
    }
}

#[test]
fn h23_wrong_keys_are_slowed_and_tell_nothing() {
    let issuing = Issuing::start(Terms::default());
    let guess = |request: &HttpRequest| request.to(issuing.door).unwrap();
    let near = &APP.1[..APP.1.len() - 1];
    let wrong = [
        HttpRequest::get("/v1/credentials").bearer("a-guess"),
        HttpRequest::get("/v1/credentials").bearer(near),
        HttpRequest::get("/v1/credentials").bearer(&format!("{} and more", APP.1)),
        HttpRequest::get("/v1/credentials").bearer(&APP.1.to_uppercase()),
        // The right key under the id of another one.
        HttpRequest::new("POST", "/v1/turn/keys/other/credentials/generate").bearer(APP.1),
        HttpRequest::new("POST", "/2010-04-01/Accounts/nobody/Tokens.json").bearer(APP.1),
    ];
    let mut told = Vec::new();
    for request in wrong.iter().cycle().take(GUESSES) {
        let answer = guess(request);
        assert_eq!(answer.status, 401, "{request:?}: {answer:?}");
        told.push(answer.body);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "what is wrong can be told from the answer: {told:?}");
    // Now the right key too, and nobody else's.
    for key in [APP.1, "another-guess"] {
        let answer = guess(&HttpRequest::get("/v1/credentials").bearer(key));
        assert_eq!(answer.status, 429, "{answer:?}");
        let wait: u64 = answer.header("retry-after").next().unwrap().parse().unwrap();
        assert!((1..=61).contains(&wait), "{answer:?}");
    }
    let right = HttpRequest::get("/v1/credentials").bearer(APP.1);
    assert_eq!(right.from_to(ELSEWHERE, issuing.door).unwrap().status, 200);
    // A page at that address is not made to pay, and is slowed by itself.
    let page = |key: &str| {
        let request = HttpRequest::get(format!("/v1/credentials?apiKey={key}"));
        guess(&request.header("Origin", "https://app.example.org")).status
    };
    assert_eq!(page(PAGE_KEY), 200);
    for _ in 0..GUESSES {
        assert_eq!(page("page-key-2"), 401);
    }
    assert_eq!(page(PAGE_KEY), 429);
    // Nobody has shown a key.
    assert_eq!(
        HttpRequest::get("/v1/credentials").from_to(ELSEWHERE, issuing.door).unwrap().status,
        401
    );
    let output = issuing.daemon.wait_for_output(5 * SECOND, |output| {
        output.lines().filter(|line| line.contains("ten wrong keys")).count() == 2
    });
    assert!(!output.contains("a-guess") && !output.contains("page-key-2"), "{output}");
}

#[test]
fn h23_no_credential_lives_longer_than_the_cap_or_after_its_end() {
    let issuing = Issuing::start(Terms { more: "ttl = \"1m\"", ..Terms::default() });
    let cap = MAX_TTL.to_string();
    let more = MAX_TTL + 1;
    for request in [
        HttpRequest::get(format!("/v1/credentials?ttl={more}")),
        HttpRequest::get(format!("/turn?service=turn&username=a&ttl={more}")),
        HttpRequest::post("/v1/credentials", &json!({ "ttl": more })),
        HttpRequest::post("/v1/turn/keys/app/credentials/generate", &json!({ "ttl": more })),
        HttpRequest::form("/2010-04-01/Accounts/app/Tokens.json", &format!("Ttl={more}")),
        HttpRequest::get(format!("/v1/credentials?ttl={}", u64::MAX)),
        HttpRequest::get("/v1/credentials?ttl=0"),
    ] {
        let request = request.bearer(APP.1);
        let answer = issuing.ask(&request);
        assert_eq!(answer.status, 400, "{request:?}: {answer:?}");
        assert!(answer.body.contains(&cap), "the cap is not named: {answer:?}");
    }
    for (query, expected) in [("", 60), ("?ttl=7200", MAX_TTL), ("?ttl=1", 1)] {
        let request = HttpRequest::get(format!("/v1/credentials{query}")).bearer(APP.1);
        let told = issuing.ask(&request).json();
        assert_eq!(told.get("ttl").and_then(Value::as_u64), Some(expected), "{told}");
    }
    // A page chooses nothing: user, time and tag are those of its key.
    let request = format!("/v1/credentials?apiKey={PAGE_KEY}&ttl=7200&user=admin&tag=vip");
    let request = HttpRequest::get(request).header("Origin", "https://app.example.org");
    let told = issuing.ask(&request).json();
    assert_eq!(told.get("ttl").and_then(Value::as_u64), Some(600), "{told}");
    assert!(told.to_string().contains(":web-") && !told.to_string().contains("vip"), "{told}");
    for query in
        ["user=a%23b", "user=", "user=a%0Ab", "tag=a%23b", "tag=", "format=xml", "user=%ff"]
    {
        let request = HttpRequest::get(format!("/v1/credentials?{query}")).bearer(APP.1);
        let answer = issuing.ask(&request);
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
    }

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let name = issuing.of_app("ttl=600&user=alice").username.unwrap();
    let (expiry, user) = name.split_once(':').unwrap();
    assert!((now + 600..now + 610).contains(&expiry.parse().unwrap()) && user == "alice", "{name}");
    // The same at its end, as far as clocks may differ, and after it.
    for (end, expected) in [(now - 200, None), (now - 310, Some(401))] {
        let expiry = UnixSeconds(end);
        let credentials = Credentials::time_limited(crate::SECRET, Some("alice"), expiry);
        let allocation = connect(issuing.server, credentials).allocate(&AllocateOptions::default());
        let code = allocation.err().map(|error| error.code().unwrap().get());
        assert_eq!(code, expected, "{} s after its end", now - end);
    }
}

#[test]
fn a_source_that_asks_too_often_waits_and_no_other() {
    let issuing = Issuing::start(Terms { more: "rate = \"1/s burst 3\"", ..Terms::default() });
    let request = HttpRequest::get("/v1/credentials").bearer(APP.1);
    let answers: Vec<_> = (0..6).map(|_| issuing.ask(&request)).collect();
    let taken = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((3..=4).contains(&taken), "{answers:?}");
    let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.header("retry-after").next().is_some(), "{refused:?}");
    assert_eq!(request.from_to(ELSEWHERE, issuing.door).unwrap().status, 200);
}

#[test]
fn a_reload_exchanges_keys_times_and_hosts() {
    let issuing = Issuing::start(Terms::default());
    let before = issuing.of_app("user=alice");
    let file = fs::read_to_string(issuing.file()).unwrap();
    let replaced = file
        .replace(APP.1, "the-next-key-of-the-app")
        .replace("max_ttl = \"7200s\"", "max_ttl = \"300s\"\nttl = \"5m\"\nhost = \"127.0.0.1\"")
        .replace("ttl = \"10m\"", "ttl = \"2m\"")
        .replace("https://app.example.org", "https://new.example.org");
    fs::write(issuing.file(), replaced).unwrap();
    issuing.command("reload");
    let ask = |key: &str| issuing.ask(&HttpRequest::get("/v1/credentials").bearer(key));
    assert_eq!(ask(APP.1).status, 401);
    assert_eq!(ask(OTHER.1).status, 200);
    let told = ask("the-next-key-of-the-app").json();
    assert_eq!(told.get("ttl").and_then(Value::as_u64), Some(300), "{told}");
    assert!(!told.to_string().contains(crate::NAME), "{told}");
    for (origin, status) in [("https://app.example.org", 403), ("https://new.example.org", 200)] {
        let request = HttpRequest::get(format!("/v1/credentials?apiKey={PAGE_KEY}"));
        let answer = issuing.ask(&request.header("Origin", origin));
        assert_eq!(answer.status, status, "{origin}: {answer:?}");
    }
    // What was given out is good for its time.
    before.try_url(&format!("turn:{}?transport=udp", issuing.server), &issuing.tls).unwrap();
}

#[test]
fn a_server_that_drains_gives_out_nothing() {
    let issuing = Issuing::start(Terms::default());
    let given = issuing.of_app("user=alice");
    let (name, password) = (given.username.unwrap(), given.credential.unwrap());
    let mut client = connect(issuing.server, Credentials::password(name, password));
    client.allocate(&AllocateOptions::default()).unwrap();
    issuing.command("drain");
    let start = Instant::now();
    let answer = issuing.ask(&HttpRequest::get("/v1/credentials").bearer(APP.1));
    assert_eq!(answer.status, 503, "{answer:?}");
    let told = answer.json();
    assert!(told.get("help").is_some() && !answer.body.contains("username"), "{told}");
    assert!(start.elapsed() < SECOND);
    client.refresh(600 * SECOND).unwrap();
}
