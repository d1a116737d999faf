//! A call between two Chromium processes that may use nothing but the relay.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::browser::Browser;
use super::signalling::Signalling;

const CALLER: &str = "caller";
const CALLEE: &str = "callee";

/// How long a call may take beside what its scenario asks for: two browsers start on a busy
/// machine, and Chromium gathers for up to 40 s where a server does not answer.
const LIMIT: Duration = Duration::from_secs(90);

/// What the two sides do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// A data channel: so many random bytes each way, with their hashes.
    DataChannel {
        /// Bytes each way.
        bytes: u32,
    },
    /// Audio and video from fake devices, both ways.
    Media {
        /// How long it goes on after the first payload.
        duration: Duration,
    },
    /// The caller alone gathers candidates until it is done.
    Gather,
}

/// A call to be made: ICE servers, a scenario, and where the browsers run.
#[derive(Debug, Clone)]
pub struct Call {
    scenario: Scenario,
    caller: Side,
    callee: Side,
    pages: IpAddr,
    authorities: Vec<String>,
}

#[derive(Debug, Clone)]
struct Side {
    ice_servers: Value,
    launcher: Vec<String>,
}

/// What the two sides saw.
#[derive(Debug, Clone)]
pub struct CallReport {
    /// The side that offered.
    pub caller: SideReport,
    /// The side that answered; `None` where the scenario needs one side only.
    pub callee: Option<SideReport>,
}

/// What one side saw.
#[derive(Debug, Clone, Deserialize)]
pub struct SideReport {
    /// The local candidates; relay candidates, as the policy allows no others.
    pub candidates: Vec<Candidate>,
    /// What went wrong with a server.
    pub candidate_errors: Vec<CandidateError>,
    /// The pair in use at the last look.
    pub selected: Option<Selected>,
    /// How often another pair took its place.
    pub selected_changes: i64,
    /// From the page's start to the connected state.
    pub connected_after_ms: Option<u64>,
    /// Bytes that the transport received.
    pub bytes_received: u64,
    /// Bytes that the transport sent.
    pub bytes_sent: u64,
    /// Bytes of media or of the data channel that arrived.
    pub payload_received: u64,
    /// The longest time between two looks, 250 ms apart, at which more media had arrived.
    pub longest_gap_ms: f64,
    /// The longest time for which looks showed that no media arrived.
    pub longest_standstill_ms: f64,
    /// The hash of what it sent over the data channel, in hex.
    pub sent_sha256: Option<String>,
    /// The hash of what it received over the data channel, in hex.
    pub received_sha256: Option<String>,
    /// Why it gave up.
    pub failure: Option<String>,
}

/// A candidate as the page sees it.
#[derive(Debug, Clone, Deserialize)]
pub struct Candidate {
    /// `relay`, `srflx`, `prflx` or `host`.
    pub kind: String,
    /// `udp` or `tcp`.
    pub protocol: String,
    /// Its address.
    pub address: Option<String>,
    /// Its port.
    pub port: u16,
    /// How the client reaches the server, `udp`, `tcp` or `tls`: known of the selected pair's own
    /// side.
    #[serde(default)]
    pub relay_protocol: Option<String>,
    /// The server that it came from.
    #[serde(default)]
    pub url: Option<String>,
}

/// An `icecandidateerror`.
#[derive(Debug, Clone, Deserialize)]
pub struct CandidateError {
    /// The STUN error code, or 701 when the server was not reached.
    pub code: u16,
    /// Its reason phrase.
    pub text: String,
    /// The server.
    pub url: String,
}

/// The selected candidate pair.
#[derive(Debug, Clone, Deserialize)]
pub struct Selected {
    /// Our side.
    pub local: Candidate,
    /// The other side.
    pub remote: Candidate,
    /// The last round trip of a connectivity check.
    pub round_trip_ms: f64,
}

impl Call {
    /// A call in which both sides use the same `iceServers`, a JSON array as pasted into
    /// `RTCPeerConnection`.
    ///
    /// # Panics
    /// When that is no JSON.
    pub fn new(ice_servers: &str, scenario: Scenario) -> Self {
        let ice_servers = serde_json::from_str(ice_servers).expect("the ICE servers are JSON");
        let side = Side { ice_servers, launcher: Vec::new() };
        let pages = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { scenario, caller: side.clone(), callee: side, pages, authorities: Vec::new() }
    }

    /// Other `iceServers` for the callee.
    ///
    /// # Panics
    /// When that is no JSON.
    #[must_use]
    pub fn callee_ice_servers(mut self, ice_servers: &str) -> Self {
        self.callee.ice_servers =
            serde_json::from_str(ice_servers).expect("the ICE servers are JSON");
        self
    }

    /// Installs an authority, a certificate in PEM, that both browsers then trust for `turns:`.
    #[must_use]
    pub fn trusting(mut self, authority: &str) -> Self {
        self.authorities.push(authority.to_owned());
        self
    }

    /// Runs the browsers in network namespaces; both must reach `pages`, an address of the
    /// namespace of this test, where the signalling server listens.
    #[must_use]
    pub fn in_namespaces(mut self, caller: &str, callee: &str, pages: IpAddr) -> Self {
        let launcher = |name: &str| ["ip", "netns", "exec", name].map(str::to_owned).to_vec();
        self.caller.launcher = launcher(caller);
        self.callee.launcher = launcher(callee);
        self.pages = pages;
        self
    }

    /// Makes the call and waits for both sides' reports.
    ///
    /// # Panics
    /// When a side does not report in time; with what its browser wrote.
    pub fn run(&self) -> CallReport {
        let signalling = Signalling::start(self.pages, self.configuration().to_string())
            .expect("the signalling server starts");
        let open = |role: &str, side: &Side| {
            let (url, origin) = (signalling.url(role), signalling.origin());
            Browser::open(&url, &origin, &side.launcher, &self.authorities)
        };
        let mut caller = open(CALLER, &self.caller);
        let mut callee = self.has_callee().then(|| open(CALLEE, &self.callee));
        let deadline = Instant::now() + LIMIT + self.scenario.duration();
        CallReport {
            caller: wait(&signalling, CALLER, &mut caller, deadline),
            callee: callee.as_mut().map(|callee| wait(&signalling, CALLEE, callee, deadline)),
        }
    }

    /// What the pages read.
    fn configuration(&self) -> Value {
        let mut configuration = match self.scenario {
            Scenario::DataChannel { bytes } => json!({ "scenario": "data", "bytes": bytes }),
            Scenario::Media { duration } => {
                json!({ "scenario": "media", "seconds": duration.as_secs_f64() })
            }
            Scenario::Gather => json!({ "scenario": "gather" }),
        };
        if let Some(object) = configuration.as_object_mut() {
            let servers =
                json!({ CALLER: self.caller.ice_servers, CALLEE: self.callee.ice_servers });
            object.insert("ice_servers".to_owned(), servers);
        }
        configuration
    }

    fn has_callee(&self) -> bool {
        match self.scenario {
            Scenario::DataChannel { .. } | Scenario::Media { .. } => true,
            Scenario::Gather => false,
        }
    }
}

impl CallReport {
    /// Both sides, or the one there is.
    pub fn sides(&self) -> impl Iterator<Item = &SideReport> {
        [Some(&self.caller), self.callee.as_ref()].into_iter().flatten()
    }

    /// Asserts that no side failed, that the selected pair is relay to relay on both and never
    /// changed, and that bytes flowed both ways.
    ///
    /// # Panics
    /// When that is not so.
    #[track_caller]
    pub fn expect_relayed(&self) {
        self.expect_relayed_over_any_pair();
        for side in self.sides() {
            assert_eq!(side.selected_changes, 0, "{self:#?}");
        }
    }

    /// The same, but that a side may go over to a better pair, as it may where it has several
    /// relay candidates.
    ///
    /// # Panics
    /// When that is not so.
    #[track_caller]
    pub fn expect_relayed_over_any_pair(&self) {
        for side in self.sides() {
            assert_eq!(side.failure, None, "{self:#?}");
            let selected = side.selected.as_ref().expect("a pair is selected");
            let kinds = [selected.local.kind.as_str(), selected.remote.kind.as_str()];
            assert_eq!(kinds, ["relay", "relay"], "{self:#?}");
            assert!(side.bytes_received > 0 && side.bytes_sent > 0, "{self:#?}");
        }
    }

    /// Asserts that what each side sent over the data channel is what the other received.
    ///
    /// # Panics
    /// When that is not so.
    #[track_caller]
    pub fn expect_same_hashes(&self) {
        let callee = self.callee.as_ref().expect("a data channel has two sides");
        for (from, to) in [(&self.caller, callee), (callee, &self.caller)] {
            assert!(from.sent_sha256.is_some(), "{self:#?}");
            assert_eq!(from.sent_sha256, to.received_sha256, "{self:#?}");
        }
    }
}

impl Scenario {
    /// The time that it takes by itself.
    fn duration(self) -> Duration {
        match self {
            Self::Media { duration } => duration,
            Self::DataChannel { .. } | Self::Gather => Duration::ZERO,
        }
    }
}

fn wait(signalling: &Signalling, role: &str, browser: &mut Browser, end: Instant) -> SideReport {
    // In short steps: a browser that has died will never report.
    while browser.is_running() && Instant::now() < end {
        if let Some(report) = signalling.result(role, Duration::from_millis(500)) {
            return serde_json::from_str(&report)
                .unwrap_or_else(|error| panic!("the {role}'s report: {error}: {report}"));
        }
        thread::yield_now();
    }
    panic!("the {role} never reported; its browser said:\n{}", browser.last_words())
}
