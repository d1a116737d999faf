//! What is sent: how many allocations, how large, how fast, which way.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// A load on a relay.
#[derive(Args, Clone, Debug)]
pub struct Load {
    /// Allocations, each with a client socket and a channel to the one peer.
    #[arg(long, default_value_t = 1000)]
    pub allocations: usize,
    /// Bytes of application data a packet.
    #[arg(long, default_value_t = 160, value_parser = clap::value_parser!(u16).range(4..=9000))]
    pub size: u16,
    /// Packets a second over all allocations, evenly spread; as fast as they
    /// come back without.
    #[arg(long)]
    pub rate: Option<u32>,
    /// Packets on their way at a time, over all allocations, without a rate.
    #[arg(long, default_value_t = 128)]
    pub window: u64,
    /// Packets in a row on one allocation; more than 1 leave and arrive as
    /// trains where the kernel can (GSO, GRO).
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub train: u64,
    /// Milliseconds measured, after a warm-up. Permissions last 300 s.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=240_000))]
    pub milliseconds: u64,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// From clients to the peer.
    Up,
    /// From the peer to clients.
    Down,
}

impl Load {
    /// For how long is measured.
    pub const fn duration(&self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }

    /// The same load as arguments of the program `load`.
    pub fn arguments(&self) -> Vec<String> {
        let numbers = [
            ("--allocations", self.allocations as u64),
            ("--size", u64::from(self.size)),
            ("--window", self.window),
            ("--train", self.train),
            ("--milliseconds", self.milliseconds),
        ];
        let rate = self.rate.map(|rate| ("--rate", u64::from(rate)));
        let all = numbers.into_iter().chain(rate);
        all.flat_map(|(name, value)| [name.to_owned(), value.to_string()]).collect()
    }
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Up, Self::Down];

    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        load: Load,
    }

    #[test]
    fn arguments_mean_the_same_load() {
        let line = "load --allocations 7 --size 1200 --rate 30000 --train 16 --milliseconds 50";
        let load = Cli::try_parse_from(line.split(' ')).unwrap().load;
        let again = ["load".to_owned()].into_iter().chain(load.arguments());
        let again = Cli::try_parse_from(again).unwrap().load;
        assert_eq!(format!("{again:?}"), format!("{load:?}"));
        assert_eq!((load.allocations, load.rate, load.window), (7, Some(30_000), 128));
    }
}
