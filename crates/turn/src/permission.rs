//! Permissions: which addresses may send to an allocation.
//!
//! RFC 8656 section 9. The key is the address, ports do not count `[P1]`. A
//! permission lives 300 s and only CreatePermission or ChannelBind refreshes
//! it `[P2]`. Expired entries are passed over when they are compared, and
//! swept when room is needed.

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// RFC 8656 section 9: "The Permission Lifetime MUST be 300 seconds".
pub const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);

/// The permissions of one allocation: a short list, searched from its start.
#[derive(Debug, Default)]
pub(crate) struct Permissions {
    entries: Vec<Permission>,
}

#[derive(Debug)]
struct Permission {
    peer: IpAddr,
    expires_at: Instant,
}

impl Permissions {
    /// Installs or refreshes the permission of `peer`.
    pub(crate) fn install(&mut self, peer: IpAddr, now: Instant) {
        // [P2]
        let expires_at = now + PERMISSION_LIFETIME;
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.peer == peer) {
            entry.expires_at = expires_at;
            return;
        }
        self.entries.retain(|entry| entry.expires_at > now);
        if self.entries.capacity() == 0 {
            // Most allocations have one: a Vec would begin with four.
            self.entries.reserve_exact(1);
        }
        self.entries.push(Permission { peer, expires_at });
    }

    /// Whether these peers fit beside the live ones; those that are there
    /// already take no room.
    pub(crate) fn has_room(&self, peers: &[IpAddr], most: Option<u32>, now: Instant) -> bool {
        let Some(most) = most else { return true };
        let fresh = peers
            .iter()
            .enumerate()
            .filter(|(at, peer)| {
                !self.is_live(**peer, now) && !peers.iter().take(*at).any(|other| other == *peer)
            })
            .count();
        // [H22]
        self.live(now) + fresh <= most as usize
    }

    pub(crate) fn is_live(&self, peer: IpAddr, now: Instant) -> bool {
        self.entries.iter().any(|entry| entry.peer == peer && entry.expires_at > now)
    }

    pub(crate) fn live(&self, now: Instant) -> usize {
        self.entries.iter().filter(|entry| entry.expires_at > now).count()
    }

    /// The addresses, some of which may have expired.
    pub(crate) fn peers(&self) -> impl Iterator<Item = IpAddr> {
        self.entries.iter().map(|entry| entry.peer)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(IpAddr) -> bool) {
        self.entries.retain(|entry| keep(entry.peer));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn p2_permission_lives_exactly_300_seconds() {
        let start = Instant::now();
        let mut permissions = Permissions::default();
        permissions.install(peer(1), start);
        assert!(permissions.is_live(peer(1), start + Duration::from_millis(299_999)));
        assert!(!permissions.is_live(peer(1), start + Duration::from_secs(300)));
        assert!(!permissions.is_live(peer(2), start));
    }

    #[test]
    fn h22_refresh_of_a_live_permission_takes_no_room() {
        let start = Instant::now();
        let mut permissions = Permissions::default();
        permissions.install(peer(1), start);
        assert!(permissions.has_room(&[peer(1), peer(1)], Some(1), start));
        assert!(!permissions.has_room(&[peer(2)], Some(1), start));
        assert!(permissions.has_room(&[peer(2), peer(2)], Some(2), start));
        assert!(permissions.has_room(&[peer(2)], Some(1), start + PERMISSION_LIFETIME));
        assert!(permissions.has_room(&[peer(2)], None, start));
    }
}
