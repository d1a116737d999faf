//! Pages in Chromium: one of the browser key's origin calls through the relay and nothing else; one of
//! another origin gets nothing.

use serde_json::Value;
use turn_tests::foreign::Visitor;
use turn_tests::system::{HttpRequest, HttpResponse, Inbox, Letter, http_get};

use crate::{APP, Issuing, PAGE_KEY, SECOND, Terms};

/// Two browsers may start on a busy machine.
const LIMIT: u32 = 90;

/// Calls itself: both sides are in one page, each with credentials of its own, and may use nothing but
/// the relay. `ICE_SERVERS` is what makes `iceServers`.
const CALLER: &str = r#"<!doctype html><title>call</title><script type="module">
const report = (value) => fetch("/", { method: "POST", body: JSON.stringify(value) });
try {
  const connect = async () => {
    const peerConfiguration = { iceTransportPolicy: "relay" };
    ICE_SERVERS
    return new RTCPeerConnection(peerConfiguration);
  };
  const [left, right] = [await connect(), await connect()];
  for (const [one, other] of [[left, right], [right, left]])
    one.onicecandidate = ({ candidate }) => candidate && other.addIceCandidate(candidate);
  const channel = left.createDataChannel("call");
  right.ondatachannel = ({ channel }) =>
    channel.onmessage = ({ data }) => channel.send(`${data}, and hello back`);
  const answer = new Promise((resolve, reject) => {
    channel.onmessage = ({ data }) => resolve(data);
    left.onconnectionstatechange = () => left.connectionState === "failed" && reject("failed");
    setTimeout(() => reject("nothing in a minute"), 60000);
  });
  channel.onopen = () => channel.send("hello");
  await left.setLocalDescription();
  await right.setRemoteDescription(left.localDescription);
  await right.setLocalDescription();
  await left.setRemoteDescription(right.localDescription);
  const heard = await answer;
  const stats = await left.getStats();
  const transport = [...stats.values()].find(({ type }) => type === "transport");
  const pair = stats.get(transport.selectedCandidatePairId);
  const kinds = [pair.localCandidateId, pair.remoteCandidateId].map((id) => stats.get(id).candidateType);
  const { iceServers } = left.getConfiguration();
  await report({ heard, kinds, iceServers });
} catch (error) {
  await report({ failure: String(error) });
}
</script>"#;

/// As Metered documents it for pages, with another URL and key.
const METERED: &str = r#"
    const response = await fetch("BASE/api/v1/turn/credentials?apiKey=KEY");
    const iceServers = await response.json();
    peerConfiguration.iceServers = iceServers"#;

/// Ours.
const OWN: &str = r#"
    const response = await fetch("BASE/v1/credentials", { headers: { "X-Api-Key": "KEY" } });
    peerConfiguration.iceServers = (await response.json()).iceServers;"#;

/// Tries all that a page can try, and tells what it saw of the answers.
const THIEF: &str = r#"<!doctype html><title>thief</title><script type="module">
const saw = [];
const attempt = async (path, options) => {
  try {
    const response = await fetch(`BASE${path}`, options);
    saw.push(`${response.type} ${response.status} ${await response.text()}`);
  } catch (error) {
    saw.push(`blocked ${error.name}`);
  }
};
for (const path of ["/v1/credentials?apiKey=KEY", "/api/v1/turn/credentials?apiKey=KEY", "/turn?key=KEY"]) {
  await attempt(path);
  await attempt(path, { mode: "no-cors" });
  await attempt(path, { method: "POST", mode: "no-cors" });
  await attempt(path, { credentials: "include" });
}
await attempt("/v1/credentials", { headers: { "X-Api-Key": "KEY" } });
await attempt("/v1/credentials", { headers: { Authorization: "Bearer SERVER" } });
await attempt("/v1/turn/keys/app/credentials/generate-ice-servers",
  { method: "POST", headers: { Authorization: "Bearer SERVER" } });
await fetch("/", { method: "POST", body: JSON.stringify(saw) });
</script>"#;

#[test]
fn chromium_page_of_its_origin_calls_through_the_relay_with_a_browser_key() {
    call_from_a_page(OWN, false);
}

#[test]
fn chromium_page_written_for_metered_calls_through_the_relay_unchanged() {
    call_from_a_page(METERED, true);
}

#[test]
fn h23_a_browser_key_works_for_its_origins_only() {
    let issuing = Issuing::start(Terms::default());
    let own = "https://app.example.org";
    let paths = ["/v1/credentials", "/api/v1/turn/credentials", "/turn"];
    let ask = |path: &str, origin: Option<&str>| {
        let request = HttpRequest::get(format!("{path}?apiKey={PAGE_KEY}"));
        let request = match origin {
            Some(origin) => request.header("Origin", origin),
            None => request,
        };
        issuing.ask(&request)
    };
    for path in paths {
        let answer = ask(path, Some(own));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let allowed: Vec<_> = answer.header("access-control-allow-origin").collect();
        assert_eq!(allowed, [own], "{answer:?}");
        for foreign in [
            None,
            Some("null"),
            Some("https://evil.example"),
            Some("http://app.example.org"),
            Some("https://app.example.org:8443"),
            Some("https://app.example.org.evil.example"),
            Some("https://evil.app.example.org"),
            Some("https://app.example.org/"),
            Some("https://app.example.org https://evil.example"),
            Some("*"),
        ] {
            let answer = ask(path, foreign);
            assert_eq!(answer.status, 403, "{path} for {foreign:?}: {answer:?}");
            expect_nothing_to_read(&answer);
        }
    }
    // Twice is not once.
    let twice = HttpRequest::get(format!("/v1/credentials?apiKey={PAGE_KEY}"));
    let twice = issuing.ask(&twice.header("Origin", own).header("Origin", own));
    assert_eq!(twice.status, 403, "{twice:?}");
    // A preflight allows what a page of the origin may send, and nothing to another.
    let preflight = |origin| {
        let request = HttpRequest::new("OPTIONS", "/v1/credentials").header("Origin", origin);
        let request = request.header("Access-Control-Request-Method", "GET");
        issuing.ask(&request.header("Access-Control-Request-Headers", "x-api-key"))
    };
    assert_eq!(preflight(own).header("access-control-allow-origin").next(), Some(own));
    let refused = preflight("https://evil.example");
    assert_eq!(refused.status, 403, "{refused:?}");
    expect_nothing_to_read(&refused);
    // The application's key is not for pages, not even for its own.
    for origin in [own, "https://evil.example"] {
        let request = HttpRequest::get("/v1/credentials").bearer(APP.1).header("Origin", origin);
        let answer = issuing.ask(&request);
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(!answer.body.contains("username"), "{answer:?}");
    }
}

#[test]
fn h23_a_chromium_page_of_a_foreign_origin_gets_nothing() {
    let issuing = Issuing::start(Terms::default());
    let thief = filled(THIEF, &issuing);
    let seen = visit(&Inbox::start(&thief)).json();
    let seen: Vec<String> = serde_json::from_value(seen).unwrap();
    assert_eq!(seen.len(), 15, "{seen:?}");
    for saw in &seen {
        let is_hidden = saw.starts_with("blocked TypeError") || saw.trim_end() == "opaque 0";
        assert!(is_hidden, "{saw}");
    }
    // The server has said no to each that reached it, and has given out nothing.
    let metrics = http_get(issuing.metrics, "/metrics").unwrap().body;
    let issued = metrics.lines().filter(|line| line.starts_with("turn_credentials_issued_total{"));
    for line in issued {
        assert!(line.ends_with(" 0"), "{line}");
    }
    let refused = |reason: &str| {
        let reason = format!("turn_credentials_refused_total{{reason=\"{reason}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&reason)).map(str::to_owned)
    };
    // What browsers ask without an Origin is refused too; where there is a preflight or another
    // method, no key is looked at.
    assert_eq!(refused("foreign_origin").as_deref(), Some("7"), "{metrics}");
    assert_eq!(refused("no_origin").as_deref(), Some("3"), "{metrics}");
}

/// Both ways to ask, over plain HTTP or TLS, in a page of the key's origin.
fn call_from_a_page(ice_servers: &str, over_tls: bool) {
    // The page must know the door, and the door the page's origin: the page comes first.
    let page = Inbox::later();
    let origin = page.origin();
    let terms = Terms { over_tls, origin: &origin, more: "host = \"127.0.0.1\"" };
    let issuing = Issuing::start(terms);
    page.show(&filled(&CALLER.replace("ICE_SERVERS", ice_servers), &issuing));
    let report = visit(&page).json();
    assert_eq!(report.get("failure"), None, "{report}");
    let heard = report.get("heard").and_then(Value::as_str);
    assert_eq!(heard, Some("hello, and hello back"), "{report}");
    let kinds: Vec<_> = report.get("kinds").and_then(Value::as_array).unwrap().clone();
    assert_eq!(kinds, ["relay", "relay"], "{report}");
    let names = report.get("iceServers").and_then(Value::as_array).unwrap().iter();
    let names: Vec<_> =
        names.filter_map(|it| it.get("username")?.as_str()).filter(|it| !it.is_empty()).collect();
    assert!(names.iter().all(|name| name.contains(":web-")) && !names.is_empty(), "{report}");
}

fn visit(page: &Inbox) -> Letter {
    let mut visitor = Visitor::without_camera(&format!("{}/", page.origin()));
    for _ in 0..LIMIT {
        if let Some(letter) = page.next(SECOND) {
            return letter;
        }
        assert!(visitor.is_there(), "the browser has gone: {}", visitor.last_words());
    }
    panic!("the page never reported: {}", visitor.last_words())
}

fn filled(page: &str, issuing: &Issuing) -> String {
    page.replace("BASE", &issuing.url()).replace("SERVER", APP.1).replace("KEY", PAGE_KEY)
}

/// Nothing that a browser would let a page read, and no credential at all.
fn expect_nothing_to_read(answer: &HttpResponse) {
    let head = answer.head.to_ascii_lowercase();
    assert!(!head.contains("access-control-allow"), "{answer:?}");
    for word in ["username", "credential\":", "password"] {
        assert!(!answer.body.contains(word), "{answer:?}");
    }
}
