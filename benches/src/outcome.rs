//! What one run has shown.

use std::{io, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{CpuTime, Direction, Generator, Load};

/// Packets, time and cost of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Packets sent.
    pub sent: u64,
    /// Packets that arrived at the other end.
    pub delivered: u64,
    /// Times that nothing came for a while although something had to; what was
    /// on its way then is lost.
    pub stalls: u64,
    /// How long it took.
    pub elapsed_ns: u64,
    /// CPU time of the server, user and system.
    pub server_cpu_ns: u64,
    /// How long the server was ready to run and had no core.
    pub server_waited_ns: u64,
    /// How long the generator had nothing to do. A small share of the time
    /// says that the generator was the bottleneck.
    pub generator_idle_ns: u64,
}

/// Before the measurement; coturn and a nap need some of it to settle.
const WARM_UP: Duration = Duration::from_millis(400);

/// A server that waited for its core for a fiftieth of the time says more about
/// the machine than about itself.
const DISTURBED: u64 = 50;

/// Warms up, then measures; `cpu` reads the CPU time of the server.
///
/// # Errors
/// The sockets fail, or `cpu` does.
pub fn measure(
    generator: &mut Generator,
    load: &Load,
    direction: Direction,
    cpu: impl Fn() -> io::Result<CpuTime>,
) -> anyhow::Result<Outcome> {
    generator.drive(load, direction, WARM_UP)?;
    let before = cpu()?;
    let outcome = generator.drive(load, direction, load.duration())?;
    let spent = cpu()? - before;
    Ok(Outcome { server_cpu_ns: spent.ran, server_waited_ns: spent.waited, ..outcome })
}

impl Outcome {
    /// Packets that did not arrive.
    pub const fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.delivered)
    }

    /// Packets that arrived, a second.
    pub fn packets_per_second(&self) -> f64 {
        ratio(self.delivered, self.elapsed_ns) * 1e9
    }

    /// Microseconds of the server's CPU time a packet that arrived.
    pub fn cpu_us_per_packet(&self) -> f64 {
        ratio(self.server_cpu_ns, self.delivered) / 1e3
    }

    /// How much of the time the server ran, 1 being a whole core.
    pub fn server_load(&self) -> f64 {
        ratio(self.server_cpu_ns, self.elapsed_ns)
    }

    /// How much of the time the generator had nothing to do.
    pub fn generator_idle(&self) -> f64 {
        ratio(self.generator_idle_ns, self.elapsed_ns)
    }

    /// Whether something else held the server's core.
    pub const fn is_disturbed(&self) -> bool {
        self.server_waited_ns > self.elapsed_ns / DISTURBED
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(of: u64, to: u64) -> f64 {
    of as f64 / to as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_from_the_counts() {
        let outcome = Outcome {
            sent: 200_100,
            delivered: 200_000,
            elapsed_ns: 2_000_000_000,
            server_cpu_ns: 1_000_000_000,
            server_waited_ns: 40_000_001,
            ..Outcome::default()
        };
        assert_eq!(outcome.lost(), 100);
        assert_eq!(format!("{:.0}", outcome.packets_per_second()), "100000");
        assert_eq!(format!("{:.2}", outcome.cpu_us_per_packet()), "5.00");
        assert_eq!(format!("{:.2}", outcome.server_load()), "0.50");
        assert!(outcome.is_disturbed());
    }
}
