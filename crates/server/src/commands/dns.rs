//! `turnserver dns`: the records by which clients find the server (RFC 5389 section 9, RFC 5928,
//! RFC 7350 section 6).

use std::fmt::Write as _;
use std::net::IpAddr;

use turn_config::{Config, Transport};

use crate::plan::relay_addresses;
use crate::surroundings::Surroundings;

/// A zone snippet for `host`, such as `turn.example.org`: addresses, SRV, NAPTR.
///
/// # Errors
/// Neither `host` nor the configuration says a name.
pub fn zone(config: &Config, host: Option<&str>) -> Result<String, String> {
    let named = config.credentials.as_ref().and_then(|it| it.host.as_deref());
    let is_name = |text: &&str| {
        text.contains('.')
            && text.parse::<IpAddr>().is_err()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    let Some(host) = host.or(named).map(|host| host.trim_end_matches('.')).filter(is_name) else {
        return Err("error: no host name for the records\n  = help: say it: --host turn.example.org, or write \
                    credentials.host"
            .to_owned());
    };
    let relay = relay_addresses(config, &Surroundings::find().unwrap_or_default());
    let addresses: Vec<IpAddr> = relay.addresses.iter().map(|relay| relay.advertised).collect();
    Ok(snippet(config, host, &addresses))
}

fn snippet(config: &Config, host: &str, addresses: &[IpAddr]) -> String {
    // Clients ask for the domain: that of turn.example.org is example.org.
    let domain = host.split_once('.').map(|(_, domain)| domain).filter(|it| it.contains('.'));
    let domain = domain.unwrap_or(host);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "; {host} as a STUN and TURN server of {domain}");
    for address in addresses {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        let is_public = match address {
            IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local()),
            IpAddr::V6(v6) => !(v6.is_unique_local() || v6.is_loopback()),
        };
        let remark = if is_public { "" } else { " ; private: write the public address instead" };
        let _ = writeln!(out, "{host}. 3600 IN {kind} {address}{remark}");
    }
    let services = services(config);
    let _ = writeln!(out, "\n; priority weight port");
    for service in &services {
        for name in [service.stun, service.turn] {
            let port = service.port;
            let _ = writeln!(out, "{name}.{domain}. 3600 IN SRV 10 0 {port} {host}.");
        }
    }
    let _ = writeln!(out, "\n; RFC 5928: which transport a client tries first");
    for (order, service) in services.iter().enumerate() {
        let _ = writeln!(
            out,
            "{domain}. 3600 IN NAPTR {} 10 \"S\" \"RELAY:{}\" \"\" {}.{domain}.",
            (order + 1) * 10,
            service.naptr,
            service.turn
        );
    }
    out
}

/// One transport of the server.
struct Service {
    stun: &'static str,
    turn: &'static str,
    naptr: &'static str,
    port: u16,
}

fn services(config: &Config) -> Vec<Service> {
    let all = [
        (Transport::Udp, "_stun._udp", "_turn._udp", "turn.udp"),
        (Transport::Tcp, "_stun._tcp", "_turn._tcp", "turn.tcp"),
        (Transport::Tls, "_stuns._tcp", "_turns._tcp", "turn.tls"),
        (Transport::Dtls, "_stuns._udp", "_turns._udp", "turn.dtls"),
    ];
    let mut services: Vec<Service> = Vec::new();
    for (transport, stun, turn, naptr) in all {
        let mut ports: Vec<u16> = config
            .listen
            .iter()
            .filter(|it| it.proxy_protocol.is_empty() && it.transports.contains(&transport))
            .map(|it| it.address.port())
            .collect();
        ports.dedup();
        if let Some(port) = ports.first() {
            services.push(Service { stun, turn, naptr, port: *port });
        }
    }
    services
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_snippet_has_the_listeners_that_there_are() {
        let text = "tls.self_signed = true\n[[listen]]\naddress = '0.0.0.0:3478'\n[[listen]]\n\
                    address = '0.0.0.0:443'\ntransports = ['tls']";
        let config = turn_config::from_str(text, std::path::Path::new("t")).unwrap();
        let addresses = ["203.0.113.7".parse().unwrap(), "10.0.0.1".parse().unwrap()];
        let zone = snippet(&config, "turn.example.org", &addresses);
        for line in [
            "turn.example.org. 3600 IN A 203.0.113.7\n",
            "turn.example.org. 3600 IN A 10.0.0.1 ; private",
            "_turn._udp.example.org. 3600 IN SRV 10 0 3478 turn.example.org.\n",
            "_stuns._tcp.example.org. 3600 IN SRV 10 0 443 turn.example.org.\n",
            "example.org. 3600 IN NAPTR 10 10 \"S\" \"RELAY:turn.udp\" \"\" _turn._udp.example.org.\n",
            "\"RELAY:turn.tls\" \"\" _turns._tcp.example.org.\n",
        ] {
            assert!(zone.contains(line), "{line}\n{zone}");
        }
        assert!(!zone.contains("_turns._udp"), "{zone}");
    }

    #[test]
    fn a_snippet_needs_a_name() {
        let config = Config::default();
        for host in [None, Some("localhost"), Some("203.0.113.7"), Some("a b.c")] {
            assert!(zone(&config, host).is_err(), "{host:?}");
        }
        assert!(zone(&config, Some("turn.example.org.")).is_ok());
    }
}
