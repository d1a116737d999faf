//! A webhook for tests: a thread that answers one status after the other.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

pub(crate) struct FakeWebhook {
    address: SocketAddr,
    calls: Receiver<Call>,
}

pub(crate) struct Call {
    pub(crate) head: String,
    pub(crate) body: String,
    /// What was answered.
    pub(crate) status: u16,
}

impl FakeWebhook {
    /// Answers with each of these, and with the last one ever after.
    pub(crate) fn start(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = channel();
        let statuses = statuses.to_vec();
        thread::spawn(move || {
            let mut statuses = statuses.into_iter().peekable();
            let mut last = 500;
            for stream in listener.incoming() {
                let status = *statuses.peek().unwrap_or(&last);
                if answer(stream.unwrap(), status, &sender).is_some() {
                    last = status;
                    statuses.next();
                }
            }
        });
        Self { address, calls }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next call; waits for it.
    pub(crate) fn next(&self) -> Call {
        self.calls.recv_timeout(Duration::from_secs(20)).expect("the webhook is called")
    }

    /// Nothing more has come.
    pub(crate) fn is_quiet(&self) -> bool {
        self.calls.recv_timeout(Duration::from_millis(100)).is_err()
    }
}

/// Reads one request and answers it; nothing where it is none.
fn answer(mut stream: TcpStream, status: u16, calls: &Sender<Call>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut bytes = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let length = stream.read(&mut part).ok()?;
        if length == 0 || !matches!(bytes.first().unwrap_or(&part[0]), b'P') {
            return None;
        }
        bytes.extend_from_slice(&part[..length]);
        let text = String::from_utf8(bytes.clone()).ok()?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = format!("{head}\r\n");
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let length = lines.clone().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if body.len() < length?.1.parse().ok()? {
            continue;
        }
        let location = "Location: http://127.0.0.1:1/\r\n";
        let answer = format!(
            "HTTP/1.1 {status} Said\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).ok()?;
        calls.send(Call { head, body: body.to_owned(), status }).ok()?;
        return Some(());
    }
}
