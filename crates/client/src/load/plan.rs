//! What a load consists of: also the options of `turnserver-load`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::LoadError;

/// A load on a TURN server.
#[derive(Args, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is done over and over.
    #[arg(long, value_enum, default_value_t)]
    pub pattern: Pattern,
    /// Which way packets go through the relay.
    #[arg(long, value_enum, default_value_t)]
    pub direction: Direction,
    /// How clients reach the server. TLS believes any certificate; each packet is a record.
    #[arg(long, value_enum, default_value_t)]
    pub transport: Transport,
    /// How clients send and receive data.
    #[arg(long, value_enum, default_value_t)]
    pub message: MessageKind,
    /// Allocations, each of a client of its own; for binding clients, for cycle clients at once.
    #[arg(long, default_value_t = 1_000)]
    pub allocations: usize,
    /// Peers, each with a socket of its own, which the allocations share.
    #[arg(long, default_value_t = 1)]
    pub peers: usize,
    /// Bytes of application data a packet; several are sent in turn.
    #[arg(long, value_delimiter = ',', default_values_t = [160], value_parser = clap::value_parser!(u16).range(16..=9_000))]
    pub sizes: Vec<u16>,
    /// Packets (or cycles) a second over all allocations, evenly spread, whatever comes back (open
    /// loop). Without it as many as come back (closed loop).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Packets on their way at a time, over all allocations, in a closed loop.
    #[arg(long, default_value_t = 128)]
    pub window: u64,
    /// Packets in a row on one allocation; more than 1 leave and arrive as trains where the kernel
    /// can (GSO, GRO), on a stream as one write.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub train: u64,
    /// Percent of all packets that are junk: half to the listener over UDP, half from a stranger to
    /// the relayed addresses.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=90))]
    pub junk: u32,
    /// Addresses that the clients of cycle take in turn, from --clients upwards; on loopback, where
    /// all of them are there. With 1 the 5-tuples recur, which some servers refuse with 437.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub client_addresses: u32,
    /// Milliseconds of the same load before the measurement.
    #[arg(long, default_value_t = 400)]
    pub warm_up: u64,
    /// Milliseconds measured. Permissions last 300 s and nothing is refreshed.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=240_000))]
    pub milliseconds: u64,
}

/// What is done over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// Packets through allocations.
    #[default]
    Relay,
    /// Binding requests.
    Binding,
    /// Allocate, 401, Allocate, Refresh with lifetime 0; then a new client.
    Cycle,
    /// Nothing: allocations with a permission and a channel just live.
    Idle,
}

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From clients to peers.
    #[default]
    Up,
    /// From peers to clients.
    Down,
    /// One up, one down, in turn.
    Both,
    /// From each client to another one, both behind the relay; a packet counts once.
    Pairs,
}

/// How clients reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// UDP.
    #[default]
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// How clients send and receive data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// ChannelData.
    #[default]
    Channel,
    /// Send and Data indications.
    Indication,
}

impl Plan {
    /// For how long is measured.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }

    /// The same load as options of `turnserver-load`.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let sizes: Vec<_> = self.sizes.iter().map(u16::to_string).collect();
        let mut options = vec![
            ("--pattern", word(self.pattern)),
            ("--direction", word(self.direction)),
            ("--transport", word(self.transport)),
            ("--message", word(self.message)),
            ("--allocations", self.allocations.to_string()),
            ("--peers", self.peers.to_string()),
            ("--sizes", sizes.join(",")),
            ("--window", self.window.to_string()),
            ("--train", self.train.to_string()),
            ("--junk", self.junk.to_string()),
            ("--client-addresses", self.client_addresses.to_string()),
            ("--warm-up", self.warm_up.to_string()),
            ("--milliseconds", self.milliseconds.to_string()),
        ];
        options.extend(self.rate.map(|rate| ("--rate", rate.to_string())));
        options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    /// Says whether the parts of it go together.
    ///
    /// # Errors
    /// [`LoadError::Plan`] names two that do not.
    pub fn check(&self) -> Result<(), LoadError> {
        let relays = self.pattern == Pattern::Relay;
        let contradictions = [
            (self.allocations == 0, "a load needs at least one allocation"),
            (self.peers == 0, "a load needs at least one peer"),
            (self.window < self.train, "a window must hold a whole train"),
            (
                relays && self.direction == Direction::Pairs && self.allocations % 2 == 1,
                "pairs need an even number of allocations",
            ),
            (!relays && self.junk > 0, "junk goes with the pattern relay only"),
            (!relays && self.train > 1, "trains go with the pattern relay only"),
            (
                matches!(self.pattern, Pattern::Cycle | Pattern::Binding)
                    && self.transport != Transport::Udp,
                "binding and cycle are over UDP only",
            ),
            (
                self.pattern != Pattern::Cycle && self.client_addresses > 1,
                "client addresses go with the pattern cycle only",
            ),
        ];
        match contradictions.into_iter().find(|(is_one, _)| *is_one) {
            Some((_, why)) => Err(LoadError::Plan(why)),
            None => Ok(()),
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            pattern: Pattern::default(),
            direction: Direction::default(),
            transport: Transport::default(),
            message: MessageKind::default(),
            allocations: 1_000,
            peers: 1,
            sizes: vec![160],
            rate: None,
            window: 128,
            train: 1,
            junk: 0,
            client_addresses: 1,
            warm_up: 400,
            milliseconds: 1_000,
        }
    }
}

impl Direction {
    /// One word.
    #[must_use]
    pub fn name(self) -> String {
        word(self)
    }
}

impl Transport {
    /// One word.
    #[must_use]
    pub fn name(self) -> String {
        word(self)
    }
}

/// The value as it is written on a command line.
fn word<V: ValueEnum>(value: V) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        plan: Plan,
    }

    #[test]
    fn arguments_mean_the_same_load() {
        let plan = Plan {
            pattern: Pattern::Relay,
            direction: Direction::Pairs,
            transport: Transport::Tls,
            message: MessageKind::Indication,
            allocations: 8,
            peers: 2,
            sizes: vec![160, 1_200],
            rate: Some(30_000),
            window: 32,
            train: 16,
            junk: 20,
            client_addresses: 5,
            warm_up: 7,
            milliseconds: 50,
        };
        assert_eq!(parse(plan.arguments()), plan);
    }

    #[test]
    fn no_arguments_are_the_default() {
        assert_eq!(parse(Vec::new()), Plan::default());
        assert_eq!(parse(Plan::default().arguments()), Plan::default());
        Plan::default().check().unwrap();
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let odd = Plan { direction: Direction::Pairs, allocations: 3, ..Plan::default() };
        let none = Plan { allocations: 0, ..Plan::default() };
        let junk = Plan { pattern: Pattern::Binding, junk: 20, ..Plan::default() };
        let narrow = Plan { window: 8, train: 16, ..Plan::default() };
        let stream = Plan { pattern: Pattern::Cycle, transport: Transport::Tcp, ..Plan::default() };
        for plan in [odd, none, junk, narrow, stream] {
            assert!(matches!(plan.check(), Err(LoadError::Plan(_))), "{plan:?}");
        }
    }

    fn parse(arguments: Vec<String>) -> Plan {
        Cli::try_parse_from(["load".to_owned()].into_iter().chain(arguments)).unwrap().plan
    }
}
