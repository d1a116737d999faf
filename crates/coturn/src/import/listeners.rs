//! Where clients come in.
//!
//! coturn opens a UDP and a TCP socket at `listening-port` and another pair at
//! `tls-listening-port`, and tells on each by the first bytes what a client speaks. So every socket
//! speaks whatever is not switched off; what is switched off decides which sockets there are:
//!
//! | socket | there is one unless |
//! |---|---|
//! | UDP at `listening-port` | `no-udp` |
//! | TCP at `listening-port` | `no-tcp` |
//! | UDP at `tls-listening-port` | `no-dtls` |
//! | TCP at `tls-listening-port` | `no-tls` |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use turn_config::{AddressRange, Listen, Transport};

use super::draft::Draft;
use crate::note::NoteKind;

/// What is not switched off.
#[derive(Clone, Copy)]
struct Spoken {
    udp: bool,
    tcp: bool,
    tls: bool,
    dtls: bool,
}

pub(super) fn import(draft: &mut Draft<'_>) {
    let has_certificate = draft.config.tls.has_certificate();
    let mut spoken = Spoken {
        udp: !draft.is_on("no-udp"),
        tcp: !draft.is_on("no-tcp"),
        tls: has_certificate && !draft.is_on("no-tls"),
        dtls: has_certificate && !draft.is_on("no-dtls") && draft.flag("dtls") != Some(false),
    };
    let plain = draft.port("listening-port").unwrap_or(3478);
    let secure = draft.port("tls-listening-port").unwrap_or(5349);
    if let Some(setting) = draft.last("tls-listening-port")
        && !spoken.tls
        && !spoken.dtls
    {
        let message = "without TLS and DTLS nothing listens there, as in coturn";
        draft.note(setting, NoteKind::Changed, message);
    }
    let proxied = draft.port("tcp-proxy-port");
    if proxied.is_some() {
        (spoken.tcp, spoken.tls) = (false, false);
    }
    let mut listens = Vec::new();
    for address in addresses(draft) {
        add(&mut listens, SocketAddr::new(address, plain), spoken.at_plain());
        add(&mut listens, SocketAddr::new(address, secure), spoken.at_secure());
        if let Some(port) = proxied {
            let mut listen = listen(SocketAddr::new(address, port), vec![Transport::Tcp]);
            listen.proxy_protocol =
                vec![everybody(Ipv4Addr::UNSPECIFIED), everybody(Ipv6Addr::UNSPECIFIED)];
            listens.push(listen);
        }
    }
    for setting in draft.all("aux-server") {
        match setting.value.reveal().parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 && !address.ip().is_multicast() => {
                add(&mut listens, address, spoken.everywhere());
            }
            Ok(_) | Err(_) => {
                draft
                    .refuse(setting, "not an address and port; write 192.0.2.1:3478 or [::1]:3478");
            }
        }
    }
    if listens.is_empty() {
        draft.refuse_absent(
            "listening-port",
            "nothing is left to listen on: `no-udp` and `no-tcp` want a certificate (`cert`, `pkey`)",
        );
    }
    draft.config.listen = listens;
}

impl Spoken {
    fn at_plain(self) -> Vec<Transport> {
        self.on(self.udp, self.tcp)
    }

    fn at_secure(self) -> Vec<Transport> {
        self.on(self.dtls, self.tls)
    }

    fn everywhere(self) -> Vec<Transport> {
        self.on(true, true)
    }

    /// What is spoken where there is a UDP socket, a TCP socket or both.
    fn on(self, datagrams: bool, streams: bool) -> Vec<Transport> {
        let spoken = [
            (datagrams && self.udp, Transport::Udp),
            (streams && self.tcp, Transport::Tcp),
            (streams && self.tls, Transport::Tls),
            (datagrams && self.dtls, Transport::Dtls),
        ];
        spoken.into_iter().filter(|(is, _)| *is).map(|(_, transport)| transport).collect()
    }
}

/// The addresses to listen on; a wildcard where all of a family are meant.
fn addresses(draft: &mut Draft<'_>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for setting in draft.all("listening-ip") {
        let found = draft.addresses_of(setting.value.reveal());
        if found.is_empty() || found.iter().any(IpAddr::is_multicast) {
            draft.refuse(
                setting,
                "not an address of this host; write one, or remove the line for all",
            );
        }
        for address in found {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    if addresses.is_empty() {
        return everywhere(draft);
    }
    let wildcards: Vec<IpAddr> = addresses.iter().copied().filter(IpAddr::is_unspecified).collect();
    let is_covered = |address: &IpAddr| {
        !address.is_unspecified() && wildcards.iter().any(|all| all.is_ipv4() == address.is_ipv4())
    };
    addresses.retain(|address| !is_covered(address));
    addresses
}

/// Every address of the families that the host has.
fn everywhere(draft: &Draft<'_>) -> Vec<IpAddr> {
    let known = &draft.surroundings.addresses;
    let has_ipv6 = known.is_empty() || known.iter().any(IpAddr::is_ipv6);
    let wildcards =
        [Some(Ipv4Addr::UNSPECIFIED.into()), has_ipv6.then_some(Ipv6Addr::UNSPECIFIED.into())];
    wildcards.into_iter().flatten().collect()
}

fn add(listens: &mut Vec<Listen>, address: SocketAddr, transports: Vec<Transport>) {
    if transports.is_empty() {
        return;
    }
    let same = |other: &&mut Listen| {
        let wildcard = other.address.ip().is_unspecified();
        let same_family = other.address.is_ipv4() == address.is_ipv4();
        other.address.port() == address.port()
            && (other.address.ip() == address.ip() || wildcard && same_family)
    };
    match listens.iter_mut().find(same) {
        Some(listen) => {
            let all = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Dtls];
            let known = |it: &Transport| listen.transports.contains(it) || transports.contains(it);
            listen.transports = all.into_iter().filter(known).collect();
        }
        None => listens.push(listen(address, transports)),
    }
}

fn listen(address: SocketAddr, transports: Vec<Transport>) -> Listen {
    Listen { address, transports, proxy_protocol: Vec::new(), realm: None }
}

/// All of a family: whose PROXY header coturn believes.
fn everybody(first: impl Into<IpAddr>) -> AddressRange {
    let first = first.into();
    let last = match first {
        IpAddr::V4(_) => Ipv4Addr::BROADCAST.into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(u128::MAX).into(),
    };
    AddressRange { first, last }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{config, refused, short, warnings};

    const TLS: &str = "cert=cert.pem\npkey=key.pem\n";

    fn listens(text: &str) -> Vec<String> {
        short(&config(text).listen)
    }

    #[test]
    fn every_address_is_listened_on_where_none_is_written() {
        // The bench has no IPv6.
        assert_eq!(listens(""), ["0.0.0.0:3478 udp tcp"]);
        assert_eq!(
            listens("listening-ip=0.0.0.0\nlistening-ip=10.20.0.5"),
            ["0.0.0.0:3478 udp tcp"]
        );
        assert_eq!(listens("listening-ip=::"), ["[::]:3478 udp tcp"]);
    }

    #[test]
    fn both_ports_speak_everything_with_a_certificate() {
        assert_eq!(
            listens(&format!("{TLS}listening-ip=10.20.0.5\ntls-listening-port=443")),
            ["10.20.0.5:3478 udp tcp tls dtls", "10.20.0.5:443 udp tcp tls dtls",]
        );
    }

    #[test]
    fn one_port_for_both_is_one_listener() {
        let text = format!("{TLS}listening-port=443\ntls-listening-port=443\nno-dtls");
        assert_eq!(listens(&text), ["0.0.0.0:443 udp tcp tls"]);
    }

    #[test]
    fn what_is_switched_off_is_spoken_nowhere() {
        let with = |text: &str| listens(&format!("{TLS}{text}"));
        assert_eq!(with("no-tcp"), ["0.0.0.0:3478 udp dtls", "0.0.0.0:5349 udp tls dtls"]);
        assert_eq!(with("no-udp"), ["0.0.0.0:3478 tcp tls", "0.0.0.0:5349 tcp tls dtls"]);
        assert_eq!(with("no-tls"), ["0.0.0.0:3478 udp tcp dtls", "0.0.0.0:5349 udp dtls"]);
        assert_eq!(with("no-dtls"), ["0.0.0.0:3478 udp tcp tls", "0.0.0.0:5349 tcp tls"]);
        assert_eq!(with("dtls=0"), with("no-dtls"));
        assert_eq!(with("no-udp\nno-tcp"), ["0.0.0.0:5349 tls dtls"]);
        assert_eq!(with("no-tls=0\nno-dtls=off"), with(""));
    }

    #[test]
    fn without_a_certificate_the_tls_port_is_not_opened() {
        assert_eq!(listens("tls-listening-port=443"), ["0.0.0.0:3478 udp tcp"]);
        assert!(warnings("tls-listening-port=443").contains("nothing listens there"));
        assert!(refused("no-udp\nno-tcp").contains("nothing is left to listen on"));
    }

    #[test]
    fn a_proxy_port_replaces_all_other_streams() {
        let config = config(&format!("{TLS}tcp-proxy-port=8443\nlistening-ip=10.20.0.5"));
        assert_eq!(
            short(&config.listen),
            ["10.20.0.5:3478 udp dtls", "10.20.0.5:5349 udp dtls", "10.20.0.5:8443 tcp"]
        );
        let proxied: Vec<usize> =
            config.listen.iter().map(|listen| listen.proxy_protocol.len()).collect();
        assert_eq!(proxied, [0, 0, 2]);
    }

    #[test]
    fn auxiliary_servers_are_listeners() {
        let text = "listening-ip=10.20.0.5\naux-server=10.20.0.5:33478\naux-server=[::1]:33478";
        assert_eq!(
            listens(text),
            ["10.20.0.5:3478 udp tcp", "10.20.0.5:33478 udp tcp", "[::1]:33478 udp tcp"]
        );
        assert!(refused("aux-server=10.20.0.5").contains("write 192.0.2.1:3478"));
    }

    #[test]
    fn ports_and_addresses_that_are_none_are_refused() {
        assert!(refused("listening-port=http").contains("not a number"));
        assert!(refused("listening-port=70000").contains("not a port"));
        assert!(refused("listening-ip=eth0").contains("not an address"));
        assert_eq!(listens("listening-port=3479;"), ["0.0.0.0:3479 udp tcp"]);
        assert!(warnings("listening-port=3479;").contains("read as 3479"));
        assert_eq!(listens("listening-port=0"), ["0.0.0.0:3478 udp tcp"]);
    }

    #[test]
    fn a_name_is_looked_up() {
        assert_eq!(listens("listening-ip=media.example.org").len(), 2);
    }
}
