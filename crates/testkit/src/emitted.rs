//! What left the server after one step.

use std::net::SocketAddr;

use turn_codec::attribute::{ConnectionId, Data as DataAttribute, XorPeerAddress};
use turn_codec::{ChannelData, Class, Message, Method, PacketKind, classify};
use turn_engine::{DropReason, FiveTuple};

use crate::answer::Answer;
use crate::client::Client;

/// One datagram or frame that left the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// To a client: a response, a Data indication or ChannelData.
    ToClient {
        /// The client's 5-tuple.
        tuple: FiveTuple,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// From a relay socket to a peer.
    ToPeer {
        /// The relay socket's bound address.
        from: SocketAddr,
        /// The peer.
        to: SocketAddr,
        /// The payload.
        bytes: Vec<u8>,
        /// Whether it may not be fragmented.
        dont_fragment: bool,
    },
}

/// How data reaches a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A ChannelData message on this channel.
    Channel(u16),
    /// A Data indication from this peer.
    Indication(SocketAddr),
}

/// What a ConnectionAttempt indication says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// XOR-PEER-ADDRESS.
    pub peer: SocketAddr,
    /// CONNECTION-ID.
    pub id: u32,
}

/// Data that reaches a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// How it is framed.
    pub framing: Framing,
    /// The payload.
    pub payload: Vec<u8>,
}

/// All that one step led to.
#[derive(Debug, Clone, Default)]
pub struct Emitted {
    /// What left, in order.
    pub events: Vec<Event>,
    /// Why the input was dropped, if it was.
    pub dropped: Option<DropReason>,
}

impl Data {
    /// Reads what reached a client; `None` for a response or a ConnectionAttempt.
    ///
    /// # Panics
    /// When it is neither.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        match classify(bytes) {
            PacketKind::ChannelData => {
                let data = ChannelData::parse_datagram(bytes).expect("well-formed ChannelData");
                let padding = bytes.get(data.data_range().end..).unwrap_or_default();
                assert!(padding.iter().all(|byte| *byte == 0), "padding is zero");
                let framing = Framing::Channel(data.number().get());
                Some(Self { framing, payload: data.data().to_vec() })
            }
            PacketKind::Stun => {
                let message = Message::parse(bytes).expect("well-formed STUN");
                if message.class() != Class::Indication {
                    return None;
                }
                if message.method() == Method::CONNECTION_ATTEMPT {
                    return None;
                }
                assert_eq!(message.method(), Method::DATA, "no other indication is for a client");
                let peer = message.get::<XorPeerAddress>().expect("well-formed");
                let data = message.get::<DataAttribute<'_>>().expect("well-formed");
                let framing = Framing::Indication(peer.expect("a peer").0);
                Some(Self { framing, payload: data.expect("data").0.to_vec() })
            }
            PacketKind::Dtls | PacketKind::Unknown => {
                panic!("{bytes:02x?} is nothing for a client")
            }
        }
    }
}

impl Attempt {
    /// Reads what reached a client; `None` for anything else.
    ///
    /// # Panics
    /// When it is a ConnectionAttempt that lacks something.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let message = Message::parse(bytes).ok()?;
        if (message.class(), message.method()) != (Class::Indication, Method::CONNECTION_ATTEMPT) {
            return None;
        }
        let peer = message.get::<XorPeerAddress>().expect("well-formed").expect("a peer").0;
        let id = message.get::<ConnectionId>().expect("well-formed").expect("an id").0;
        Some(Self { peer, id })
    }
}

impl Emitted {
    /// Whether nothing left.
    pub fn is_silent(&self) -> bool {
        self.events.is_empty()
    }

    /// Nothing may have left.
    ///
    /// # Panics
    /// When something did.
    #[track_caller]
    pub fn expect_silence(&self) {
        assert!(self.is_silent(), "expected silence, not {:?}", self.events);
    }

    /// The input must have been dropped for this reason, in silence.
    ///
    /// # Panics
    /// When it was not.
    #[track_caller]
    pub fn expect_dropped(&self, reason: DropReason) {
        self.expect_silence();
        assert_eq!(self.dropped, Some(reason));
    }

    /// The one response that left.
    ///
    /// # Panics
    /// When none or something else left.
    #[track_caller]
    pub fn answer(&self) -> Answer {
        match self.events.as_slice() {
            [Event::ToClient { tuple, bytes }] => Answer::new(bytes.clone(), tuple.server),
            other => panic!("expected one response, not {other:?} ({:?})", self.dropped),
        }
    }

    /// The response's code; 200 is success.
    ///
    /// # Panics
    /// As [`answer`](Self::answer).
    #[track_caller]
    pub fn code(&self) -> u16 {
        self.answer().code()
    }

    /// Exactly this must have left toward this peer.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn expect_at_peer(&self, peer: SocketAddr, data: &[u8]) {
        match self.events.as_slice() {
            [Event::ToPeer { to, bytes, .. }] => {
                assert_eq!((*to, bytes.as_slice()), (peer, data));
            }
            other => panic!("expected data at {peer}, not {other:?} ({:?})", self.dropped),
        }
    }

    /// Whether what left toward a peer may not be fragmented.
    ///
    /// # Panics
    /// When it was not one datagram to a peer that left.
    #[track_caller]
    pub fn dont_fragment(&self) -> bool {
        match self.events.as_slice() {
            [Event::ToPeer { dont_fragment, .. }] => *dont_fragment,
            other => panic!("expected data at a peer, not {other:?} ({:?})", self.dropped),
        }
    }

    /// A Data indication from this peer must have left toward this client.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn expect_indication(&self, client: &Client, peer: SocketAddr, data: &[u8]) {
        self.expect_data(client, Framing::Indication(peer), data);
    }

    /// ChannelData on this channel must have left toward this client.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn expect_channel_data(&self, client: &Client, channel: u16, data: &[u8]) {
        self.expect_data(client, Framing::Channel(channel), data);
    }

    /// The ConnectionAttempt that left, and nothing else, toward this client.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn attempt(&self, client: &Client) -> Attempt {
        match self.events.as_slice() {
            [Event::ToClient { tuple, bytes }] => {
                assert_eq!(*tuple, client.tuple(), "at another client");
                Attempt::read(bytes).expect("a ConnectionAttempt")
            }
            other => panic!("expected a ConnectionAttempt, not {other:?} ({:?})", self.dropped),
        }
    }

    /// The raw bytes of the one thing that left toward a client.
    ///
    /// # Panics
    /// When none or something else left.
    #[track_caller]
    pub fn frame(&self) -> &[u8] {
        match self.events.as_slice() {
            [Event::ToClient { bytes, .. }] => bytes,
            other => panic!("expected one frame, not {other:?} ({:?})", self.dropped),
        }
    }

    #[track_caller]
    fn expect_data(&self, client: &Client, framing: Framing, data: &[u8]) {
        match self.events.as_slice() {
            [Event::ToClient { tuple, bytes }] => {
                assert_eq!(*tuple, client.tuple(), "at another client");
                let expected = Data { framing, payload: data.to_vec() };
                assert_eq!(Data::read(bytes), Some(expected));
            }
            other => panic!("expected data at a client, not {other:?} ({:?})", self.dropped),
        }
    }
}
