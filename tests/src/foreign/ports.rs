//! Ports for programs that cannot be told "any free one".
//!
//! They come from below the kernel's ephemeral range and from below the relay range, so that no
//! socket of another test takes one between the choice and the bind.

use std::collections::BTreeSet;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_000;
const LAST: u32 = 31_999;

/// The next candidate, counted up from a place of this process's own.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that is free over UDP and TCP on an address.
///
/// # Panics
/// When there is none.
pub fn free_port(address: IpAddr) -> u16 {
    free_ports(address, 1)
}

/// The first of `count` ports in a row, an even number, all free over UDP and TCP on an address.
///
/// # Panics
/// When there is none.
pub fn free_ports(address: IpAddr, count: u16) -> u16 {
    let process = std::process::id().wrapping_mul(1_009);
    // An even number of ports a step keeps every row apart from its neighbours.
    let step = u32::from(count.next_multiple_of(2));
    for _ in 0..2_000 {
        let offset = NEXT.fetch_add(step, Ordering::Relaxed).wrapping_add(process);
        let first = (FIRST + offset % (LAST - FIRST - step)) & !1;
        let Ok(first) = u16::try_from(first) else {
            continue;
        };
        if (first..first + count).all(|port| is_free(address, port)) {
            return first;
        }
    }
    panic!("no {count} free ports in a row on {address}")
}

/// What listens in this network namespace, as `udp 203.0.113.7:3478`; a group of sockets on one address
/// is one entry.
///
/// # Panics
/// When there is no `ss`.
pub fn listening() -> BTreeSet<String> {
    let output = Command::new("ss").args(["-lntuH"]).output();
    let output = output.unwrap_or_else(|error| panic!("ss: {error}; run: cargo xtask tools"));
    let output = String::from_utf8_lossy(&output.stdout);
    let lines = output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter_map(|words| match *words {
            [protocol, _, _, _, local, ..] => Some(format!("{protocol} {local}")),
            _ => None,
        })
        .collect()
}

fn is_free(address: IpAddr, port: u16) -> bool {
    UdpSocket::bind((address, port)).is_ok() && TcpListener::bind((address, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn rows_of_ports_do_not_overlap() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (one, two, three) =
            (free_ports(address, 4), free_ports(address, 3), free_port(address));
        assert!(one.is_multiple_of(2) && two.is_multiple_of(2));
        assert!(one.abs_diff(two) >= 3 && two.abs_diff(three) >= 1 && one != three);
    }
}
