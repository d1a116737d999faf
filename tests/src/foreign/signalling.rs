//! The tiny HTTP server between two pages of a call: it serves the page, hands messages from one
//! to the other by long poll, and takes their results. A page on its own finds itself here too.
//!
//! One request a connection, a thread each; what a page asks for is a handful of requests a second
//! at most.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a request for messages waits for the next one.
const LONG_POLL: Duration = Duration::from_secs(10);

/// The largest body that is read.
const MAX_BODY: u64 = 1 << 20;

const PAGE: &str = include_str!("call.html");
const SCRIPT: &str = include_str!("call.js");
const SNOOP: &str = include_str!("snoop.html");

/// A server for one call.
#[derive(Debug)]
pub(super) struct Signalling {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    configuration: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// JSON texts for each role.
    messages: HashMap<String, Vec<String>>,
    /// The JSON text that each role ended with.
    results: HashMap<String, String>,
    stopped: bool,
}

impl Signalling {
    /// Starts one on an address of this machine; pages get `configuration` as JSON.
    pub(super) fn start(address: IpAddr, configuration: String) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { configuration, state: Mutex::default(), changed: Condvar::new() });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if server.lock().stopped {
                    break;
                }
                let server = Arc::clone(&server);
                let _ = stream.map(|stream| thread::spawn(move || server.serve(stream)));
            }
        });
        Ok(Self { address, shared })
    }

    /// The page of a role.
    pub(super) fn url(&self, role: &str) -> String {
        format!("http://{}/?role={role}", self.address)
    }

    /// Where pages are served, as an origin.
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a role ended with, waiting at most this long.
    pub(super) fn result(&self, role: &str, wait: Duration) -> Option<String> {
        let found = self.shared.wait(wait, |state| state.results.contains_key(role));
        found.results.get(role).cloned()
    }
}

impl Drop for Signalling {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        // Wakes the thread that waits for a connection, so that it sees the end.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let body = body(&mut reader)?;
        let Some((kind, answer)) = self.answer(method, target, body) else {
            return respond(reader.into_inner(), "404 Not Found", "text/plain", "");
        };
        respond(reader.into_inner(), "200 OK", kind, &answer)
    }

    /// The content type and body for a request.
    fn answer(&self, method: &str, target: &str, body: String) -> Option<(&'static str, String)> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let role = parameter(query, "role").unwrap_or_default();
        let json = "application/json";
        match (method, path) {
            ("GET", "/") => Some(("text/html; charset=utf-8", PAGE.to_owned())),
            ("GET", "/snoop") => Some(("text/html; charset=utf-8", SNOOP.to_owned())),
            ("GET", "/call.js") => Some(("text/javascript; charset=utf-8", SCRIPT.to_owned())),
            ("GET", "/configuration") => Some((json, self.configuration.clone())),
            ("GET", "/messages") => {
                let after = parameter(query, "after").and_then(|after| after.parse().ok())?;
                Some((json, self.messages(role, after)))
            }
            ("POST", "/messages") => {
                self.lock().messages.entry(role.to_owned()).or_default().push(body);
                self.changed.notify_all();
                Some((json, "null".to_owned()))
            }
            ("POST", "/result") => {
                // The first word counts: what comes later is an echo of the same failure.
                self.lock().results.entry(role.to_owned()).or_insert(body);
                self.changed.notify_all();
                Some((json, "null".to_owned()))
            }
            _ => None,
        }
    }

    /// The messages of a role from an index on, as a JSON array, waiting for one if there is none.
    fn messages(&self, role: &str, after: usize) -> String {
        let there = |state: &State| state.messages.get(role).is_some_and(|all| all.len() > after);
        let state = self.wait(LONG_POLL, there);
        let messages = state.messages.get(role).and_then(|all| all.get(after..)).unwrap_or(&[]);
        format!("[{}]", messages.join(","))
    }

    /// Waits until something holds, the time is over or the server is stopped.
    fn wait(&self, limit: Duration, holds: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while !holds(&state) && !state.stopped {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the headers and the body.
fn body(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = String::new();
    reader.take(length.min(MAX_BODY)).read_to_string(&mut body)?;
    Ok(body)
}

fn respond(mut stream: TcpStream, status: &str, kind: &str, body: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A parameter of a query; those of the pages need no decoding.
fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_message_reaches_the_role_that_waits_for_it() {
        let server = start();
        let origin = server.address;
        let waiting =
            thread::spawn(move || request(origin, "GET", "/messages?role=callee&after=0", ""));
        request(origin, "POST", "/messages?role=callee", r#"{"a":1}"#);
        assert!(waiting.join().unwrap().ends_with("\r\n\r\n[{\"a\":1}]"));
        request(origin, "POST", "/messages?role=callee", "2");
        let later = request(origin, "GET", "/messages?role=callee&after=1", "");
        assert!(later.ends_with("\r\n\r\n[2]"));
    }

    #[test]
    fn the_first_result_of_a_role_counts() {
        let server = start();
        assert_eq!(server.result("caller", Duration::from_millis(20)), None);
        request(server.address, "POST", "/result?role=caller", "1");
        request(server.address, "POST", "/result?role=caller", "2");
        assert_eq!(server.result("caller", Duration::from_secs(5)).as_deref(), Some("1"));
    }

    #[test]
    fn unknown_paths_are_not_found() {
        let server = start();
        assert!(request(server.address, "GET", "/favicon.ico", "").contains("404 Not Found"));
    }

    fn start() -> Signalling {
        Signalling::start(IpAddr::V4(Ipv4Addr::LOCALHOST), "{}".to_owned()).unwrap()
    }

    fn request(server: SocketAddr, method: &str, target: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(server).unwrap();
        let length = body.len();
        write!(stream, "{method} {target} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
