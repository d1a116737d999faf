//! Counters of one shard: plain adds by one writer, summed by whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};

use turn_codec::{Method, StatusCode};

use crate::auth_failure::AuthFailure;
use crate::limit_name::{self, KEYS};
use crate::outcome::DropReason;

/// The methods whose responses are counted.
const METHODS: [(Method, &str); 6] = [
    (Method::ALLOCATE, "allocate"),
    (Method::REFRESH, "refresh"),
    (Method::CREATE_PERMISSION, "create_permission"),
    (Method::CHANNEL_BIND, "channel_bind"),
    (Method::CONNECT, "connect"),
    (Method::CONNECTION_BIND, "connection_bind"),
];

/// The codes of a response; 200 stands for success.
const CODES: [u16; 17] =
    [200, 300, 400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 446, 447, 486, 500, 508];

/// Reasons in the order of their slots.
const REASONS: [(DropReason, &str); 12] = [
    (DropReason::Malformed, "malformed"),
    (DropReason::Unexpected, "unexpected"),
    (DropReason::NoAllocation, "no_allocation"),
    (DropReason::NoChannel, "no_channel"),
    (DropReason::NoPermission, "no_permission"),
    (DropReason::PeerDenied, "peer_denied"),
    (DropReason::NotRelayed, "not_relayed"),
    (DropReason::NoFamily, "no_family"),
    (DropReason::Bandwidth, "bandwidth"),
    (DropReason::NewPeers, "new_peers"),
    (DropReason::ReplyLimit, "reply_limit"),
    (DropReason::Stale, "stale"),
];

/// One shard's counters. One thread writes; any thread may read.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Allocations made.
    pub allocations_created: Count,
    /// Allocations ended.
    pub allocations_ended: Count,
    /// Datagrams relayed from clients to peers.
    pub relayed_up: Count,
    /// Payload bytes relayed from clients to peers, those of TCP connections included.
    pub relayed_up_bytes: Count,
    /// Datagrams relayed from peers to clients.
    pub relayed_down: Count,
    /// Payload bytes relayed from peers to clients, those of TCP connections included.
    pub relayed_down_bytes: Count,
    /// Datagrams from one allocation to another without a socket in between.
    pub relayed_inside: Count,
    /// Of these, the ones that went to another shard.
    pub relayed_across: Count,
    /// Names that the host was asked for.
    pub key_lookups: Count,
    /// Of these, the ones that it could not look up in time.
    pub key_lookups_unavailable: Count,
    /// Names that were not asked for, since too many requests waited already.
    pub key_lookups_full: Count,
    responses: [[Count; CODES.len()]; METHODS.len()],
    dropped: [Count; REASONS.len()],
    auth_failed: [Count; AuthFailure::ALL.len()],
    refused_by: [Count; KEYS.len()],
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Counters {
    /// Responses to `method` with `code`; 200 is success.
    pub fn responses(&self, method: Method, code: u16) -> u64 {
        self.response(method, code).map_or(0, Count::get)
    }

    /// Packets dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.reason(reason).map_or(0, Count::get)
    }

    /// Requests that did not pass for this reason.
    pub fn auth_failures(&self, reason: AuthFailure) -> u64 {
        self.auth_failure(reason).map_or(0, Count::get)
    }

    /// Refusals of each limit by its key, those that are zero included; what the host refuses
    /// itself is in [`Shared::limit_refusals`](crate::Shared::limit_refusals).
    pub fn limit_refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KEYS.into_iter().zip(self.refused_by.iter().map(Count::get))
    }

    /// Every counter that is not zero, by name, for logs and metrics.
    pub fn snapshot(&self) -> Vec<(String, u64)> {
        let plain = [
            ("allocations_created", &self.allocations_created),
            ("allocations_ended", &self.allocations_ended),
            ("relayed_up", &self.relayed_up),
            ("relayed_up_bytes", &self.relayed_up_bytes),
            ("relayed_down", &self.relayed_down),
            ("relayed_down_bytes", &self.relayed_down_bytes),
            ("relayed_inside", &self.relayed_inside),
            ("relayed_across", &self.relayed_across),
            ("key_lookups", &self.key_lookups),
            ("key_lookups_unavailable", &self.key_lookups_unavailable),
            ("key_lookups_full", &self.key_lookups_full),
        ];
        let plain = plain.into_iter().map(|(name, count)| (name.to_owned(), count.get()));
        let responses = METHODS.iter().zip(&self.responses).flat_map(|((_, method), row)| {
            CODES
                .iter()
                .zip(row)
                .map(move |(code, count)| (format!("{method}_{code}"), count.get()))
        });
        let dropped = REASONS
            .iter()
            .zip(&self.dropped)
            .map(|((_, name), count)| (format!("dropped_{name}"), count.get()));
        let auth_failed = AuthFailure::ALL
            .iter()
            .zip(&self.auth_failed)
            .map(|(reason, count)| (format!("auth_failed_{}", reason.as_str()), count.get()));
        let refused_by =
            self.limit_refusals().map(|(key, count)| (format!("refused_by_{key}"), count));
        let counted = plain.chain(responses).chain(dropped).chain(auth_failed).chain(refused_by);
        counted.filter(|(_, value)| *value > 0).collect()
    }

    pub(crate) fn count_response(&self, method: Method, code: Option<StatusCode>) {
        if let Some(count) = self.response(method, code.map_or(200, StatusCode::get)) {
            count.add(1);
        }
    }

    pub(crate) fn count_drop(&self, reason: DropReason) {
        if let Some(count) = self.reason(reason) {
            count.add(1);
        }
    }

    pub(crate) fn count_limit(&self, key: &str) {
        if let Some(count) = limit_name::place(key).and_then(|place| self.refused_by.get(place)) {
            count.add(1);
        }
    }

    pub(crate) fn count_auth_failure(&self, reason: AuthFailure) {
        if let Some(count) = self.auth_failure(reason) {
            count.add(1);
        }
    }

    fn response(&self, method: Method, code: u16) -> Option<&Count> {
        let row = METHODS.iter().position(|(known, _)| *known == method)?;
        let column = CODES.iter().position(|known| *known == code)?;
        self.responses.get(row)?.get(column)
    }

    fn reason(&self, reason: DropReason) -> Option<&Count> {
        let slot = REASONS.iter().position(|(known, _)| *known == reason)?;
        self.dropped.get(slot)
    }

    fn auth_failure(&self, reason: AuthFailure) -> Option<&Count> {
        let slot = AuthFailure::ALL.iter().position(|known| *known == reason)?;
        self.auth_failed.get(slot)
    }
}

impl Count {
    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds, as the only writer: a load and a store, no locked instruction.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_names_what_was_counted_and_leaves_out_zeros() {
        let counters = Counters::default();
        counters.count_response(Method::CHANNEL_BIND, Some(StatusCode::STALE_NONCE));
        counters.count_response(Method::CHANNEL_BIND, None);
        counters.count_drop(DropReason::NoPermission);
        counters.count_auth_failure(AuthFailure::Expired);
        counters.count_limit("bandwidth_per_user");
        counters.relayed_up.add(3);
        let expected = [
            ("relayed_up", 3),
            ("channel_bind_200", 1),
            ("channel_bind_438", 1),
            ("dropped_no_permission", 1),
            ("auth_failed_expired", 1),
            ("refused_by_bandwidth_per_user", 1),
        ];
        assert_eq!(counters.snapshot(), expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(counters.responses(Method::CHANNEL_BIND, 438), 1);
        assert_eq!(counters.dropped(DropReason::NoPermission), 1);
        assert_eq!(counters.auth_failures(AuthFailure::Expired), 1);
    }
}
