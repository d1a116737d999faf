//! Frames of a stream on their way through the engine.
//!
//! RFC 8489 section 6.2.2 and RFC 8656 section 12.5 say where a frame ends; the
//! engine gets each as if it were a datagram, without the padding.

use std::rc::Rc;

use stun_responder::{MAX_REPLY_LEN, is_binding};
use turn_codec::{Frame, next_frame_in};
use turn_engine::{ConnectionId, Now, Outcome, Relayed, Route, ShardId};

use crate::host::{Host, Way, resolve};
use crate::stream::lane::{Lane, Order};

/// The longest frame of a client that never had an allocation.
const LONGEST_OF_STRANGER: usize = 2_048;

/// Frames served at once: four bytes are a whole one, and each may be a datagram
/// to send.
pub(crate) const FRAMES: usize = 128;

/// How far some bytes were served, and why not further.
#[derive(Debug)]
pub(crate) struct Served {
    /// Bytes that are done with.
    pub(crate) consumed: usize,
    pub(crate) then: Then,
}

/// What the connection does next.
#[derive(Debug)]
pub(crate) enum Then {
    /// Reads on: what is left is no whole frame.
    Read,
    /// Serves the rest later: its replies have to leave, or it was enough at once.
    Wait,
    /// Ends: the framing is lost, or the host says so.
    End,
    /// Carries raw bytes from here on.
    Splice(ConnectionId),
    /// Moves to another shard, which serves the rest.
    HandOver(ShardId),
}

impl Host {
    /// Serves the whole frames at the start of `bytes`.
    pub(crate) fn serve_frames(&mut self, lane: &Lane, bytes: &[u8], now: Now) -> Served {
        let range = self.engine.settings().relay.channels;
        let (mut consumed, mut frames) = (0, 0);
        let then = loop {
            let rest = bytes.get(consumed..).unwrap_or_default();
            if rest.is_empty() {
                break Then::Read;
            }
            // [H15] Nobody else is served meanwhile.
            if frames == FRAMES || lane.is_clogged() {
                break Then::Wait;
            }
            frames += 1;
            let (len, padded_len) = match next_frame_in(range, rest) {
                Frame::Message { len } => (len, len),
                Frame::ChannelData { len, padded_len } => (len, padded_len),
                Frame::Incomplete { needed_at_least }
                    if self.may_be_so_long(lane, needed_at_least, now) =>
                {
                    break Then::Read;
                }
                Frame::Incomplete { .. } | Frame::Invalid => break self.misframed(),
            };
            if !self.may_be_so_long(lane, padded_len, now) {
                break self.misframed();
            }
            self.streams.spoke(lane);
            lane.touch(now.mono);
            self.serve_frame(lane, rest.get(..len).unwrap_or_default(), now);
            match lane.take_order() {
                None => consumed += padded_len,
                Some(Order::Close) => break Then::End,
                Some(Order::HandOver(shard)) => break Then::HandOver(shard),
                Some(Order::Splice(connection)) => {
                    consumed += padded_len;
                    break Then::Splice(connection);
                }
            }
        };
        Served { consumed, then }
    }

    /// Sends on what the engine has let through of `bytes`, which are copied.
    pub(crate) fn relay_copy(&mut self, relayed: Relayed, bytes: &[u8]) {
        let payload = bytes.get(relayed.payload).unwrap_or_default();
        if let Route::Shard { shard, relay, from } = relayed.route {
            return self.relay_across(shard, relay, from, payload);
        }
        let prefix = relayed.prefix.as_bytes();
        let Self {
            listeners, relays, streams, upstreams, outgoing, scratch, dtls, unwritten, ..
        } = self;
        let (route, dont_fragment) = (&relayed.route, relayed.dont_fragment);
        match resolve(listeners, relays, streams, upstreams, route, dont_fragment) {
            Some(Way::Datagram(socket, to)) if prefix.is_empty() && relayed.padding == 0 => {
                outgoing.push_bytes(socket, to, payload);
            }
            Some(Way::Datagram(socket, to)) => {
                scratch.clear();
                scratch.extend_from_slice(prefix);
                scratch.extend_from_slice(payload);
                scratch.resize(scratch.len() + usize::from(relayed.padding), 0);
                outgoing.push_bytes(socket, to, scratch);
            }
            Some(Way::Stream(lane)) => {
                let limit = self.engine.settings().limits.queue_per_connection;
                let lost = lane.push_data(prefix, payload, relayed.padding, limit);
                self.counters.stream_frames_sent.add(1);
                self.counters.stream_frames_dropped.add(lost);
                note(unwritten, lane);
            }
            Some(Way::Dtls(slot)) => {
                let padding = [0; 3];
                let padding = padding.get(..usize::from(relayed.padding)).unwrap_or_default();
                if !dtls.send(slot, &[prefix, payload, padding]) {
                    self.counters.send_dropped.add(1);
                }
            }
            None => {}
        }
    }

    /// Writes what is queued for streams, as far as that goes at once.
    pub(crate) fn write_streams(&mut self) {
        for lane in self.unwritten.drain(..) {
            self.has_woken_streams |= !lane.write_at_once();
        }
    }

    fn serve_frame(&mut self, lane: &Lane, frame: &[u8], now: Now) {
        self.counters.stream_frames.add(1);
        if is_binding(frame) {
            let mut room = [0; MAX_REPLY_LEN];
            // No bucket: the address is proven, and who does not read is read no further.
            if let Some(reply) = self.binding_reply(frame, lane.tuple().client, &mut room) {
                // Written at the end of its own turn, which this is.
                lane.push_control(reply);
            }
            return;
        }
        match self.engine.from_client(now, lane.link(), frame) {
            Outcome::Relay(relayed) => self.relay_copy(relayed, frame),
            Outcome::Handled => {
                self.drain_actions(now);
                if !lane.is_proven() {
                    self.serves(now, lane);
                }
            }
            Outcome::Dropped(_) => {}
        }
    }

    fn misframed(&self) -> Then {
        self.counters.streams_misframed.add(1);
        Then::End
    }

    /// A frame of this length is read to its end only for those whom we know:
    /// the first bytes of an HTTP request, too, are a length.
    fn may_be_so_long(&mut self, lane: &Lane, len: usize, now: Now) -> bool {
        // [S18]
        len <= LONGEST_OF_STRANGER || lane.is_proven() || self.serves(now, lane)
    }
}

/// Something was queued for a stream: it is written with the next flush.
pub(crate) fn note(unwritten: &mut Vec<Rc<Lane>>, lane: &Rc<Lane>) {
    if lane.note() {
        unwritten.push(Rc::clone(lane));
    }
}
