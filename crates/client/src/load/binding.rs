//! Binding requests, whose transaction ids are stamps.

use std::net::SocketAddr;

use turn_codec::{Class, Message, MessageWriter, Method, TransactionId};
use turn_udp::Destination;

use super::drive::Exchange;
use super::sockets::Sockets;
use super::stamp::{Clock, Stamp};
use super::tally::Tally;
use super::{Ends, LoadError, Plan};

/// Clients that ask in turn.
#[derive(Debug)]
pub(crate) struct Bindings {
    sockets: Sockets,
    clients: usize,
    server: Destination,
    turn: usize,
    clock: Clock,
}

impl Bindings {
    pub(crate) fn new(ends: &Ends, plan: &Plan, clock: Clock) -> Result<Self, LoadError> {
        Ok(Self {
            sockets: Sockets::bind(SocketAddr::new(ends.clients, 0), plan.allocations, false)?,
            clients: plan.allocations,
            server: Destination::to(ends.server),
            turn: 0,
            clock,
        })
    }
}

impl Exchange for Bindings {
    fn send(&mut self, count: u64, _: &mut Tally) -> Result<u64, LoadError> {
        let mut refused = 0;
        for _ in 0..count {
            let flow = u32::try_from(self.turn).unwrap_or(u32::MAX);
            let stamp = Stamp { flow, left: self.clock.now() };
            let mut buffer = [0; turn_codec::HEADER_LEN];
            let id = TransactionId::new(stamp.to_bytes());
            let request = MessageWriter::new(&mut buffer, Class::Request, Method::BINDING, id)?;
            self.sockets.send(self.turn, self.server, request.finish());
            self.turn = (self.turn + 1).checked_rem(self.clients).unwrap_or(0);
            // The next request would join to a train.
            if self.clients == 1 {
                refused += self.sockets.flush();
            }
        }
        Ok(count.saturating_sub(refused + self.sockets.flush()))
    }

    fn receive(&mut self, tally: &mut Tally) -> Result<(), LoadError> {
        let clock = self.clock;
        let received = self.sockets.receive(|client, bytes| {
            let answer = Message::parse(bytes)
                .ok()
                .filter(|it| (it.class(), it.method()) == (Class::Success, Method::BINDING));
            let stamp = answer.and_then(|it| Stamp::read(it.transaction_id().as_bytes()));
            match stamp {
                Some(Stamp { flow, left }) if usize::try_from(flow) == Ok(client) => {
                    tally.arrived(left, clock.now());
                }
                Some(_) | None => tally.stray += 1,
            }
        });
        Ok(received?)
    }
}
