//! From accept to the first message: the PROXY header where one is due, then
//! plain or TLS by the first byte, then the TLS handshake. The sweep ends what
//! takes too long `[H15]`.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio_rustls::server::TlsStream;
use turn_engine::{FiveTuple, Transport};

use crate::clock;
use crate::host::Host;
use crate::proxy_header::{Addresses, ProxyHeader};
use crate::stream::admission::Permit;
use crate::stream::connection::Connection;
use crate::stream::context::StreamContext;
use crate::stream::lane::{Lane, Standing};
use crate::stream::socket::Socket;
use crate::stream::wire::{Wire, accept_tls};

/// What a listener serves: in the clear (UDP, TCP), and secured (DTLS, TLS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spoken {
    pub(crate) plain: bool,
    pub(crate) secured: bool,
}

/// A connection that has not said yet what it speaks.
pub(crate) struct Opening {
    pub(crate) context: Rc<StreamContext>,
    pub(crate) lane: Rc<Lane>,
    pub(crate) socket: Socket,
    pub(crate) permit: Permit,
    pub(crate) spoken: Spoken,
    pub(crate) is_proxied: bool,
    /// The listener has a realm: no name that a client asks for changes it.
    pub(crate) has_realm: bool,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy)]
enum NotOpened {
    /// It ended, or was told to, or could not agree on TLS.
    Ended,
    /// Its upstream says nothing that we understand, or its client has its connections.
    Refused,
}

/// The longest PROXY header that is read `[H31]`.
const LONGEST_HEADER: usize = 232;

/// The first byte of a TLS record that carries a ClientHello (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

impl Opening {
    /// Opens the connection and has it served.
    pub(crate) async fn run(self) {
        let (context, lane) = (Rc::clone(&self.context), Rc::clone(&self.lane));
        match self.open().await {
            Ok(connection) => StreamContext::run(connection),
            Err(NotOpened::Ended) => context.ended(&lane),
            // Counted before its end could be seen.
            Err(NotOpened::Refused) => context.forget(&lane),
        }
    }

    async fn open(mut self) -> Result<Connection, NotOpened> {
        if self.is_proxied {
            self.permit = self.proxy_header().await?;
        }
        let is_secured = match self.spoken {
            Spoken { plain: true, secured: true } => {
                let Self { lane, socket, .. } = &self;
                let first = until_closed(lane, |context| socket.poll_first_byte(context)).await;
                let first = first.and_then(Result::ok).flatten();
                first.ok_or(NotOpened::Ended)? == TLS_HANDSHAKE
            }
            Spoken { secured, .. } => secured,
        };
        let transport = if is_secured { Transport::Tls } else { Transport::Tcp };
        self.lane.set_tuple(FiveTuple { transport, ..self.lane.tuple() });
        {
            let mut core = self.context.core.borrow_mut();
            core.host.end_predecessors(clock::now(), &self.lane);
            core.flush();
        }
        let Self { context, lane, socket, permit, has_realm, .. } = self;
        let wire = if is_secured {
            let stream = handshake(&context, &lane, socket).await.ok_or(NotOpened::Ended)?;
            if !has_realm {
                context.enter_realm(&lane, stream.get_ref().1.server_name());
            }
            Wire::Tls(stream)
        } else {
            Wire::Plain(socket)
        };
        Ok(Connection::new(context, lane, wire, permit))
    }

    /// Reads the header and takes its client for ours.
    async fn proxy_header(&mut self) -> Result<Permit, NotOpened> {
        let Self { lane, socket, .. } = self;
        let mut header = Vec::new();
        let read = |context: &mut Context<'_>| poll_proxy_header(socket, &mut header, context);
        let addresses = until_closed(lane, read).await.ok_or(NotOpened::Ended)?;
        let addresses = addresses.map_err(|_| self.context.refuse())?;
        if let Some(Addresses { client, server }) = addresses {
            self.lane.set_tuple(FiveTuple { client, server, ..self.lane.tuple() });
        }
        self.lane.set_standing(Standing::Silent);
        let client = self.lane.tuple().client;
        let permit = self.context.permit_for(&mut self.context.core.borrow_mut().host, client);
        permit.ok_or_else(|| self.context.refuse())
    }
}

/// The server's side of a TLS handshake.
async fn handshake(
    context: &StreamContext,
    lane: &Lane,
    socket: Socket,
) -> Option<Box<TlsStream<Socket>>> {
    let config = context.tls()?;
    lane.set_standing(Standing::Handshaking);
    let began = clock::now().mono;
    let done = {
        // A handshake is large; it has gone before the connection is served.
        let mut accept = Box::pin(accept_tls(&config, socket));
        let mut turn = None;
        until_closed(lane, |task| {
            let waiting = turn.get_or_insert_with(|| Box::pin(context.handshakes.next()));
            let permit = ready!(waiting.as_mut().poll(task));
            turn = None;
            let step = accept.as_mut().poll(task);
            drop(permit);
            step
        })
        .await
    };
    let core = context.core.borrow();
    let Some(Ok(mut stream)) = done else {
        core.host.counters.tls_handshake_errors.add(1);
        return None;
    };
    core.host.counters.tls_handshakes.add(1);
    let now = clock::now().mono;
    core.host.note_handshake(Transport::Tls, now.saturating_duration_since(began));
    lane.set_standing(Standing::Silent);
    lane.touch(now);
    stream.get_mut().0.limit_reading(None);
    Some(Box::new(stream))
}

impl StreamContext {
    /// A connection is not let in after all.
    fn refuse(&self) -> NotOpened {
        self.core.borrow().host.counters.connections_refused.add(1);
        NotOpened::Refused
    }

    /// A client that asks for a name of a realm is in it (RFC 6066 section 3).
    fn enter_realm(&self, lane: &Lane, server_name: Option<&str>) {
        // [A20] By what the handshake has proven to come from the client, and before any message.
        let core = self.core.borrow();
        let settings = core.host.engine.settings();
        if let Some(realm) = server_name.and_then(|name| settings.realm_of_name(name)) {
            lane.set_realm(realm);
        }
    }
}

impl Host {
    /// A handshake is complete: whoever measures hears of it.
    pub(crate) fn note_handshake(&self, transport: Transport, took: Duration) {
        self.observer.handshake(self.shard, transport, took);
    }
}

/// Polls until it is done, or the lane is told to end.
async fn until_closed<T>(
    lane: &Lane,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    poll_fn(|context| {
        lane.listen(context);
        if lane.is_closing() { Poll::Ready(None) } else { poll(context).map(Some) }
    })
    .await
}

/// Takes a header and nothing behind it off a socket.
fn poll_proxy_header(
    socket: &mut Socket,
    header: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> Poll<io::Result<Option<Addresses>>> {
    loop {
        let mut bytes = [0; LONGEST_HEADER];
        let mut peeked = ReadBuf::new(&mut bytes);
        ready!(socket.poll_peek(context, &mut peeked))?;
        let known = header.len();
        header.extend_from_slice(peeked.filled());
        let (take, outcome) = match ProxyHeader::of_stream(header) {
            ProxyHeader::Incomplete if peeked.filled().is_empty() => (0, Some(Err(closed()))),
            // All of it belongs to the header, so that it can be waited for more.
            ProxyHeader::Incomplete => (peeked.filled().len(), None),
            ProxyHeader::Invalid => (0, Some(Err(io::ErrorKind::InvalidData.into()))),
            ProxyHeader::Complete { len, addresses } => {
                (len.saturating_sub(known), Some(Ok(addresses)))
            }
        };
        socket.take(take)?;
        if let Some(outcome) = outcome {
            return Poll::Ready(outcome);
        }
    }
}

fn closed() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each open connection costs, beside its socket and what TLS keeps.
    #[test]
    fn task_of_a_connection_is_small() {
        fn size<F: Future>(_: impl Fn(Opening) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(Opening::run);
        assert!(bytes <= 1_024, "{bytes}");
    }
}
