//! A metadata service for tests: fixed answers to fixed requests, 404 to all others.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

pub(crate) struct FakeHttp(SocketAddr);

/// Method, path and (behind ` +`) a header in lower case that must be there; status; body.
type Route<'a> = (&'a str, u16, &'a str);

impl FakeHttp {
    pub(crate) fn start(routes: &[Route<'_>]) -> Self {
        Self::with(routes, "Metadata-Flavor: Google\r\n")
    }

    /// Without the header that shows Google's.
    pub(crate) fn plain(routes: &[Route<'_>]) -> Self {
        Self::with(routes, "")
    }

    fn with(routes: &[Route<'_>], header: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let owned = |(request, status, body): &Route<'_>| {
            ((*request).to_owned(), *status, (*body).to_owned())
        };
        let routes: Vec<_> = routes.iter().map(owned).collect();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let routes = routes.clone();
                thread::spawn(move || answer(stream.unwrap(), &routes, header));
            }
        });
        Self(address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0
    }
}

fn answer(mut stream: TcpStream, routes: &[(String, u16, String)], header: &str) {
    let lines: Vec<_> = BufReader::new(&stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_lowercase())
        .collect();
    let Some(first) = lines.first() else { return };
    let fits = |request: &str| {
        let (request, wanted) = request.split_once(" +").unwrap_or((request, ""));
        *first == format!("{} http/1.1", request.to_lowercase())
            && (wanted.is_empty() || lines.iter().any(|line| line == wanted))
    };
    let found = routes.iter().find(|(request, ..)| fits(request));
    let (status, body) = found.map_or((404, ""), |(_, status, body)| (*status, body.as_str()));
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Said\r\n{header}Content-Length: {length}\r\n\r\n");
    // The client may have gone: it reads no more than it wants.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}
