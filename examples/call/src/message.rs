//! What the page and the server say to each other, each a JSON text with a `type`.
//!
//! Descriptions and candidates are handed on as they are; what is in them is the browsers' matter.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest message that is read; a description with many candidates is some 10 KiB.
pub(crate) const MOST_BYTES: usize = 64 * 1024;

/// From a page.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum FromPage {
    /// Enters a room.
    Join {
        /// Its name.
        room: String,
    },
    /// A description for the other side.
    Offer {
        /// As `RTCSessionDescription` has it.
        sdp: String,
    },
    /// The answer to it.
    Answer {
        /// As `RTCSessionDescription` has it.
        sdp: String,
    },
    /// A candidate for the other side; null where there are no more.
    Candidate {
        /// As `RTCIceCandidate.toJSON` has it.
        candidate: Value,
    },
    /// How the call does.
    Report(Report),
    /// Leaves the room.
    Leave {},
}

/// What a page sees of its call, as `getStats` has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    local: Kind,
    remote: Kind,
    /// How the page reaches the relay, or else its peer.
    protocol: Protocol,
    bytes_received: u64,
    bytes_sent: u64,
    round_trip_ms: f64,
    /// Of the other side's picture; 0 before the first.
    width: u32,
    height: u32,
    /// Lines of its candidate list.
    candidates: u32,
}

/// Kinds of candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Host,
    Srflx,
    Prflx,
    Relay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Udp,
    Tcp,
    Tls,
}

impl Report {
    /// Whether it tells of the same kind of way as another.
    pub(crate) fn is_same_pair(&self, other: &Self) -> bool {
        (self.local, self.remote, self.protocol) == (other.local, other.remote, other.protocol)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} to {:?} over {:?}, {} bytes received, {} sent, round trip {:.0} ms, picture {}x{}, candidates: {}",
            self.local,
            self.remote,
            self.protocol,
            self.bytes_received,
            self.bytes_sent,
            self.round_trip_ms,
            self.width,
            self.height,
            self.candidates,
        )
    }
}

/// To a page.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum ToPage {
    /// It is in the room.
    Joined {
        /// Whether somebody else is there already, who waits for an offer.
        others: bool,
        /// For `RTCPeerConnection`.
        #[serde(rename = "iceServers")]
        ice_servers: Value,
    },
    /// Somebody came, and will send an offer.
    PeerJoined,
    /// The other side has gone.
    PeerLeft,
    /// From the other side.
    Offer {
        /// As it was sent.
        sdp: String,
    },
    /// From the other side.
    Answer {
        /// As it was sent.
        sdp: String,
    },
    /// From the other side.
    Candidate {
        /// As it was sent.
        candidate: Value,
    },
    /// What was asked for is not possible.
    Error {
        /// For people.
        text: String,
    },
}

impl ToPage {
    /// The JSON text.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self::Error { text: text.into() }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_page_are_read_and_others_are_not() {
        for text in [
            r#"{"type":"join","room":"blue"}"#,
            r#"{"type":"offer","sdp":"v=0"}"#,
            r#"{"type":"candidate","candidate":null}"#,
            r#"{"type":"candidate","candidate":{"candidate":"candidate:1","sdpMid":"0"}}"#,
            r#"{"type":"leave"}"#,
        ] {
            assert!(serde_json::from_str::<FromPage>(text).is_ok(), "{text}");
        }
        for text in [r#"{"type":"joined"}"#, r#"{"type":"join"}"#, "[]", r#"{"type":"report"}"#] {
            assert!(serde_json::from_str::<FromPage>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_handed_on_has_the_type_that_it_came_with() {
        let offer = ToPage::Offer { sdp: "v=0".to_owned() };
        assert_eq!(offer.text(), r#"{"type":"offer","sdp":"v=0"}"#);
        assert_eq!(ToPage::PeerLeft.text(), r#"{"type":"peer-left"}"#);
    }

    #[test]
    fn a_report_is_one_line_of_numbers_and_known_words() {
        let text = r#"{"type":"report","local":"relay","remote":"relay","protocol":"udp",
            "bytesReceived":5,"bytesSent":7,"roundTripMs":1.6,"width":640,"height":480,"candidates":2}"#;
        let FromPage::Report(report) = serde_json::from_str(text).unwrap() else {
            panic!("another message")
        };
        let line = "Relay to Relay over Udp, 5 bytes received, 7 sent, round trip 2 ms, picture 640x480, candidates: 2";
        assert_eq!(report.to_string(), line);
        let forged = text.replace("\"relay\"", "\"relay\\n\"");
        assert!(serde_json::from_str::<FromPage>(&forged).is_err());
    }
}
