//! Somebody's web server on an origin of its own: gives every visitor one page, and keeps whatever is
//! posted to it. It stands for a site with a page in a browser, and for a webhook.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::lab::IPV4;

/// A server; dropped, it takes no more connections.
#[derive(Debug)]
pub struct Inbox {
    address: SocketAddr,
    letters: Receiver<Letter>,
    page: Arc<Mutex<String>>,
    has_ended: Arc<AtomicBool>,
}

/// What somebody has posted.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The request line and the headers.
    pub head: String,
    /// The body.
    pub body: String,
}

/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest body that is read.
const MOST_BODY: u64 = 1 << 20;

impl Inbox {
    /// Listens on a free port of 127.0.0.1; `page` is what a visitor gets.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub fn start(page: &str) -> Self {
        let this = Self::later();
        this.show(page);
        this
    }

    /// The same with an empty page, for one that must know first where it will be.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub fn later() -> Self {
        let listener = TcpListener::bind((IPV4, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (sender, letters) = channel();
        let has_ended = Arc::new(AtomicBool::new(false));
        let page = Arc::<Mutex<String>>::default();
        let (flag, shown) = (Arc::clone(&has_ended), Arc::clone(&page));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::Relaxed) {
                    break;
                }
                let sender = sender.clone();
                let page = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let _ = stream.map(|stream| thread::spawn(move || serve(stream, &page, &sender)));
            }
        });
        Self { address, letters, page, has_ended }
    }

    /// From now on a visitor gets this page.
    pub fn show(&self, page: &str) {
        page.clone_into(&mut self.page.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Where it is, as an origin.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next that was posted, if any comes in time.
    pub fn next(&self, limit: Duration) -> Option<Letter> {
        self.letters.recv_timeout(limit).ok()
    }
}

impl Letter {
    /// Its body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection, so that it sees the end.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

fn serve(stream: TcpStream, page: &str, letters: &Sender<Letter>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
    let mut body = String::new();
    (&mut reader).take(length.min(MOST_BODY)).read_to_string(&mut body)?;
    let answer = if head.starts_with("POST ") {
        // Nobody listens any more when the test is over.
        let _ = letters.send(Letter { head, body });
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned()
    } else if head.starts_with("GET / ") {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{page}",
            page.len()
        )
    } else {
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
    };
    reader.into_inner().write_all(answer.as_bytes())
}
