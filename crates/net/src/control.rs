//! What the control thread asks of running shards: new settings, certificates,
//! a look at their engines, the end of an allocation, a sign of life.
//!
//! Everything here is a message to each shard, which it serves between two
//! packets. No answer needs a timer or a thread, so that any runtime will do;
//! who asks decides how long to wait.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::mpsc::Permit;
use tokio::sync::oneshot;
use turn_dtls::DtlsIdentity;
use turn_engine::{AllocationId, Engine, RealmId, Settings};

use crate::fleet::{Fleet, with_endpoints};
use crate::mailbox::{Inspection, Message};

impl Fleet {
    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.members.len()
    }

    /// Gives every shard new settings; comes back when they are in force on all of
    /// them. No connection is closed and no packet lost, but for what they deny
    /// `[R18] [P7]`. Where relay sockets are bound stays as it is; what they are
    /// advertised as may change, and what it was is remembered.
    ///
    /// # Errors
    /// A shard has ended. If it had before, the others go on as they were.
    pub async fn apply(&self, mut settings: Settings) -> io::Result<()> {
        // [R18] Of two at a time, the later one is in force everywhere.
        let mut addresses = self.applying.lock().await;
        settings.relay.follow(&addresses);
        addresses.clone_from(&settings.relay.addresses);
        let settings = Arc::new(with_endpoints(settings, &self.listening));
        self.ask(|done| Message::Apply(Arc::clone(&settings), done)).await.map(drop)
    }

    /// Lets `look` see the engine of every shard, on its thread and between two
    /// packets: it must be short. Gives what it gave, in the order of the shards.
    ///
    /// # Errors
    /// A shard has ended.
    pub async fn inspect<R: Send + 'static>(
        &self,
        look: impl Fn(&Engine) -> R + Send + Sync + Clone + 'static,
    ) -> io::Result<Vec<R>> {
        self.ask(|seen| {
            let look = look.clone();
            Message::Inspect(Inspection(Box::new(move |engine| {
                // Whoever asked may have stopped waiting.
                let _ = seen.send(look(engine));
            })))
        })
        .await
    }

    /// Ends an allocation; says whether it lived.
    ///
    /// # Errors
    /// Its shard has ended.
    pub async fn end_allocation(&self, id: AllocationId) -> io::Result<bool> {
        let Some(member) = self.members.get(usize::from(id.shard.0)) else { return Ok(false) };
        let room = member.address.room().await.ok_or_else(gone)?;
        let (done, ended) = oneshot::channel();
        room.send(Message::EndAllocation(id, done));
        ended.await.map_err(|_| gone())
    }

    /// Ends the allocations of a user because its credential was disabled, a few of them between
    /// two packets; gives how many there were. Who is to stay out must be unknown to the
    /// [`KeyFinder`](crate::KeyFinder) before.
    ///
    /// # Errors
    /// A shard has ended.
    pub async fn end_allocations_of(&self, realm: RealmId, user: &str) -> io::Result<usize> {
        let whose = Arc::new((realm, Box::from(user)));
        let mut count = 0;
        let mut places = vec![Some(0); self.members.len()];
        while places.iter().any(Option::is_some) {
            let mut asked = Vec::with_capacity(places.len());
            for (member, place) in self.members.iter().zip(&mut places) {
                let Some(first) = place.take() else { continue };
                let (done, ended) = oneshot::channel();
                let whose = Arc::clone(&whose);
                let room = member.address.room().await.ok_or_else(gone)?;
                room.send(Message::EndAllocationsOf { whose, first, done });
                asked.push((ended, place));
            }
            for (ended, place) in asked {
                let (ended, next) = ended.await.map_err(|_| gone())?;
                count += ended;
                *place = next;
            }
        }
        Ok(count)
    }

    /// Comes back when the packet task of every shard has been round all of its
    /// sockets since the call. A shard that hangs never lets it: whoever asks sets
    /// the time.
    ///
    /// # Errors
    /// A shard has ended.
    pub async fn beat(&self) -> io::Result<()> {
        self.ask(Message::Beat).await.map(drop)
    }

    /// While it drains, the server grants no new allocation and serves those that
    /// live `[R19]`.
    pub fn set_draining(&self, is_draining: bool) {
        // [R19]
        self.shared.set_draining(is_draining);
    }

    /// Gives every shard a new certificate for DTLS sessions that begin from now
    /// on; with the first one DTLS begins.
    ///
    /// # Errors
    /// A shard has ended.
    pub async fn set_dtls(&self, identity: &Arc<DtlsIdentity>) -> io::Result<()> {
        let rooms = self.rooms().await?;
        for room in rooms {
            room.send(Message::Identity(Arc::clone(identity)));
        }
        Ok(())
    }

    /// Gives every shard another server's side of TLS, for connections that begin
    /// from now on. A certificate that was renewed needs none: it is exchanged
    /// behind the one that is there.
    ///
    /// # Errors
    /// A shard has ended.
    pub async fn set_tls(&self, config: &Arc<ServerConfig>) -> io::Result<()> {
        let rooms = self.rooms().await?;
        for room in rooms {
            room.send(Message::Tls(Arc::clone(config)));
        }
        Ok(())
    }

    /// Asks every shard, or none where one has ended, and waits for the answers.
    async fn ask<R>(&self, message: impl Fn(oneshot::Sender<R>) -> Message) -> io::Result<Vec<R>> {
        let rooms = self.rooms().await?;
        let mut asked = Vec::with_capacity(rooms.len());
        for room in rooms {
            let (answer, answered) = oneshot::channel();
            room.send(message(answer));
            asked.push(answered);
        }
        let mut answers = Vec::with_capacity(asked.len());
        for answered in asked {
            answers.push(answered.await.map_err(|_| gone())?);
        }
        Ok(answers)
    }

    /// Room for a message to each shard.
    async fn rooms(&self) -> io::Result<Vec<Permit<'_, Message>>> {
        let mut rooms = Vec::with_capacity(self.members.len());
        for member in &self.members {
            rooms.push(member.address.room().await.ok_or_else(gone)?);
        }
        Ok(rooms)
    }
}

fn gone() -> io::Error {
    io::Error::other("a shard has ended")
}
