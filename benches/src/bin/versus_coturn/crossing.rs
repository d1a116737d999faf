//! The share of the packets between two allocations that crossed from one shard to another, as our
//! server counts them.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::Context;

/// Packets between two allocations of the server, by the shards they are on.
const COUNTER: &str = "turn_relayed_inside_packets_total";

/// Longer than an exposition takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the server's metrics; `None` where no packet went from allocation to allocation.
///
/// # Errors
/// They cannot be had, or have no such counter.
pub(crate) fn share(metrics: SocketAddr) -> anyhow::Result<Option<f64>> {
    let mut stream = TcpStream::connect_timeout(&metrics, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {metrics}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    share_in(&text)
}

fn share_in(exposition: &str) -> anyhow::Result<Option<f64>> {
    let same = sample(exposition, "same")?;
    let other = sample(exposition, "other")?;
    Ok((same + other > 0.0).then(|| other / (same + other)))
}

fn sample(exposition: &str, shard: &str) -> anyhow::Result<f64> {
    let name = format!("{COUNTER}{{shard=\"{shard}\"}} ");
    let value = exposition.lines().find_map(|line| line.strip_prefix(&name));
    let value = value.with_context(|| format!("the metrics have no {name}"))?;
    Ok(value.trim().parse()?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use super::*;

    #[test]
    fn share_is_that_of_the_other_shard() {
        let text = exposition(30, 10);
        assert_eq!(share_in(&text).unwrap().map(f64::to_bits), Some(0.25_f64.to_bits()));
        assert_eq!(share_in(&exposition(0, 0)).unwrap(), None);
    }

    #[test]
    fn missing_counter_is_an_error() {
        let said = share_in("HTTP/1.1 404 Not Found\r\n\r\n").unwrap_err().to_string();
        assert!(said.contains(COUNTER), "{said}");
    }

    fn exposition(same: u32, other: u32) -> String {
        format!(
            "HTTP/1.1 200 OK\r\n\r\n# TYPE {COUNTER} counter\n{COUNTER}{{shard=\"same\"}} {same}\n\
             {COUNTER}{{shard=\"other\"}} {other}\n"
        )
    }
}
