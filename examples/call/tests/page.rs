//! The program as its users run it, spoken to by plain HTTP and WebSocket clients.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Message, WebSocket};

const ICE_SERVERS: &str = r#"{"iceServers":[{"urls":["turn:127.0.0.1:3478?transport=udp"],"username":"ann","credential":"secret"}]}"#;

/// Every file of the page.
const FILES: [&str; 8] = [
    "/",
    "/style.css",
    "/main.js",
    "/signalling.js",
    "/media.js",
    "/call.js",
    "/candidates.js",
    "/figures.js",
];

const SOON: Duration = Duration::from_secs(10);

#[test]
fn every_file_of_the_page_comes_from_here_and_asks_for_nothing_else() {
    let server = Server::start();
    for path in FILES {
        let answer = server.get(path, "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{path}: {answer}");
        assert!(!answer.contains("http://") && !answer.contains("//unpkg"), "{path}: {answer}");
    }
    for path in ["/favicon.ico", "/../Cargo.toml", "/room/", "/page/main.js"] {
        assert!(server.get(path, "").starts_with("HTTP/1.1 404"), "{path}");
    }
}

#[test]
fn two_pages_meet_in_a_room_and_hear_each_other_only() {
    let server = Server::start();
    let mut ann = server.page();
    assert_eq!(ann.join("blue").pointer("/others"), Some(&json!(false)));
    let mut bob = server.page();
    let joined = bob.join("blue");
    assert_eq!(joined.pointer("/others"), Some(&json!(true)));
    assert_eq!(joined.pointer("/iceServers/0/username"), Some(&json!("ann")));
    let mut eve = server.page();
    eve.join("red");

    assert_eq!(ann.hear(), json!({ "type": "peer-joined" }));
    let messages = [
        json!({ "type": "offer", "sdp": "v=0" }),
        json!({ "type": "candidate", "candidate": { "candidate": "candidate:1", "sdpMid": "0" } }),
        json!({ "type": "candidate", "candidate": null }),
    ];
    for message in messages {
        bob.say(&message);
        assert_eq!(ann.hear(), message);
    }
    ann.say(&json!({ "type": "answer", "sdp": "v=1" }));
    assert_eq!(bob.hear(), json!({ "type": "answer", "sdp": "v=1" }));

    let mut late = server.page();
    assert_eq!(late.join("blue").pointer("/type"), Some(&json!("error")));
    ann.say(&json!({ "type": "leave" }));
    assert_eq!(bob.hear(), json!({ "type": "peer-left" }));
    assert_eq!(late.join("blue").pointer("/others"), Some(&json!(true)));
    // Eve has heard nothing of all that: the first that she hears is her own mistake.
    eve.say(&json!({ "type": "offer", "sdp": "v=0" }));
    assert_eq!(eve.hear().pointer("/text"), Some(&json!("nobody else is in the room")));
}

#[test]
fn a_page_that_is_gone_has_left() {
    let server = Server::start();
    let mut ann = server.page();
    ann.join("blue");
    let mut bob = server.page();
    bob.join("blue");
    assert_eq!(ann.hear(), json!({ "type": "peer-joined" }));
    drop(bob);
    assert_eq!(ann.hear(), json!({ "type": "peer-left" }));
}

#[test]
fn a_page_of_another_origin_is_not_let_in() {
    let server = Server::start();
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for origin in ["https://evil.example", "null", "http://127.0.0.1"] {
        let headers = format!("Connection: Upgrade\r\n{upgrade}Origin: {origin}\r\n");
        let answer = server.get_with("/room", &headers);
        assert!(answer.starts_with("HTTP/1.1 403"), "{origin}: {answer}");
        assert!(!answer.contains("secret"), "{answer}");
    }
    let answer = server.get_with("/room", &format!("Connection: Upgrade\r\n{upgrade}"));
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn what_is_no_message_or_too_much_of_it_harms_nobody() {
    let server = Server::start();
    let mut ann = server.page();
    ann.join("blue");
    let mut bob = server.page();
    bob.join("blue");
    ann.hear();
    for text in ["", "{", "[]", "7", r#"{"type":"joined"}"#, r#"{"type":"join","room":"../x"}"#] {
        bob.socket.send(Message::text(text)).unwrap();
        assert_eq!(bob.hear().pointer("/type"), Some(&json!("error")), "{text}");
    }
    bob.socket.send(Message::binary(vec![0; 100])).unwrap();
    assert_eq!(bob.hear().pointer("/type"), Some(&json!("error")));
    // A flood is answered with an error each, and is over when the flood is.
    for _ in 0..400 {
        bob.say(&json!({ "type": "report" }));
    }
    let answers: Vec<Value> = (0..400).map(|_| bob.hear()).collect();
    let slowed = answers.iter().filter(|answer| answer.to_string().contains("slow down")).count();
    assert!((1..=250).contains(&slowed), "{slowed}");
    // A message of more than 64 KiB ends the connection, and nobody else's.
    let long = format!(r#"{{"type":"offer","sdp":"{}"}}"#, "x".repeat(70_000));
    let _ = bob.socket.send(Message::text(long));
    assert_eq!(ann.hear(), json!({ "type": "peer-left" }));
    let mut carol = server.page();
    assert_eq!(carol.join("blue").pointer("/others"), Some(&json!(true)));
}

#[test]
fn without_credentials_a_page_is_told_why_and_nothing_secret() {
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("no-such-program");
    let server = Server::with(&["--turnserver", &missing.display().to_string()]);
    let mut page = server.page();
    let answer = page.join("blue");
    let text = answer.pointer("/text").and_then(Value::as_str).unwrap();
    assert!(text.contains("no-such-program") && text.contains("--turnserver"), "{text}");
    // Written once it is there, the file is read at the next join.
    let file = directory.path().join("ice.json");
    let server = Server::with(&["--ice-servers", &file.display().to_string()]);
    let mut page = server.page();
    assert_eq!(page.join("blue").pointer("/type"), Some(&json!("error")));
    fs::write(&file, ICE_SERVERS).unwrap();
    assert_eq!(page.join("blue").pointer("/type"), Some(&json!("joined")));
}

/// The program; dropped, it is stopped.
struct Server {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

/// A page without a browser.
struct Page {
    socket: WebSocket<TcpStream>,
}

impl Server {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("ice.json");
        fs::write(&file, ICE_SERVERS).unwrap();
        Self::launch(directory, &["--ice-servers", &file.display().to_string()])
    }

    fn with(arguments: &[&str]) -> Self {
        Self::launch(TempDir::new().unwrap(), arguments)
    }

    fn launch(directory: TempDir, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_turn-call"));
        command.args(["--http", "--listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| {
            let line = line.unwrap();
            let rest = line.trim().strip_prefix("http://localhost:")?;
            rest.strip_suffix('/').map(str::to_owned)
        });
        let address = format!("127.0.0.1:{}", line.unwrap()).parse().unwrap();
        // Read on, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, _directory: directory }
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.get_with(path, &format!("Connection: close\r\n{headers}"))
    }

    fn get_with(&self, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address).unwrap();
        // A request for an upgrade does not end the connection.
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut part) {
            answer.extend_from_slice(part.get(..length).unwrap());
            if headers.contains("Upgrade") && answer.windows(4).any(|end| end == b"\r\n\r\n") {
                break;
            }
        }
        String::from_utf8(answer).unwrap()
    }

    fn page(&self) -> Page {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut request = format!("ws://{}/room", self.address).into_client_request().unwrap();
        let origin = format!("http://{}", self.address).parse().unwrap();
        request.headers_mut().insert("Origin", origin);
        let (socket, _) = tungstenite::client(request, stream).unwrap();
        Page { socket }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Page {
    fn join(&mut self, room: &str) -> Value {
        self.say(&json!({ "type": "join", "room": room }));
        self.hear()
    }

    fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).unwrap();
    }

    /// The next message that is no ping.
    fn hear(&mut self) -> Value {
        loop {
            let message = self.socket.read().unwrap();
            if message.is_text() {
                return serde_json::from_str(message.to_text().unwrap()).unwrap();
            }
        }
    }
}
