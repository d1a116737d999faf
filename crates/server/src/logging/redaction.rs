//! The one wrapper through which names of users and addresses of clients and peers reach the log.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

use turn_config::{Log, Privacy};

/// What the log may show; `log.users` and `log.addresses`, changed by reloads.
///
/// Hashes are keyed at start: the same user or address is the same word for as long as the server
/// runs, and nobody can look it up afterwards.
#[derive(Debug)]
pub struct Redaction {
    users: AtomicU8,
    addresses: AtomicU8,
    key: RandomState,
}

/// An address on its way to the log.
pub struct Shown<'a> {
    what: What,
    privacy: Privacy,
    key: &'a RandomState,
}

enum What {
    Client(SocketAddr),
    Peer(IpAddr),
}

impl Redaction {
    /// As `log` says.
    pub fn new(log: &Log) -> Self {
        let redaction =
            Self { users: AtomicU8::new(0), addresses: AtomicU8::new(0), key: RandomState::new() };
        redaction.apply(log);
        redaction
    }

    /// As `log` says, from now on.
    pub fn apply(&self, log: &Log) {
        self.users.store(code(log.users), Ordering::Relaxed);
        self.addresses.store(code(log.addresses), Ordering::Relaxed);
    }

    /// A user's name. It goes into a field as text, which both formats of the log escape: one record
    /// is one line `[H29]`.
    pub fn user(&self, name: &str) -> String {
        match privacy(&self.users) {
            Privacy::Full => name.to_owned(),
            Privacy::Hashed => hashed(self.key.hash_one(name)),
            Privacy::Off => HIDDEN.to_owned(),
        }
    }

    /// A client's transport address.
    pub fn client(&self, client: SocketAddr) -> Shown<'_> {
        self.shown(What::Client(client))
    }

    /// A peer's address.
    pub fn peer(&self, peer: IpAddr) -> Shown<'_> {
        self.shown(What::Peer(peer))
    }

    /// Peers' addresses, one after the other with commas between.
    pub fn peers(&self, peers: &[IpAddr]) -> String {
        peers.iter().map(|peer| self.peer(*peer).to_string()).collect::<Vec<_>>().join(",")
    }

    /// Whether addresses are shown as they are.
    pub fn shows_addresses(&self) -> bool {
        privacy(&self.addresses) == Privacy::Full
    }

    fn shown(&self, what: What) -> Shown<'_> {
        Shown { what, privacy: privacy(&self.addresses), key: &self.key }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.privacy {
            Privacy::Off => f.write_str(HIDDEN),
            Privacy::Hashed => {
                // Without its port: one client is one word.
                let address = match self.what {
                    What::Client(client) => client.ip(),
                    What::Peer(peer) => peer,
                };
                f.write_str(&hashed(self.key.hash_one(address.to_canonical())))
            }
            Privacy::Full => match self.what {
                What::Client(client) => client.fmt(f),
                What::Peer(peer) => peer.fmt(f),
            },
        }
    }
}

/// What stands for something that is not told.
const HIDDEN: &str = "-";

fn hashed(hash: u64) -> String {
    format!("{:08x}", hash >> 32)
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn code(privacy: Privacy) -> u8 {
    match privacy {
        Privacy::Full => 0,
        Privacy::Hashed => 1,
        Privacy::Off => 2,
    }
}

fn privacy(code: &AtomicU8) -> Privacy {
    match code.load(Ordering::Relaxed) {
        0 => Privacy::Full,
        1 => Privacy::Hashed,
        _ => Privacy::Off,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn full_shows_all() {
        let redaction = Redaction::new(&Log::default());
        assert_eq!(redaction.user("ann"), "ann");
        assert_eq!(redaction.client(client(1)).to_string(), "192.0.2.1:1");
        assert_eq!(redaction.peers(&[client(1).ip(), client(2).ip()]), "192.0.2.1,192.0.2.1");
    }

    #[test]
    fn hashed_is_one_word_of_eight_digits_for_a_user_and_for_an_address_whatever_its_port() {
        let redaction = Redaction::new(&with(Privacy::Hashed));
        let word = redaction.user("ann");
        assert!(word.len() == 8 && word.chars().all(|digit| digit.is_ascii_hexdigit()), "{word}");
        assert_eq!(redaction.user("ann"), word);
        assert_ne!(redaction.user("bob"), word);
        let of = |port| redaction.client(client(port)).to_string();
        assert_eq!(of(1), of(2));
        assert_eq!(of(1), redaction.peer(client(1).ip()).to_string());
        assert_ne!(Redaction::new(&with(Privacy::Hashed)).user("ann"), word);
    }

    #[test]
    fn off_shows_nothing_and_a_reload_changes_it() {
        let redaction = Redaction::new(&with(Privacy::Off));
        assert_eq!(redaction.user("ann"), "-");
        assert!(!redaction.shows_addresses());
        redaction.apply(&Log::default());
        assert_eq!(redaction.client(client(7)).to_string(), "192.0.2.1:7");
    }

    fn with(privacy: Privacy) -> Log {
        Log { users: privacy, addresses: privacy, ..Log::default() }
    }

    fn client(port: u16) -> SocketAddr {
        format!("192.0.2.1:{port}").parse().unwrap()
    }
}
