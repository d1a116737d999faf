//! Clients with an allocation each, and a channel or a permission in it.

use std::net::SocketAddr;

use turn_udp::Destination;

use super::links::Links;
use super::packet::CHANNEL;
use super::set_up::ask_all;
use super::{Direction, Ends, LoadError, MessageKind, Plan};
use crate::{AllocateOptions, ChannelBind, CreatePermission, Credentials, Session};

/// The clients and where each of them sends to.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) links: Links,
    pub(crate) sessions: Vec<Session>,
    /// The peer of each client: in pairs the relayed transport address of another one.
    pub(crate) towards: Vec<SocketAddr>,
    pub(crate) relayed: Vec<Destination>,
}

impl Clients {
    /// Makes the allocations, and a channel or a permission in each.
    pub(crate) fn set_up(
        ends: &Ends,
        credentials: &Credentials,
        plan: &Plan,
        peers: &[SocketAddr],
    ) -> Result<Self, LoadError> {
        let mut links = Links::open(ends, plan)?;
        let first = Session::new(credentials.clone())?;
        let mut sessions: Vec<_> = (0..plan.allocations).map(|_| first.another()).collect();
        let allocations = ask_all(&mut links, &mut sessions, |_| AllocateOptions::default())?;
        let relayed: Vec<_> = allocations.iter().map(|it| it.relayed).collect();
        let towards: Vec<_> = match plan.direction {
            // Neighbours are partners.
            Direction::Pairs => {
                (0..relayed.len()).filter_map(|i| relayed.get(i ^ 1)).copied().collect()
            }
            Direction::Up | Direction::Down | Direction::Both => {
                peers.iter().copied().cycle().take(relayed.len()).collect()
            }
        };
        let peer_of = |client: usize| towards.get(client).copied().unwrap_or(ends.server);
        match plan.message {
            MessageKind::Channel => {
                let bind = |client| ChannelBind { number: CHANNEL.into(), peer: peer_of(client) };
                ask_all(&mut links, &mut sessions, bind)?;
            }
            MessageKind::Indication => {
                let permit = |client: usize| CreatePermission {
                    peers: towards.get(client..=client).unwrap_or_default(),
                };
                ask_all(&mut links, &mut sessions, permit)?;
            }
        }
        let relayed = relayed.into_iter().map(Destination::to).collect();
        Ok(Self { links, sessions, towards, relayed })
    }
}
