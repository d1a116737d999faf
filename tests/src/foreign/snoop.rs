//! A page of somebody else's in the operator's browser, which tries what a page can try.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::browser::Browser;
use super::signalling::Signalling;

/// A request of the page, as its `fetch` takes it.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// Where to.
    pub url: String,
    /// As `GET`.
    pub method: &'static str,
    /// `cors`, or `no-cors` for what a form could send too.
    pub mode: &'static str,
    /// Headers, each name with its value.
    pub headers: Vec<(&'static str, String)>,
}

/// How long the browser may take.
const LIMIT: Duration = Duration::from_secs(60);

const ROLE: &str = "snoop";

/// What the page saw of each answer: its type, status and text, as `cors 200 ...`; `opaque 0` where it
/// may not see it, and `blocked` where the browser did not even ask or hid the answer.
///
/// # Panics
/// When the browser does not report.
pub fn snoop(attempts: &[Attempt]) -> Vec<String> {
    let configuration = serde_json::to_string(attempts).expect("attempts are plain data");
    let pages = Signalling::start(IpAddr::V4(Ipv4Addr::LOCALHOST), configuration);
    let pages = pages.expect("the page's server starts");
    let url = format!("{}/snoop", pages.origin());
    let mut browser = Browser::open(&url, &pages.origin(), &[], &[]);
    let end = Instant::now() + LIMIT;
    while browser.is_running() && Instant::now() < end {
        if let Some(report) = pages.result(ROLE, Duration::from_millis(500)) {
            return serde_json::from_str(&report).expect("the page reports strings");
        }
    }
    panic!("the page never reported; its browser said:\n{}", browser.last_words())
}
