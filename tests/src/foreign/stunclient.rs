//! `turnutils_stunclient`: asks a server for the reflexive address.

use std::net::SocketAddr;
use std::time::Duration;

use super::process::{Running, coturn};

/// The reflexive addresses that `turnutils_stunclient` prints for a server; none when it got no
/// answer within the time.
///
/// # Panics
/// When coturn's tools are not there.
pub fn reflexive_addresses(server: SocketAddr, limit: Duration) -> Vec<SocketAddr> {
    let mut command = coturn("turnutils_stunclient");
    command.args(["-p", &server.port().to_string(), &server.ip().to_string()]);
    let finished = Running::start(&mut command).finish(limit);
    parse(&finished.output)
}

/// Lines as `0: : IPv4. UDP reflexive addr: 127.0.0.1:34615`; IPv6 comes without brackets.
fn parse(output: &str) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = output
        .lines()
        .filter_map(|line| line.split_once("reflexive addr: "))
        .filter_map(|(_, address)| address.trim().rsplit_once(':'))
        .filter_map(|(ip, port)| {
            let ip = ip.trim_matches(['[', ']']).parse().ok()?;
            Some(SocketAddr::new(ip, port.parse().ok()?))
        })
        .collect();
    found.dedup();
    found
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_read() {
        let output = "0: : IPv4. UDP reflexive addr: 127.0.0.1:34615\n\
                      0: : IPv6. UDP reflexive addr: ::1:34616\n";
        let expected: Vec<SocketAddr> =
            vec!["127.0.0.1:34615".parse().unwrap(), "[::1]:34616".parse().unwrap()];
        assert_eq!(parse(output), expected);
    }
}
