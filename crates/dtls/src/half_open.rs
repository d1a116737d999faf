//! The handshakes that have not ended yet, oldest first.
//!
//! A plain list, since it is short: [`Limits::half_open`] bounds it.
//!
//! [`Limits::half_open`]: crate::Limits::half_open

use std::net::IpAddr;
use std::time::Instant;

use crate::name::SessionId;

/// What limits count as one source: an IPv4 address or an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Prefix {
    V4([u8; 4]),
    V6([u16; 4]),
}

impl Prefix {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// The half-open sessions of a shard.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen {
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: SessionId,
    prefix: Prefix,
    deadline: Instant,
}

impl HalfOpen {
    /// Adds the youngest.
    pub(crate) fn add(&mut self, id: SessionId, prefix: Prefix, deadline: Instant) {
        self.waiting.push(Waiting { id, prefix, deadline });
    }

    pub(crate) fn remove(&mut self, id: SessionId) {
        self.waiting.retain(|each| each.id != id);
    }

    pub(crate) fn set_deadline(&mut self, id: SessionId, deadline: Instant) {
        if let Some(waiting) = self.waiting.iter_mut().find(|each| each.id == id) {
            waiting.deadline = deadline;
        }
    }

    /// The one that must give way so that a session from `prefix` may join.
    pub(crate) fn displaced(
        &self,
        prefix: Prefix,
        all: usize,
        of_prefix: usize,
    ) -> Option<SessionId> {
        let mut same = self.waiting.iter().filter(|each| each.prefix == prefix);
        let oldest_of_prefix = same.next();
        if oldest_of_prefix.is_some() && 1 + same.count() >= of_prefix {
            return oldest_of_prefix.map(|each| each.id);
        }
        if self.waiting.len() >= all { self.waiting.first().map(|each| each.id) } else { None }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|each| each.deadline).min()
    }

    pub(crate) fn due(&self, now: Instant) -> Vec<SessionId> {
        self.waiting.iter().filter(|each| each.deadline <= now).map(|each| each.id).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn id(slot: u32) -> SessionId {
        SessionId::new(slot, 0)
    }

    fn prefix(address: &str) -> Prefix {
        Prefix::of(address.parse().unwrap())
    }

    #[test]
    fn a_prefix_is_an_ipv4_address_or_a_64() {
        assert_eq!(prefix("192.0.2.1"), prefix("::ffff:192.0.2.1"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
        assert_eq!(prefix("2001:db8::1"), prefix("2001:db8::ffff:1:2"));
        assert_ne!(prefix("2001:db8::1"), prefix("2001:db8:0:1::1"));
    }

    #[test]
    fn h14_the_oldest_gives_way() {
        let now = Instant::now();
        let mut half_open = HalfOpen::default();
        let (one, two) = (prefix("192.0.2.1"), prefix("192.0.2.2"));
        half_open.add(id(0), one, now);
        half_open.add(id(1), two, now);
        half_open.add(id(2), two, now);
        assert_eq!(half_open.displaced(one, 4, 2), None);
        assert_eq!(half_open.displaced(two, 4, 2), Some(id(1)));
        assert_eq!(half_open.displaced(one, 3, 2), Some(id(0)));
        half_open.remove(id(0));
        assert_eq!(half_open.displaced(one, 3, 2), None);
        assert_eq!(half_open.displaced(one, 2, 2), Some(id(1)));
    }

    #[test]
    fn deadlines_are_found() {
        let now = Instant::now();
        let mut half_open = HalfOpen::default();
        assert_eq!(half_open.next_deadline(), None);
        half_open.add(id(0), prefix("192.0.2.1"), now + Duration::from_secs(2));
        half_open.add(id(1), prefix("192.0.2.1"), now + Duration::from_secs(1));
        assert_eq!(half_open.next_deadline(), Some(now + Duration::from_secs(1)));
        assert_eq!(half_open.due(now), []);
        assert_eq!(half_open.due(now + Duration::from_secs(1)), [id(1)]);
        half_open.set_deadline(id(1), now + Duration::from_secs(4));
        assert_eq!(half_open.next_deadline(), Some(now + Duration::from_secs(2)));
    }
}
