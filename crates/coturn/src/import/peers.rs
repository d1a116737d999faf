//! Whom clients may reach.
//!
//! In coturn allowing beats denying, and here it is the other way round; so what is allowed is
//! taken out of what is denied. Own addresses open port by port only, so an own address that is
//! allowed opens those that no service of the system has and that are not ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use turn_config::{AddressRange, PeerRule};

use super::ImportOptions;
use super::draft::Draft;
use super::relay::{private_halves, public_halves};
use crate::note::NoteKind;
use crate::parsed::Setting;
use crate::ranges::{lies_in, mapped, one, parse, without};

pub(super) fn import(draft: &mut Draft<'_>, options: ImportOptions) -> Vec<PeerRule> {
    let own = own_addresses(draft);
    let allowed: Vec<_> = read(draft, "allowed-peer-ip");
    let denied: Vec<_> = read(draft, "denied-peer-ip");
    let halves = private_halves(draft);

    let holes: Vec<AddressRange> =
        allowed.iter().map(|(_, range)| *range).chain(halves.iter().copied().map(one)).collect();
    let mut deny = Vec::new();
    for (_, range) in &denied {
        add(&mut deny, without(*range, &holes).into_iter().map(whole));
    }

    let mut allow = Vec::new();
    for (setting, range) in &allowed {
        let rules = allow_rules(draft, setting, *range, &own);
        add(&mut allow, rules);
    }
    for half in halves.into_iter().chain(public_halves(draft)) {
        let rules = ports_of(draft, half);
        add(&mut allow, rules);
    }

    let denied: Vec<AddressRange> = deny.iter().map(|rule| rule.range).collect();
    let mut closed = Vec::new();
    add(&mut closed, coturns_policy(draft, &own, &denied));
    closed.retain(|rule| !allow.contains(rule));
    if options.keep_peer_policy {
        add(&mut allow, closed.iter().cloned());
    }
    draft.config.peers.allow = allow;
    draft.config.peers.deny = deny;
    closed
}

/// The ranges of an option, without IPv4 in the spelling of IPv6: that is refused whatever a rule
/// says.
fn read<'a>(draft: &mut Draft<'a>, name: &str) -> Vec<(&'a Setting, AddressRange)> {
    let mut ranges = Vec::new();
    for setting in draft.all(name) {
        let text = setting.value.reveal();
        let found = match parse(text) {
            Ok(Some(range)) => vec![range],
            Ok(None) => draft.addresses_of(text).into_iter().map(one).collect(),
            Err(message) => {
                draft.refuse(setting, message);
                continue;
            }
        };
        if found.is_empty() {
            draft.refuse(setting, "neither an address, a range `a-b` nor a name that is known");
        } else if found.iter().any(|it| it.first == it.last && it.last.is_unspecified()) {
            let message = "that one address; for coturn since 4.9 it is every address, so write a range \
                           where that is meant";
            draft.note(setting, NoteKind::Changed, message);
        } else if text.contains('/') {
            let message = "the prefix is taken as such; coturn knows ranges `a-b` only";
            draft.note(setting, NoteKind::Changed, message);
        }
        let pieces = found.into_iter().flat_map(|range| without(range, &[mapped()]));
        ranges.extend(pieces.map(|range| (setting, range)));
    }
    ranges
}

/// What an allowed range opens.
fn allow_rules(
    draft: &mut Draft<'_>,
    setting: &Setting,
    range: AddressRange,
    own: &[IpAddr],
) -> Vec<PeerRule> {
    let never = |first: IpAddr, last: IpAddr| lies_in(range, AddressRange { first, last });
    if never([127, 0, 0, 0].into(), [127, 255, 255, 255].into())
        || never(Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into())
    {
        let message = "loopback peers are opened by `allow-loopback-peers` only, for trials";
        draft.note(setting, NoteKind::Ignored, message);
        return Vec::new();
    }
    if never([224, 0, 0, 0].into(), [239, 255, 255, 255].into())
        || range.first.is_multicast() && range.last.is_multicast()
        || range.last.is_unspecified()
    {
        let message = "multicast and unspecified peers are never opened";
        draft.note(setting, NoteKind::Ignored, message);
        return Vec::new();
    }
    if range.first == range.last && own.contains(&range.first) {
        return ports_of(draft, range.first);
    }
    let inside: Vec<String> =
        own.iter().filter(|own| range.contains(**own)).map(IpAddr::to_string).collect();
    if !inside.is_empty() {
        let message = format!(
            "addresses of this host stay closed ({}); to open their ports from 1024, add a line for \
             each: allowed-peer-ip=ADDRESS",
            inside.join(", ")
        );
        draft.note(setting, NoteKind::Changed, message);
    }
    vec![whole(range)]
}

/// Addresses of this host that peers could be at.
fn own_addresses(draft: &Draft<'_>) -> Vec<IpAddr> {
    let config = &draft.config;
    let external =
        config.relay.external.iter().flat_map(|it| [Some(it.public), it.bound]).flatten();
    let listening = config.listen.iter().map(|listen| listen.address.ip());
    let relay = config.relay.addresses.iter().copied();
    let all = draft.surroundings.addresses.iter().map(IpAddr::to_canonical);
    let mut own = Vec::new();
    for address in all.chain(external).chain(listening).chain(relay) {
        let is_link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let counts = !address.is_unspecified() && !address.is_loopback() && !is_link_local;
        if counts && !own.contains(&address) {
            own.push(address);
        }
    }
    own
}

/// The ports of an own address that may be opened: from 1024 on, but for our own and those of the
/// stores that coturn may have beside it.
fn ports_of(draft: &Draft<'_>, address: IpAddr) -> Vec<PeerRule> {
    let config = &draft.config;
    let metrics = config.metrics.address.address().map(|address| address.port());
    let admin = config.admin.address.map(|address| address.port());
    let mut closed: Vec<u16> = config.listen.iter().map(|listen| listen.address.port()).collect();
    closed.extend(metrics.into_iter().chain(admin).chain(STORES));
    closed.sort_unstable();
    closed.dedup();
    let mut rules = Vec::new();
    let mut first: u16 = 1024;
    for port in closed.into_iter().filter(|port| *port >= 1024) {
        if first < port {
            rules.push(with_ports(address, first..=port - 1));
        }
        let Some(next) = port.checked_add(1) else { return rules };
        first = next;
    }
    rules.push(with_ports(address, first..=u16::MAX));
    rules
}

/// MySQL, PostgreSQL, Redis, MongoDB.
const STORES: [u16; 4] = [3306, 5432, 6379, 27017];

/// What coturn has open where no rule says otherwise, and our built-in list has closed.
///
/// Not opened all the same: link-local peers, which are the metadata services of clouds and which
/// coturn itself has closed since 4.13.
fn coturns_policy(draft: &mut Draft<'_>, own: &[IpAddr], denied: &[AddressRange]) -> Vec<PeerRule> {
    let mut reserved: Vec<AddressRange> = RESERVED
        .iter()
        .filter_map(|(first, last)| {
            Some(AddressRange { first: first.parse().ok()?, last: last.parse().ok()? })
        })
        .collect();
    if !draft.is_on("no-multicast-peers") {
        let (first, last) = (Ipv4Addr::new(240, 0, 0, 0), Ipv4Addr::new(255, 255, 255, 254));
        reserved.push(AddressRange { first: first.into(), last: last.into() });
    }
    // What a denied range leaves around an own address opens nothing by itself.
    let is_own = |range: &AddressRange| range.first == range.last && own.contains(&range.first);
    let open = reserved.into_iter().flat_map(|range| without(range, denied));
    let open = open.filter(|range| !is_own(range)).map(whole);
    let is_denied = |address: &&IpAddr| denied.iter().any(|range| range.contains(**address));
    let services = own.iter().filter(|address| !is_denied(address));
    let services: Vec<PeerRule> = services.flat_map(|address| ports_of(draft, *address)).collect();
    open.chain(services).collect()
}

/// What the built-in list closes and coturn has open.
const RESERVED: [(&str, &str); 19] = [
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.31.196.0", "192.31.196.255"),
    ("192.52.193.0", "192.52.193.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("192.175.48.0", "192.175.48.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

fn add(rules: &mut Vec<PeerRule>, more: impl IntoIterator<Item = PeerRule>) {
    for rule in more {
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
}

fn whole(range: AddressRange) -> PeerRule {
    PeerRule { range, ports: None }
}

fn with_ports(address: IpAddr, ports: RangeInclusive<u16>) -> PeerRule {
    PeerRule { range: one(address), ports: Some(ports) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use turn_config::Config;

    use super::super::bench::{config, imported, refused, surroundings, warnings};
    use super::super::import as import_all;
    use super::*;
    use crate::file::parse_file;

    fn spell(rules: &[PeerRule]) -> String {
        rules.iter().map(PeerRule::to_string).collect::<Vec<_>>().join(" ")
    }

    fn allow(text: &str) -> String {
        spell(&config(text).peers.allow)
    }

    fn deny(text: &str) -> String {
        spell(&config(text).peers.deny)
    }

    fn kept(text: &str) -> Config {
        let options = ImportOptions { keep_peer_policy: true };
        import_all(&parse_file(text, "t.conf"), &surroundings(), options).unwrap().config
    }

    #[test]
    fn allowed_ranges_are_taken_out_of_denied_ones() {
        let text =
            "denied-peer-ip=192.168.0.0-192.168.255.255\nallowed-peer-ip=192.168.7.0-192.168.7.255";
        assert_eq!(deny(text), "192.168.0.0-192.168.6.255 192.168.8.0-192.168.255.255");
        assert_eq!(allow(text), "192.168.7.0/24");
        assert_eq!(deny("denied-peer-ip=9.9.9.9\nallowed-peer-ip=0.0.0.0-255.255.255.255"), "");
    }

    #[test]
    fn an_own_address_opens_its_ports_but_for_those_of_this_server_and_of_stores() {
        let text = "denied-peer-ip=10.0.0.0-10.255.255.255\nallowed-peer-ip=10.20.0.5\nprometheus";
        assert_eq!(deny(text), "10.0.0.0-10.20.0.4 10.20.0.6-10.255.255.255");
        assert_eq!(
            allow(text),
            "10.20.0.5:1024-3305 10.20.0.5:3307-3477 10.20.0.5:3479-5431 10.20.0.5:5433-6378 \
             10.20.0.5:6380-9640 10.20.0.5:9642-27016 10.20.0.5:27018-65535"
        );
    }

    #[test]
    fn the_private_half_of_an_external_address_is_opened_likewise() {
        let text = "external-ip=203.0.113.7/10.20.0.5\ndenied-peer-ip=10.0.0.0-10.255.255.255";
        assert!(allow(text).starts_with("10.20.0.5:1024-3305 "));
        // By its public name the same peer is meant.
        assert!(allow(text).contains(" 203.0.113.7:1024-3305 "));
        assert_eq!(deny(text), "10.0.0.0-10.20.0.4 10.20.0.6-10.255.255.255");
    }

    #[test]
    fn a_range_around_an_own_address_leaves_it_closed_and_says_so() {
        let text = "allowed-peer-ip=10.0.0.0-10.255.255.255";
        assert_eq!(allow(text), "10.0.0.0/8");
        assert!(warnings(text).contains("stay closed (10.20.0.5)"));
    }

    #[test]
    fn a_lone_zero_address_is_that_one_address() {
        for zero in ["0.0.0.0", "::", "::0"] {
            let text = format!("denied-peer-ip={zero}");
            assert!(["0.0.0.0", "::"].contains(&deny(&text).as_str()), "{zero}");
            assert!(
                warnings(&text).contains("t.conf:1: denied-peer-ip: changed: that one address")
            );
        }
        assert_eq!(warnings("denied-peer-ip=0.0.0.0-0.255.255.255"), "");
    }

    #[test]
    fn ipv4_in_the_spelling_of_ipv6_needs_no_rule() {
        let text = "denied-peer-ip=::ffff:0.0.0.0-::ffff:255.255.255.255";
        assert_eq!((deny(text), warnings(text)), (String::new(), String::new()));
        let around = "denied-peer-ip=::-::ffff:ffff:ffff:ffff";
        assert_eq!(deny(around), "::-::fffe:ffff:ffff ::1:0:0:0-::ffff:ffff:ffff:ffff");
    }

    #[test]
    fn prefixes_and_names_are_taken() {
        assert_eq!(deny("denied-peer-ip=10.0.0.0/8"), "10.0.0.0/8");
        assert!(warnings("denied-peer-ip=10.0.0.0/8").contains("coturn knows ranges"));
        assert_eq!(deny("denied-peer-ip=media.example.org"), "192.0.2.80 192.0.2.81");
    }

    #[test]
    fn h35_a_rule_that_cannot_be_read_stops_the_start_with_its_line() {
        assert!(
            refused("syslog\ndenied-peer-ip=10.1.2.3/8")
                .contains("t.conf:2: denied-peer-ip: the address has bits")
        );
        assert!(refused("denied-peer-ip=nowhere.example").contains("neither an address"));
        assert!(
            refused("denied-peer-ip=10.0.0.0\u{1}-10.9.9.9").contains("t.conf:1: denied-peer-ip")
        );
        assert!(refused("denied-peer-ip=\u{fffd}").contains("t.conf:1: denied-peer-ip"));
        assert!(refused("allowed-peer-ip=10.0.0.").contains("neither an address"));
    }

    #[test]
    fn loopback_and_multicast_are_not_opened() {
        for text in
            ["allowed-peer-ip=127.0.0.1", "allowed-peer-ip=::1", "allowed-peer-ip=224.0.0.1"]
        {
            assert_eq!(allow(text), "", "{text}");
            assert!(warnings(text).contains("ignored"), "{text}");
        }
    }

    #[test]
    fn private_peers_stay_closed_unless_the_policy_is_kept() {
        assert_eq!(allow(""), "");
        let import = imported("");
        assert_eq!(kept("").peers.allow, import.closed_peers);
        let kept =
            spell(&kept("denied-peer-ip=10.0.0.0-10.127.255.255\nno-multicast-peers").peers.allow);
        assert!(kept.starts_with("10.128.0.0/9 100.64.0.0/10 "), "{kept}");
        for (range, is_open) in [
            ("192.168.0.0/16", true),
            ("fc00::/7", true),
            ("169.254.0.0/16", false),
            ("fe80::/10", false),
            ("240.0.0.0", false),
        ] {
            assert_eq!(kept.contains(range), is_open, "{range} in {kept}");
        }
        assert!(!kept.contains("10.20.0.5"), "denied, and so not opened: {kept}");
    }

    #[test]
    fn the_kept_policy_opens_services_of_this_host_too() {
        assert!(spell(&kept("").peers.allow).contains("10.20.0.5:1024-3305"));
        assert!(spell(&kept("").peers.allow).contains("240.0.0.0-255.255.255.254"));
        let text = "denied-peer-ip=10.0.0.0-10.255.255.255\nallowed-peer-ip=10.20.0.5";
        let kept = kept(text).peers.allow;
        assert!(!kept.iter().any(|rule| rule.to_string() == "10.20.0.5"), "{}", spell(&kept));
    }
}
