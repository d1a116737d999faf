//! Where relayed packets leave.

use std::net::IpAddr;

use turn_config::{DefaultFamily, External};

use super::draft::Draft;
use crate::note::NoteKind;
use crate::parsed::Setting;

pub(super) fn import(draft: &mut Draft<'_>) {
    let externals = externals(draft);
    draft.config.relay.addresses = addresses(draft, &externals);
    keep_externals(draft, externals);
    ports(draft);
    default_family(draft);
    draft.config.relay.tcp = !draft.is_on("no-tcp-relay");
    // As every coturn until 4.15, unless it is switched off.
    let channels = draft.flag("rfc5766-channel-numbers").unwrap_or(true);
    draft.config.relay.rfc5766_channel_numbers = channels;
}

/// Private halves of `external-ip`, which coturn lets peers be at.
pub(super) fn private_halves(draft: &Draft<'_>) -> Vec<IpAddr> {
    let values = draft.all("external-ip").filter_map(|it| it.value.reveal().split_once('/'));
    values.flat_map(|(_, private)| draft.addresses_of(private)).collect()
}

/// Their public halves, by which clients name the same peers.
pub(super) fn public_halves(draft: &Draft<'_>) -> Vec<IpAddr> {
    let values = draft.all("external-ip").filter_map(|it| it.value.reveal().split_once('/'));
    values.flat_map(|(public, _)| draft.addresses_of(public)).collect()
}

/// Whether a relay socket can be bound to `address`, or shown as it.
fn is_usable(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && address != IpAddr::from([255; 4])
}

type WrittenExternal<'a> = (&'a Setting, External);

fn externals<'a>(draft: &mut Draft<'a>) -> Vec<WrittenExternal<'a>> {
    let mut externals = Vec::new();
    for setting in draft.all("external-ip") {
        let value = setting.value.reveal();
        let (public, private) = match value.split_once('/') {
            Some((public, private)) => (public, Some(private)),
            None => (value, None),
        };
        let publics = draft.addresses_of(public);
        let privates = private.map(|private| draft.addresses_of(private));
        let found: Vec<External> = match &privates {
            None => publics.iter().map(|&public| External { public, bound: None }).collect(),
            Some(privates) => {
                let pair = |public: &IpAddr| {
                    let same = |private: &&IpAddr| private.is_ipv4() == public.is_ipv4();
                    let bound = privates.iter().find(same).copied();
                    bound.map(|bound| External { public: *public, bound: Some(bound) })
                };
                publics.iter().filter_map(pair).collect()
            }
        };
        let all = found.iter().flat_map(|it| [Some(it.public), it.bound]).flatten();
        if found.is_empty() || !all.into_iter().all(is_usable) {
            draft.refuse(
                setting,
                "not an address; write `public`, or `public/private` of one family",
            );
            continue;
        }
        externals.extend(found.into_iter().map(|external| (setting, external)));
    }
    externals
}

/// Keeps those that do not contradict each other.
fn keep_externals(draft: &mut Draft<'_>, externals: Vec<WrittenExternal<'_>>) {
    let mut kept: Vec<External> = Vec::new();
    for (setting, external) in externals {
        let same_family = |other: &External| other.public.is_ipv4() == external.public.is_ipv4();
        let addresses = &draft.config.relay.addresses;
        let message = if kept.contains(&external) {
            "it stands there twice"
        } else if kept.iter().any(|it| {
            it.public == external.public
                || it.bound.is_some() && it.bound == external.bound
                || same_family(it) && (it.bound.is_none() || external.bound.is_none())
        }) {
            "the first of its family counts, as in coturn; several need `public/private` each"
        } else if external.bound.is_some_and(|it| !addresses.is_empty() && !addresses.contains(&it))
        {
            "relay sockets are not bound to the private address; add it as `relay-ip`"
        } else {
            kept.push(external);
            continue;
        };
        draft.note(setting, NoteKind::Ignored, message);
    }
    draft.config.relay.external = kept;
}

/// `relay-ip`, or the addresses that clients come in by; nothing where those are all of the host.
fn addresses(draft: &mut Draft<'_>, externals: &[WrittenExternal<'_>]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for setting in draft.all("relay-ip") {
        let found = draft.addresses_of(setting.value.reveal());
        if found.iter().any(IpAddr::is_unspecified) {
            let message = "no peer can answer to it; the addresses of the default route are taken";
            draft.note(setting, NoteKind::Changed, message);
            continue;
        }
        if found.is_empty() || !found.iter().copied().all(is_usable) {
            draft.refuse(setting, "not an address of this host; write one, or remove the line");
        }
        addresses.extend(found);
    }
    if draft.last("relay-ip").is_none() {
        addresses = where_clients_come_in(draft, externals);
    }
    let mut unique = Vec::new();
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    unique
}

fn where_clients_come_in(draft: &mut Draft<'_>, externals: &[WrittenExternal<'_>]) -> Vec<IpAddr> {
    let listening: Vec<IpAddr> = draft.config.listen.iter().map(|it| it.address.ip()).collect();
    if listening.iter().any(IpAddr::is_unspecified) {
        return behind_nat(draft, externals);
    }
    let outside: Vec<IpAddr> = listening.iter().copied().filter(|it| !it.is_loopback()).collect();
    let outside = if outside.is_empty() { listening } else { outside };
    // Where the client came in, as in coturn.
    draft.config.relay.prefer_listener = true;
    outside
}

/// The private addresses that public ones stand for, and those of the host in the other family.
fn behind_nat(draft: &Draft<'_>, externals: &[WrittenExternal<'_>]) -> Vec<IpAddr> {
    let bound: Vec<IpAddr> = externals.iter().filter_map(|(_, external)| external.bound).collect();
    if bound.is_empty() {
        return Vec::new();
    }
    let is_missing = |address: &&IpAddr| bound.iter().all(|it| it.is_ipv4() != address.is_ipv4());
    let is_global = |address: &&IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    };
    let own = draft.surroundings.addresses.iter().filter(is_global).find(is_missing);
    bound.iter().copied().chain(own.copied()).collect()
}

fn ports(draft: &mut Draft<'_>) {
    let first = draft.port("min-port").unwrap_or(49_152);
    let last = draft.port("max-port").unwrap_or(65_535);
    if let Some(setting) = draft.last("min-port")
        && first < 1024
    {
        let message =
            "relayed ports begin at 1024 here, because those below pass for well-known services";
        draft.note(setting, NoteKind::Changed, message);
    }
    let first = first.max(1024);
    let setting = draft.last("max-port").or_else(|| draft.last("min-port"));
    match setting {
        Some(setting) if first > last => {
            draft.refuse(setting, format!("no port lies between {first} and {last}"));
        }
        Some(_) | None => draft.config.relay.ports = first..=last,
    }
}

fn default_family(draft: &mut Draft<'_>) {
    if draft.is_on("keep-address-family") {
        draft.config.relay.default_family = Some(DefaultFamily::Client);
    }
    let Some(setting) = draft.last("allocation-default-address-family") else { return };
    let family = match setting.value.reveal().to_ascii_lowercase().as_str() {
        "ipv4" => DefaultFamily::Ipv4,
        "ipv6" => DefaultFamily::Ipv6,
        "keep" => DefaultFamily::Client,
        _ => {
            draft.refuse(setting, "write ipv4, ipv6 or keep");
            return;
        }
    };
    draft.config.relay.default_family = Some(family);
}

#[cfg(test)]
mod tests {
    use turn_config::{Config, DefaultFamily};

    use super::super::bench::{config, refused, warnings};

    fn addresses(config: &Config) -> String {
        let all: Vec<String> = config.relay.addresses.iter().map(ToString::to_string).collect();
        all.join(" ")
    }

    fn external(text: &str) -> String {
        let all = config(text).relay.external;
        let one = |it: &turn_config::External| match it.bound {
            Some(bound) => format!("{}={bound} ", it.public),
            None => format!("{} ", it.public),
        };
        all.iter().map(one).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn relay_addresses_are_those_written_or_those_that_are_listened_on() {
        assert_eq!(
            addresses(&config("relay-ip=10.20.0.5\nrelay-ip=fd00::5\nrelay-ip=10.20.0.5")),
            "10.20.0.5 fd00::5"
        );
        assert_eq!(
            addresses(&config("listening-ip=10.20.0.5\nlistening-ip=127.0.0.1")),
            "10.20.0.5"
        );
        assert_eq!(addresses(&config("listening-ip=127.0.0.1")), "127.0.0.1");
        assert_eq!(addresses(&config("")), "");
        assert_eq!(addresses(&config("listening-ip=0.0.0.0")), "");
        assert_eq!(addresses(&config("relay-ip=0.0.0.0")), "");
        assert!(warnings("relay-ip=0.0.0.0").contains("no peer can answer"));
        let two = config("listening-ip=10.20.0.5\nlistening-ip=10.20.0.6");
        assert!(two.relay.prefer_listener);
        assert!(!config("relay-ip=10.20.0.5\nrelay-ip=10.20.0.6").relay.prefer_listener);
        assert!(refused("relay-ip=eth0").contains("not an address"));
    }

    #[test]
    fn a_public_address_stands_for_its_family() {
        assert_eq!(external("external-ip=203.0.113.7"), "203.0.113.7");
        assert_eq!(
            external("external-ip=203.0.113.7\nexternal-ip=2001:db8::7"),
            "203.0.113.7 2001:db8::7"
        );
        let twice = "external-ip=203.0.113.7\nexternal-ip=203.0.113.8";
        assert_eq!(external(twice), "203.0.113.7");
        assert!(
            warnings(twice).contains("t.conf:2: external-ip: ignored: the first of its family")
        );
        assert_eq!(external("external-ip="), "");
    }

    #[test]
    fn a_pair_binds_its_private_half() {
        let pair = config("external-ip=203.0.113.7/10.20.0.5");
        assert_eq!(addresses(&pair), "10.20.0.5");
        assert_eq!(external("external-ip=203.0.113.7/10.20.0.5"), "203.0.113.7=10.20.0.5");
        let two = "external-ip=203.0.113.7/10.20.0.5\nexternal-ip=203.0.113.8/10.20.0.6";
        assert_eq!(external(two), "203.0.113.7=10.20.0.5 203.0.113.8=10.20.0.6");
        let elsewhere = "relay-ip=10.20.0.6\nexternal-ip=203.0.113.7/10.20.0.5";
        assert_eq!(external(elsewhere), "");
        assert!(warnings(elsewhere).contains("add it as `relay-ip`"));
        assert!(refused("external-ip=203.0.113.7/::1").contains("of one family"));
        assert!(refused("external-ip=0.0.0.0").contains("not an address"));
        assert!(refused("external-ip=nowhere.example").contains("not an address"));
    }

    #[test]
    fn ports_stay_within_what_a_relay_may_use() {
        assert_eq!(config("min-port=50000\nmax-port=50100").relay.ports, 50_000..=50_100);
        assert_eq!(config("min-port=80").relay.ports, 1024..=65_535);
        assert!(warnings("min-port=80").contains("begin at 1024"));
        assert!(refused("min-port=50000\nmax-port=49999").contains("no port lies between"));
    }

    #[test]
    fn the_family_of_who_names_none() {
        let family = |text: &str| config(text).relay.default_family;
        assert_eq!(family(""), None);
        assert_eq!(family("keep-address-family"), Some(DefaultFamily::Client));
        assert_eq!(
            family("allocation-default-address-family=\"keep\""),
            Some(DefaultFamily::Client)
        );
        assert_eq!(family("allocation-default-address-family=ipv6"), Some(DefaultFamily::Ipv6));
        assert!(refused("allocation-default-address-family=both").contains("ipv4, ipv6 or keep"));
    }

    #[test]
    fn tcp_to_peers_is_on_unless_switched_off_and_old_channels_are_on() {
        assert!(config("").relay.tcp && !config("no-tcp-relay").relay.tcp);
        assert!(config("").relay.rfc5766_channel_numbers);
        assert!(!config("rfc5766-channel-numbers=0").relay.rfc5766_channel_numbers);
    }
}
