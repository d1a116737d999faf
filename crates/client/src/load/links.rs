//! The ways of all clients to the server, over whatever transport.

use std::net::SocketAddr;

use turn_udp::Destination;

use super::connected::Connected;
use super::sockets::Sockets;
use super::streams::Streams;
use super::{Ends, LoadError, Plan, Transport};
use crate::TlsOptions;

/// One link for each client, by number.
#[derive(Debug)]
pub(crate) enum Links {
    /// Few clients, of whom each has several packets in a batch.
    Batches {
        sockets: Box<Sockets>,
        server: Destination,
    },
    /// Many clients, of whom each has one.
    Datagrams(Connected),
    Streams(Streams),
}

/// As many clients as this have several packets each in a batch of 64.
const FEW: usize = 16;

impl Links {
    /// Opens one for each allocation.
    pub(crate) fn open(ends: &Ends, plan: &Plan) -> Result<Self, LoadError> {
        let local = SocketAddr::new(ends.clients, 0);
        let streams =
            |tls: Option<&TlsOptions>| Streams::connect(local, ends.server, plan.allocations, tls);
        Ok(match plan.transport {
            Transport::Udp if plan.train > 1 || plan.allocations <= FEW => Self::Batches {
                sockets: Box::new(Sockets::bind(local, plan.allocations, plan.train > 1)?),
                server: Destination::to(ends.server),
            },
            Transport::Udp => {
                Self::Datagrams(Connected::bind(local, ends.server, plan.allocations)?)
            }
            Transport::Tcp => Self::Streams(streams(None)?),
            Transport::Tls => {
                let options = TlsOptions::trusting_anybody(ends.server.ip().to_string());
                Self::Streams(streams(Some(&options))?)
            }
        })
    }

    /// Whether a request that is lost must be sent again.
    pub(crate) const fn is_reliable(&self) -> bool {
        match self {
            Self::Batches { .. } | Self::Datagrams(_) => false,
            Self::Streams(_) => true,
        }
    }

    /// Puts a message in line.
    pub(crate) fn send(&mut self, client: usize, message: &[u8]) -> Result<(), LoadError> {
        match self {
            Self::Batches { sockets, server } => sockets.send(client, *server, message),
            Self::Datagrams(sockets) => sockets.send(client, message),
            Self::Streams(streams) => streams.send(client, message)?,
        }
        Ok(())
    }

    /// Says that what follows on this link comes later: a stream writes what is in line, as a
    /// client does that sends a packet at a time.
    pub(crate) fn end_train(&mut self, client: usize) -> Result<(), LoadError> {
        match self {
            Self::Batches { .. } | Self::Datagrams(_) => Ok(()),
            Self::Streams(streams) => Ok(streams.flush_one(client)?),
        }
    }

    /// Sends what is in line, and says how many messages were not taken.
    pub(crate) fn flush(&mut self) -> Result<u64, LoadError> {
        match self {
            Self::Batches { sockets, .. } => Ok(sockets.flush()),
            Self::Datagrams(sockets) => Ok(sockets.refused()),
            Self::Streams(streams) => {
                streams.flush()?;
                Ok(0)
            }
        }
    }

    /// Hands over what has arrived, with the number of its client.
    pub(crate) fn receive(&mut self, each: impl FnMut(usize, &[u8])) -> Result<(), LoadError> {
        match self {
            Self::Batches { sockets, .. } => Ok(sockets.receive(each)?),
            Self::Datagrams(sockets) => Ok(sockets.receive(each)?),
            Self::Streams(streams) => Ok(streams.receive(each)?),
        }
    }
}
