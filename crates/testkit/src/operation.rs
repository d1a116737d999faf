//! Random operations: what clients, peers, time and strangers may do.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use turn_codec::AddressFamily;

use crate::store::StoreMode;

/// What kind of allocation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllocateKind {
    /// No family, no port parity.
    Plain,
    /// REQUESTED-ADDRESS-FAMILY of IPv6.
    Ipv6,
    /// ADDITIONAL-ADDRESS-FAMILY of IPv6.
    Dual,
    /// EVEN-PORT with R = 0.
    Even,
    /// EVEN-PORT with R = 1.
    EvenPair,
    /// RESERVATION-TOKEN with the token that this client was given last.
    Token(u8),
}

/// Which peer is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerPick {
    /// One of a handful of hosts outside.
    Outside(u8),
    /// One that the policy denies.
    Denied,
    /// The relayed transport address of a client.
    Relayed(u8, AddressFamily),
}

/// One step of a random run. Clients are numbers, taken modulo how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// An Allocate request.
    Allocate {
        /// Who.
        client: u8,
        /// Of what kind.
        kind: AllocateKind,
        /// LIFETIME.
        lifetime: Option<u32>,
    },
    /// A Refresh request.
    Refresh {
        /// Who.
        client: u8,
        /// LIFETIME.
        lifetime: Option<u32>,
        /// REQUESTED-ADDRESS-FAMILY.
        family: Option<AddressFamily>,
    },
    /// A CreatePermission request.
    Permit {
        /// Who.
        client: u8,
        /// One to three peers.
        peers: Vec<PeerPick>,
    },
    /// A ChannelBind request.
    Bind {
        /// Who.
        client: u8,
        /// CHANNEL-NUMBER.
        channel: u16,
        /// XOR-PEER-ADDRESS.
        peer: PeerPick,
    },
    /// A Send indication.
    Send {
        /// Who.
        client: u8,
        /// To whom.
        peer: PeerPick,
        /// Bytes of data.
        len: u8,
    },
    /// A ChannelData message.
    ChannelData {
        /// Who.
        client: u8,
        /// On which channel.
        channel: u16,
        /// Bytes of data.
        len: u8,
    },
    /// A datagram of a peer to a relayed transport address.
    PeerData {
        /// Whose relayed transport address.
        client: u8,
        /// Of which family.
        family: AddressFamily,
        /// From whom.
        peer: PeerPick,
        /// Bytes of data.
        len: u8,
    },
    /// The client's last request once more, byte for byte.
    Retransmit {
        /// Who.
        client: u8,
    },
    /// A signed Refresh with LIFETIME 0, changed on its way in one bit.
    Tamper {
        /// Whose.
        client: u8,
        /// Which bit.
        bit: u16,
    },
    /// Bytes from nobody in particular, on a client's 5-tuple.
    Garbage {
        /// Whose 5-tuple.
        client: u8,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Time passes.
    Advance {
        /// Seconds.
        seconds: u16,
    },
    /// The server drains, or no more.
    Drain {
        /// Which of them.
        is_on: bool,
    },
    /// The credential store answers otherwise.
    Store {
        /// How.
        mode: StoreMode,
    },
    /// Wall time alone moves.
    Jump {
        /// Seconds.
        seconds: i16,
    },
}

/// One to `most` operations.
pub fn operations(most: usize) -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), 1..=most)
}

fn operation() -> impl Strategy<Value = Operation> {
    let client = || any::<u8>();
    let channel = || prop_oneof![9 => 0x4000_u16..0x4005, 1 => any::<u16>()];
    let control = prop_oneof![
        6 => (client(), kind(), lifetime())
            .prop_map(|(client, kind, lifetime)| Operation::Allocate { client, kind, lifetime }),
        3 => (client(), lifetime(), option::weighted(0.4, family()))
            .prop_map(|(client, lifetime, family)| Operation::Refresh { client, lifetime, family }),
        5 => (client(), vec(pick(), 1..=3))
            .prop_map(|(client, peers)| Operation::Permit { client, peers }),
        5 => (client(), channel(), pick())
            .prop_map(|(client, channel, peer)| Operation::Bind { client, channel, peer }),
        2 => client().prop_map(|client| Operation::Retransmit { client }),
        1 => (client(), any::<u16>()).prop_map(|(client, bit)| Operation::Tamper { client, bit }),
        1 => (client(), garbage()).prop_map(|(client, bytes)| Operation::Garbage { client, bytes }),
    ];
    let data = prop_oneof![
        (client(), pick(), any::<u8>()).prop_map(|(client, peer, len)| Operation::Send {
            client,
            peer,
            len
        }),
        (client(), 0x4000_u16..0x4005, any::<u8>())
            .prop_map(|(client, channel, len)| Operation::ChannelData { client, channel, len }),
        (client(), family(), pick(), any::<u8>()).prop_map(|(client, family, peer, len)| {
            Operation::PeerData { client, family, peer, len }
        }),
    ];
    let time = prop_oneof![
        4 => (1_u16..=60).prop_map(|seconds| Operation::Advance { seconds }),
        2 => (1_u16..=700).prop_map(|seconds| Operation::Advance { seconds }),
        1 => any::<i16>().prop_map(|seconds| Operation::Jump { seconds }),
    ];
    let drain = prop_oneof![1 => Just(true), 3 => Just(false)];
    let drain = drain.prop_map(|is_on| Operation::Drain { is_on });
    let mode = prop_oneof![
        4 => Just(StoreMode::Answers),
        2 => Just(StoreMode::IsDown),
        2 => Just(StoreMode::IsLate),
        1 => Just(StoreMode::IsSilent),
    ];
    let store = mode.prop_map(|mode| Operation::Store { mode });
    prop_oneof![24 => control, 24 => data, 8 => time, 1 => drain, 2 => store]
}

fn kind() -> impl Strategy<Value = AllocateKind> {
    prop_oneof![
        4 => Just(AllocateKind::Plain),
        1 => Just(AllocateKind::Ipv6),
        2 => Just(AllocateKind::Dual),
        1 => Just(AllocateKind::Even),
        2 => Just(AllocateKind::EvenPair),
        2 => any::<u8>().prop_map(AllocateKind::Token),
    ]
}

fn pick() -> impl Strategy<Value = PeerPick> {
    prop_oneof![
        8 => any::<u8>().prop_map(PeerPick::Outside),
        1 => Just(PeerPick::Denied),
        6 => (any::<u8>(), family()).prop_map(|(client, family)| PeerPick::Relayed(client, family)),
    ]
}

fn family() -> impl Strategy<Value = AddressFamily> {
    prop_oneof![3 => Just(AddressFamily::Ipv4), 1 => Just(AddressFamily::Ipv6)]
}

fn lifetime() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![
        4 => Just(None),
        2 => Just(Some(0)),
        3 => (1_u32..5_000).prop_map(Some),
        1 => any::<u32>().prop_map(Some),
    ]
}

/// Half of it begins as STUN or ChannelData does.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    (option::of(prop_oneof![Just(0_u8), Just(0x40)]), vec(any::<u8>(), 0..100)).prop_map(
        |(first, mut bytes)| {
            if let (Some(first), Some(place)) = (first, bytes.first_mut()) {
                *place = first;
            }
            bytes
        },
    )
}
