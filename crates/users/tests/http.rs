//! The HTTP callback, on a server that says what the test tells it to.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use turn_credentials::LongTermKey;
use turn_users::{Store, StoreConfig, StoreError, StoredUser, open};
use zeroize::Zeroizing;

const REALM: &str = "example.org";

#[test]
fn a_password_becomes_both_keys() {
    let application = Application::start(|_| json(200, r#"{"password": "secret", "more": [1]}"#));
    let user = application.find("ann").unwrap().unwrap();
    assert!(user.md5.unwrap().ct_eq(&LongTermKey::md5("ann", REALM, "secret")));
    assert!(user.sha256.unwrap().ct_eq(&LongTermKey::sha256("ann", REALM, "secret")));
    assert_eq!((user.expires_at, user.label, user.is_managed), (None, None, false));
    let request = application.requests.recv().unwrap();
    assert!(request.head.starts_with("POST /turn-auth HTTP/1.1\r\n"), "{}", request.head);
    let head = request.head.to_ascii_lowercase();
    assert!(head.contains("\r\nauthorization: bearer t0ken\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body, serde_json::json!({"realm": REALM, "username": "ann"}));
}

#[test]
fn keys_and_limits_are_taken_over() {
    let md5 = LongTermKey::md5("ann", REALM, "secret");
    let hex: String = md5.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    let body = serde_json::json!({
        "key": hex, "label": "web", "expires_at": 1_900_000_000_u64, "allocations": 3,
        "bandwidth": 1_000_000_u64, "bandwidth_per_allocation": null,
    });
    let application = Application::start(move |_| json(200, &body.to_string()));
    let user = application.find("ann").unwrap().unwrap();
    assert!(user.md5.unwrap().ct_eq(&md5) && user.sha256.is_none());
    assert_eq!((user.expires_at, user.label.as_deref()), (Some(1_900_000_000), Some("web")));
    assert_eq!((user.limits.allocations, user.limits.bandwidth), (Some(3), Some(1_000_000)));
}

#[test]
fn only_404_is_an_unknown_user() {
    let application = Application::start(|request| match request.user().as_str() {
        "unknown" => json(404, "no such user"),
        "redirected" => {
            "HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n".into()
        }
        "empty" => json(204, ""),
        "refused" => json(403, "{}"),
        _ => json(500, r#"{"password": "secret"}"#),
    });
    assert!(application.find("unknown").unwrap().is_none());
    for user in ["redirected", "empty", "refused", "broken"] {
        let error = application.find(user).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{user}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!(application.requests.try_iter().count(), 5, "no redirect was followed");
    assert!(application.block_on(application.store.catalog()).is_err(), "it is still failing");
    assert!(application.find("unknown").unwrap().is_none());
    assert!(application.block_on(application.store.catalog()).is_ok());
    assert!(application.store.writer().is_none());
}

#[test]
fn an_answer_that_makes_no_sense_is_named_and_not_repeated() {
    let long = format!(r#"{{"password": "secret", "padding": "{}"}}"#, "x".repeat(70_000));
    let application = Application::start(move |request| match request.user().as_str() {
        "long" => json(200, &long),
        "number" => json(200, r#"{"password": 5}"#),
        "neither" => json(200, "{}"),
        "short" => json(200, r#"{"key": "secret"}"#),
        "control" => json(200, r#"{"password": "secret\u0000"}"#),
        "label" => json(200, &format!(r#"{{"password": "x", "label": "{}"}}"#, "l".repeat(300))),
        // A name that a stranger has made up must not look like an outage.
        "wrong name" => json(400, "secret"),
        "wrong, too" => json(422, "secret"),
        _ => json(200, "secret"),
    });
    let names = ["long", "number", "neither", "short", "control", "label", "text"];
    for user in names.into_iter().chain(["wrong name", "wrong, too"]) {
        let error = application.find(user).unwrap_err();
        assert!(matches!(error, StoreError::Malformed { .. }), "{user}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(error.to_string().contains(application.store.name()), "{error}");
    }
}

#[test]
fn an_application_that_does_not_answer_is_given_up() {
    let application = Application::start(|request| match request.user().as_str() {
        "slow" => {
            std::thread::sleep(Duration::from_millis(1_500));
            json(200, r#"{"password": "secret"}"#)
        }
        "endless" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".into(),
        _ => String::new(),
    });
    for user in ["slow", "closed", "endless"] {
        let start = Instant::now();
        let error = application.find(user).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{user}: {error}");
        assert!(start.elapsed() < Duration::from_millis(1_300), "{user}: {:?}", start.elapsed());
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let store = store(&format!("http://{nobody}/"), None).unwrap();
    let error = application.block_on(store.find(REALM, "ann")).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn a_server_without_tls_gets_no_token() {
    let application = Application::start(|_| json(200, "{}"));
    let url = format!("https://{}/turn-auth", application.address);
    // Without certificate authorities on this machine it is refused earlier, with a help.
    match store(&url, Some("t0ken")) {
        Ok(store) => {
            let error = application.block_on(store.find(REALM, "ann")).unwrap_err();
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        }
        Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
    }
    let seen = application.requests.try_iter().map(|request| request.head).collect::<String>();
    assert!(!seen.contains("t0ken"), "{seen}");
}

#[test]
fn an_unusable_url_or_token_is_refused_without_its_secret() {
    for (url, token) in [
        ("http://ann:hunter2@app.example/", None),
        ("http://", Some("hunter2")),
        ("http://app.example/", Some("hunter2\r\nx: y")),
    ] {
        let error = store(url, token).err().unwrap();
        assert!(matches!(error, StoreError::Url { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let store = store("http://127.0.0.1:1/turn-auth?key=hunter2", Some("hunter2")).unwrap();
    assert_eq!(store.name(), "http://127.0.0.1:1/turn-auth");
    assert!(!format!("{store:?}").contains("hunter2"));
}

/// An application that answers one request a connection.
struct Application {
    address: SocketAddr,
    store: Arc<dyn Store>,
    requests: Receiver<Request>,
    runtime: tokio::runtime::Runtime,
}

#[derive(Debug, Clone)]
struct Request {
    head: String,
    body: String,
}

impl Application {
    fn start(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let (answer, sender) = (Arc::new(answer), Arc::new(Mutex::new(sender)));
        // It ends with the process: the listener has no other end.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, sender) = (Arc::clone(&answer), Arc::clone(&sender));
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    let Some(request) = read(&stream) else { return };
                    let reply = answer(&request);
                    // The test may be over.
                    let _ = sender.lock().unwrap().send(request);
                    let _ = (&stream).write_all(reply.as_bytes());
                    if reply.ends_with('{') {
                        std::thread::sleep(Duration::from_secs(2));
                    }
                });
            }
        });
        let store = store(&format!("http://{address}/turn-auth"), Some("t0ken")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { address, store, requests, runtime }
    }

    fn find(&self, user: &str) -> Result<Option<StoredUser>, StoreError> {
        self.block_on(self.store.find(REALM, user))
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

impl Request {
    fn user(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body.get("username").unwrap().as_str().unwrap().to_owned()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
    });
    let mut body = vec![0; length?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { head, body: String::from_utf8(body).ok()? })
}

fn json(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

fn store(url: &str, token: Option<&str>) -> Result<Arc<dyn Store>, StoreError> {
    open(&StoreConfig {
        url: Zeroizing::new(url.to_owned()),
        token: token.map(|token| Zeroizing::new(token.to_owned())),
        sha256_keys: false,
    })
}
