//! `turnutils_uclient`: the client that operators judge a TURN server by.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::process::{Running, coturn};

/// A run of `turnutils_uclient`, to be put together and then run.
///
/// It asks for RTP and RTCP pairs (EVEN-PORT, RESERVATION-TOKEN) unless told otherwise, and sends
/// through channels.
#[derive(Debug, Clone)]
pub struct Uclient {
    server: SocketAddr,
    arguments: Vec<OsString>,
}

/// What `turnutils_uclient` said at its end.
#[derive(Debug, Clone)]
pub struct UclientReport {
    /// Messages sent, over all of its clients.
    pub sent: u64,
    /// Messages that came back.
    pub received: u64,
    /// Messages that it counts as lost; `None` when it never came to its totals.
    pub lost: Option<u64>,
    /// Messages that it could not send.
    pub send_dropped: Option<u64>,
    /// Its exit code; `None` when a signal ended it.
    pub exit: Option<i32>,
    /// Whether it was stopped because its time was over.
    pub timed_out: bool,
    /// All that it wrote.
    pub output: String,
}

impl Uclient {
    /// A run against a server, with coturn's defaults: one client, five messages of 100 bytes.
    pub fn new(server: SocketAddr) -> Self {
        let uclient = Self { server, arguments: Vec::new() };
        uclient.option("-p", server.port().to_string())
    }

    /// Long-term credentials.
    #[must_use]
    pub fn user(self, name: &str, password: &str) -> Self {
        self.option("-u", name).option("-w", password)
    }

    /// Time-limited credentials, made from the shared secret by the client itself.
    #[must_use]
    pub fn shared_secret(self, userid: &str, secret: &str) -> Self {
        self.option("-u", userid).option("-W", secret)
    }

    /// Where the echo peer is.
    #[must_use]
    pub fn peer(self, peer: SocketAddr) -> Self {
        self.option("-e", peer.ip().to_string()).option("-r", peer.port().to_string())
    }

    /// Its clients send to each other's relayed addresses (`-y`); the address is a peer address
    /// that the server accepts.
    #[must_use]
    pub fn client_to_client(self, address: IpAddr) -> Self {
        self.flag("-y").option("-e", address.to_string())
    }

    /// Send indications instead of channels (`-s`).
    #[must_use]
    pub fn send_indications(self) -> Self {
        self.flag("-s")
    }

    /// No RTCP beside each RTP allocation (`-c`).
    #[must_use]
    pub fn without_rtcp(self) -> Self {
        self.flag("-c")
    }

    /// The server over TCP (`-t`).
    #[must_use]
    pub fn tcp(self) -> Self {
        self.flag("-t")
    }

    /// TLS over TCP, DTLS over UDP (`-S`).
    #[must_use]
    pub fn secure(self) -> Self {
        self.flag("-S")
    }

    /// TCP to the peers too (`-T`, RFC 6062), over relayed addresses of its own clients; implies
    /// `-t`, `-y` and `-c`. The address is a peer address that the server accepts.
    #[must_use]
    pub fn tcp_relay(self, address: IpAddr) -> Self {
        self.flag("-T").option("-e", address.to_string())
    }

    /// IPv6 relayed addresses (`-x`).
    #[must_use]
    pub fn ipv6(self) -> Self {
        self.flag("-x")
    }

    /// How many clients (`-m`); with RTCP the two of a pair count as two.
    #[must_use]
    pub fn clients(self, count: u32) -> Self {
        self.option("-m", count.to_string())
    }

    /// How many messages each client sends (`-n`).
    #[must_use]
    pub fn messages(self, count: u32) -> Self {
        self.option("-n", count.to_string())
    }

    /// How many bytes a message has (`-l`).
    #[must_use]
    pub fn length(self, bytes: u32) -> Self {
        self.option("-l", bytes.to_string())
    }

    /// The gap between two messages of a client (`-z`), in milliseconds; 20 by default.
    #[must_use]
    pub fn interval_ms(self, milliseconds: u32) -> Self {
        self.option("-z", milliseconds.to_string())
    }

    /// Any other option that takes no value, as `-x`, `-X` or `-g`.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(flag.into());
        self
    }

    /// Any other option with its value.
    #[must_use]
    pub fn option(mut self, option: &str, value: impl Into<OsString>) -> Self {
        self.arguments.push(option.into());
        self.arguments.push(value.into());
        self
    }

    /// Runs it, at most this long.
    ///
    /// # Panics
    /// When coturn's tools are not there.
    pub fn run(&self, limit: Duration) -> UclientReport {
        let mut command = coturn("turnutils_uclient");
        command.args(&self.arguments).arg(self.server.ip().to_string());
        let finished = Running::start(&mut command).finish(limit);
        UclientReport {
            sent: last_number(&finished.output, "tot_send_msgs=").unwrap_or(0),
            received: last_number(&finished.output, "tot_recv_msgs=").unwrap_or(0),
            lost: last_number(&finished.output, "Total lost packets "),
            send_dropped: last_number(&finished.output, "total send dropped "),
            exit: finished.exit,
            timed_out: finished.timed_out,
            output: finished.output,
        }
    }
}

impl UclientReport {
    /// Asserts that it ended well and that every message came back, this many of them.
    ///
    /// # Panics
    /// When that is not so, with all that the client wrote.
    #[track_caller]
    pub fn expect_all_back(&self, messages: u64) {
        let as_expected = self.exit == Some(0)
            && self.lost == Some(0)
            && self.send_dropped == Some(0)
            && (self.sent, self.received) == (messages, messages);
        assert!(as_expected, "{messages} messages should have come back: {self:#?}");
    }
}

/// The number after the last place where a label stands.
fn last_number(output: &str, label: &str) -> Option<u64> {
    let (_, rest) = output.rsplit_once(label)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
3: : start_mclient: msz=2, tot_send_msgs=10, tot_recv_msgs=10, tot_send_bytes ~ 1700
4: : start_mclient: tot_send_msgs=20, tot_recv_msgs=19
4: : Total lost packets 1 (5.000000%), total send dropped 2 (0.000000%)";

    #[test]
    fn the_last_totals_count() {
        assert_eq!(last_number(OUTPUT, "tot_send_msgs="), Some(20));
        assert_eq!(last_number(OUTPUT, "tot_recv_msgs="), Some(19));
        assert_eq!(last_number(OUTPUT, "Total lost packets "), Some(1));
        assert_eq!(last_number(OUTPUT, "total send dropped "), Some(2));
    }

    #[test]
    fn an_output_without_totals_has_no_number() {
        assert_eq!(last_number("0: : ERROR: Cannot complete Allocation", "lost "), None);
    }
}
