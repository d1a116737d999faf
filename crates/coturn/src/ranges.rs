//! Ranges of addresses: read as coturn spells them, and cut out of each other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use turn_config::AddressRange;

/// Reads `a-b`, an address, or a prefix, which coturn has not. `Ok(None)`: none of these, so perhaps a
/// host name.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Option<AddressRange>, String> {
    if let Some((address, length)) = text.split_once('/') {
        return prefix(address, length).map(Some);
    }
    if let Some((first, last)) = text.split_once('-')
        && let (Some(first), Some(last)) = (address(first), address(last))
    {
        if first.is_ipv4() != last.is_ipv4() {
            return Err("the ends of the range are of two address families".to_owned());
        }
        if first > last {
            return Err(format!("the first address is above the last: write {last}-{first}"));
        }
        return Ok(Some(AddressRange { first, last }));
    }
    Ok(address(text).map(one))
}

fn address(text: &str) -> Option<IpAddr> {
    text.trim().trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The range of one address.
pub(crate) fn one(address: IpAddr) -> AddressRange {
    AddressRange { first: address, last: address }
}

fn prefix(text: &str, length: &str) -> Result<AddressRange, String> {
    let wrong = || "not a prefix such as 10.0.0.0/8".to_owned();
    let first = address(text).ok_or_else(wrong)?;
    let (number, bits) = number(first);
    let length = length.trim().parse::<u32>().ok().filter(|length| *length <= bits);
    let length = length.ok_or_else(wrong)?;
    let host = if length == 0 { all(bits) } else { all(bits) >> length };
    if number & host != 0 {
        // Silently cut, `10.1.2.3/8` would be all of 10.0.0.0/8. [H35]
        let whole = of(number & !host, first.is_ipv4());
        return Err(format!("the address has bits behind the /{length}: write {whole}/{length}"));
    }
    Ok(AddressRange { first, last: of(number | host, first.is_ipv4()) })
}

/// `range` without what lies in any of `holes`.
pub(crate) fn without(range: AddressRange, holes: &[AddressRange]) -> Vec<AddressRange> {
    holes.iter().fold(vec![range], |pieces, hole| {
        pieces.into_iter().flat_map(|piece| cut(piece, *hole)).collect()
    })
}

/// The same addresses as one list in their order, IPv4 first, of which no two touch.
pub(crate) fn union(mut ranges: Vec<AddressRange>) -> Vec<AddressRange> {
    let start = |range: &AddressRange| (!range.first.is_ipv4(), number(range.first).0);
    ranges.sort_by_key(start);
    let mut joined: Vec<AddressRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if touch(*last, range) => last.last = last.last.max(range.last),
            Some(_) | None => joined.push(range),
        }
    }
    joined
}

/// Whether `next`, which does not begin before `range`, overlaps or follows it without a gap.
fn touch(range: AddressRange, next: AddressRange) -> bool {
    range.first.is_ipv4() == next.first.is_ipv4()
        && number(next.first).0 <= number(range.last).0.saturating_add(1)
}

/// `ranges` without `holes`, each as [`union`] leaves them.
pub(crate) fn difference(ranges: &[AddressRange], holes: &[AddressRange]) -> Vec<AddressRange> {
    let mut left = Vec::with_capacity(ranges.len());
    for range in ranges {
        let is_ipv4 = range.first.is_ipv4();
        let is_before = |hole: &AddressRange| {
            let key = |address: IpAddr| (!address.is_ipv4(), number(address).0);
            key(hole.last) < key(range.first)
        };
        let from = holes.partition_point(is_before);
        let mut rest = Some(*range);
        for hole in holes.iter().skip(from) {
            let Some(piece) = rest else { break };
            if hole.first.is_ipv4() != is_ipv4 || hole.first > piece.last {
                break;
            }
            let mut pieces = cut(piece, *hole);
            // What lies above the hole may have another one; what lies below has none.
            rest = pieces.pop_if(|it| it.first > hole.last);
            left.append(&mut pieces);
        }
        left.extend(rest);
    }
    left
}

fn cut(range: AddressRange, hole: AddressRange) -> Vec<AddressRange> {
    let is_ipv4 = range.first.is_ipv4();
    let ((first, bits), (last, _)) = (number(range.first), number(range.last));
    let ((from, _), (to, _)) = (number(hole.first), number(hole.last));
    if hole.first.is_ipv4() != is_ipv4 || to < first || last < from {
        return vec![range];
    }
    let below = (first < from).then(|| (first, from - 1));
    let above = (to < last && to < all(bits)).then(|| (to + 1, last));
    let piece = |(first, last)| AddressRange { first: of(first, is_ipv4), last: of(last, is_ipv4) };
    [below, above].into_iter().flatten().map(piece).collect()
}

/// IPv4 addresses in the spelling of IPv6, which no rule of ours names.
pub(crate) fn mapped() -> AddressRange {
    let v6 = |low: u32| IpAddr::V6(Ipv6Addr::from_bits(0xffff_0000_0000 | u128::from(low)));
    AddressRange { first: v6(0), last: v6(u32::MAX) }
}

/// Whether all of `range` lies in `whole`.
pub(crate) fn lies_in(range: AddressRange, whole: AddressRange) -> bool {
    whole.contains(range.first) && whole.contains(range.last)
}

/// The address as a number, and its bits.
fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// The highest number of so many bits.
fn all(bits: u32) -> u128 {
    if bits == 32 { u128::from(u32::MAX) } else { u128::MAX }
}

fn of(number: u128, is_ipv4: bool) -> IpAddr {
    if is_ipv4 {
        // Numbers of IPv4 come from addresses of it, so they fit.
        Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into()
    } else {
        Ipv6Addr::from_bits(number).into()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn range(text: &str) -> AddressRange {
        parse(text).unwrap().unwrap()
    }

    fn without_text(text: &str, holes: &[&str]) -> String {
        let holes: Vec<AddressRange> = holes.iter().map(|hole| range(hole)).collect();
        let left: Vec<String> =
            without(range(text), &holes).iter().map(AddressRange::to_string).collect();
        left.join(" ")
    }

    #[test]
    fn ranges_addresses_and_prefixes_are_read() {
        assert_eq!(range("10.0.0.0-10.255.255.255").to_string(), "10.0.0.0/8");
        assert_eq!(range("::1").to_string(), "::1");
        assert_eq!(range("fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").to_string(), "fc00::/7");
        assert_eq!(range("192.168.0.0/16").to_string(), "192.168.0.0/16");
        assert_eq!(range("::/0").to_string(), "::/0");
        assert_eq!(parse("media-1.example.org"), Ok(None));
    }

    #[test]
    fn h35_what_is_no_range_is_refused_with_what_would_be_right() {
        let message = |text| parse(text).unwrap_err();
        assert!(message("10.1.2.3/8").contains("write 10.0.0.0/8"));
        assert!(message("10.0.0.9-10.0.0.1").contains("write 10.0.0.1-10.0.0.9"));
        assert!(message("10.0.0.1-::1").contains("two address families"));
        assert!(message("10.0.0.0/33").contains("not a prefix"));
        assert!(message("a/8").contains("not a prefix"));
    }

    #[test]
    fn a_hole_leaves_what_is_below_and_above_it() {
        assert_eq!(
            without_text("10.0.0.0/8", &["10.20.0.5"]),
            "10.0.0.0-10.20.0.4 10.20.0.6-10.255.255.255"
        );
        assert_eq!(without_text("10.0.0.0/30", &["10.0.0.0", "10.0.0.3"]), "10.0.0.1-10.0.0.2");
        assert_eq!(without_text("10.0.0.0/8", &["0.0.0.0-255.255.255.255"]), "");
        assert_eq!(without_text("10.0.0.0/8", &["192.168.0.0/16", "::/0"]), "10.0.0.0/8");
        assert_eq!(
            without_text("255.255.255.0/24", &["255.255.255.255"]),
            "255.255.255.0-255.255.255.254"
        );
        assert_eq!(
            without_text("::/0", &["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]).matches('-').count(),
            1
        );
    }
}
