//! What went through allocations, as a test counts it.

use std::ops::AddAssign;

use serde_json::Value;
use turn_client::Client;
use turn_tests::system::channel;

use crate::{SECOND, number};

/// Payload of both directions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) up_bytes: u64,
    pub(crate) down_bytes: u64,
    pub(crate) up_packets: u64,
    pub(crate) down_packets: u64,
}

impl Amount {
    /// What rows of usage tell together.
    pub(crate) fn of(rows: &[Value]) -> Self {
        let sum = |name| rows.iter().map(|row| number(row, name)).sum();
        Self {
            up_bytes: sum("up_bytes"),
            down_bytes: sum("down_bytes"),
            up_packets: sum("up_packets"),
            down_packets: sum("down_packets"),
        }
    }

    /// A client speaks with a peer that sends everything back, on channel 0.
    #[track_caller]
    pub(crate) fn echoed(client: &mut Client, messages: u64, size: usize) -> Self {
        let message = vec![0x5a; size];
        for _ in 0..messages {
            client.send_channel(channel(0), &message).unwrap();
            assert_eq!(client.receive(SECOND).unwrap().data, message);
        }
        Self::same(messages, messages * size as u64)
    }

    /// Two clients whose peers are each other speak in turn, on channel 1: what one sends the other
    /// receives, and both count.
    #[track_caller]
    pub(crate) fn spoken(left: &mut Client, right: &mut Client, messages: u64) -> Self {
        let (question, answer) = (vec![1; 1_000], vec![2; 300]);
        for _ in 0..messages {
            left.send_channel(channel(1), &question).unwrap();
            assert_eq!(right.receive(SECOND).unwrap().data, question);
            right.send_channel(channel(1), &answer).unwrap();
            assert_eq!(left.receive(SECOND).unwrap().data, answer);
        }
        Self::same(2 * messages, messages * (question.len() + answer.len()) as u64)
    }

    /// As much each way.
    const fn same(packets: u64, bytes: u64) -> Self {
        Self { up_bytes: bytes, down_bytes: bytes, up_packets: packets, down_packets: packets }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.up_bytes += other.up_bytes;
        self.down_bytes += other.down_bytes;
        self.up_packets += other.up_packets;
        self.down_packets += other.down_packets;
    }
}
