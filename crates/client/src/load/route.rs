//! The ways of flows: from where to where.

use super::{Direction, Plan};

/// The way of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Up { client: usize, peer: usize },
    Down { peer: usize, client: usize },
    Pair { from: usize, to: usize },
}

/// Where something arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Client(usize),
    Peer(usize),
}

impl Route {
    /// Whether this is where its packets belong.
    pub(crate) fn ends_at(self, place: Place) -> bool {
        match self {
            Self::Up { peer, .. } => place == Place::Peer(peer),
            Self::Down { client, .. } | Self::Pair { to: client, .. } => {
                place == Place::Client(client)
            }
        }
    }
}

/// The flows of a plan, in the order in which they send.
pub(crate) fn routes(plan: &Plan) -> Vec<Route> {
    let peer_of = |client: usize| client.checked_rem(plan.peers).unwrap_or(0);
    let of_client = |client: usize| {
        let up = Route::Up { client, peer: peer_of(client) };
        let down = Route::Down { peer: peer_of(client), client };
        let pair = Route::Pair { from: client, to: client ^ 1 };
        let (first, second) = match plan.direction {
            Direction::Up => (up, None),
            Direction::Down => (down, None),
            Direction::Both => (up, Some(down)),
            Direction::Pairs => (pair, None),
        };
        [Some(first), second].into_iter().flatten()
    };
    (0..plan.allocations).flat_map(of_client).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_of_pairs_cross_and_those_of_both_alternate() {
        let plan = Plan { direction: Direction::Pairs, allocations: 4, ..Plan::default() };
        let pair = |from, to| Route::Pair { from, to };
        assert_eq!(routes(&plan), [pair(0, 1), pair(1, 0), pair(2, 3), pair(3, 2)]);
        let plan = Plan { direction: Direction::Both, allocations: 3, peers: 2, ..plan };
        let up = |client, peer| Route::Up { client, peer };
        let down = |client, peer| Route::Down { peer, client };
        assert_eq!(
            routes(&plan),
            [up(0, 0), down(0, 0), up(1, 1), down(1, 1), up(2, 0), down(2, 0)]
        );
    }

    #[test]
    fn packet_counts_only_where_its_flow_ends() {
        let (up, pair) = (Route::Up { client: 1, peer: 0 }, Route::Pair { from: 0, to: 1 });
        assert!(up.ends_at(Place::Peer(0)) && pair.ends_at(Place::Client(1)));
        assert!(!up.ends_at(Place::Client(1)) && !up.ends_at(Place::Peer(1)));
        assert!(!pair.ends_at(Place::Client(0)));
    }
}
