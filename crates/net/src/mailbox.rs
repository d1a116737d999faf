//! What shards say to each other and the control thread to them: messages, and
//! the wake-up for rings.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use turn_dtls::DtlsIdentity;
use turn_engine::{
    AllocationId, Claim, Engine, KeyAnswer, Moving, RealmId, Settings, ShardId, Ticket,
};

use crate::ring::RingReader;
use crate::stream::Travelling;

/// Messages that may wait. Most are caused by authenticated clients or by the
/// operator; a connection can be sent to another shard once before it has proven
/// anything, and `accepts` bounds these.
const CAPACITY: usize = 4_096;

/// A message to a shard.
#[derive(Debug)]
pub(crate) enum Message {
    /// A new ring whose other end writes to this shard.
    Ring(RingReader),
    /// Another shard's client claims a reservation of this one.
    Claim { from: ShardId, ticket: Ticket, claim: Claim },
    /// The answer to a claim: the reservation and its bound socket.
    Claimed { ticket: Ticket, moved: Option<(Moving, OwnedFd)> },
    /// A client connection whose peer is with this shard.
    TakeStream(Box<Travelling>),
    /// New settings; the sender learns when they are in force.
    Apply(Arc<Settings>, oneshot::Sender<()>),
    /// The certificate of new DTLS sessions.
    Identity(Arc<DtlsIdentity>),
    /// The server's side of new TLS connections.
    Tls(Arc<ServerConfig>),
    /// A look at the engine.
    Inspect(Inspection),
    /// An allocation is to end; the sender learns whether it lived.
    EndAllocation(AllocationId, oneshot::Sender<bool>),
    /// What a credential store says of a name.
    KeyFound { ticket: Ticket, answer: KeyAnswer },
    /// The allocations of a user in some places from the first one on are to end.
    EndAllocationsOf { whose: Arc<(RealmId, Box<str>)>, first: usize, done: oneshot::Sender<Ended> },
    /// The sender learns that the packet task has turned.
    Beat(oneshot::Sender<()>),
}

/// How many allocations have ended, and the place to go on at.
pub(crate) type Ended = (usize, Option<usize>);

/// A short look at the engine, between two packets.
pub(crate) struct Inspection(pub(crate) Box<dyn FnOnce(&Engine) + Send>);

/// The sending side of a shard's mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    messages: mpsc::Sender<Message>,
    rings: Arc<Notify>,
    stop: Arc<Notify>,
}

/// The receiving side.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) messages: mpsc::Receiver<Message>,
    pub(crate) rings: Arc<Notify>,
    /// The shard is to end; this has room whatever waits.
    pub(crate) stop: Arc<Notify>,
}

pub(crate) fn mailbox() -> (Address, Mailbox) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let (rings, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let address = Address { messages: sender, rings: Arc::clone(&rings), stop: Arc::clone(&stop) };
    (address, Mailbox { messages: receiver, rings, stop })
}

impl Address {
    /// Gives the message back when the mailbox is full or its shard is gone.
    pub(crate) fn post(&self, message: Message) -> Result<(), Box<Message>> {
        self.messages.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) | TrySendError::Closed(message) => Box::new(message),
        })
    }

    /// Room for a message, as soon as there is some; `None` when the shard is gone.
    pub(crate) async fn room(&self) -> Option<mpsc::Permit<'_, Message>> {
        self.messages.reserve().await.ok()
    }

    /// Comes back when the shard has ended.
    pub(crate) async fn ended(&self) {
        self.messages.closed().await;
    }

    /// The shard is to end.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Something new lies in a ring.
    pub(crate) fn wake(&self) {
        self.rings.notify_one();
    }
}

impl fmt::Debug for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inspection")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn full_mailbox_still_hears_of_the_end() {
        let (address, mailbox) = mailbox();
        let message = || Message::Apply(Arc::default(), oneshot::channel().0);
        while address.post(message()).is_ok() {}
        address.stop();
        let heard = mailbox.stop.notified();
        tokio::time::timeout(Duration::from_secs(5), heard).await.unwrap();
    }
}
