//! Control messages (`cmsg(3)`): segment sizes and local addresses beside a
//! datagram.
//!
//! ```text
//! length: size_t (header and data)   level: int   type: int   data, padded to the size of size_t
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Room for the two control messages a datagram can have here: a segment size
/// and a local address.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct ControlSpace([u8; Self::SIZE]);

/// What the control messages of a received datagram say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// The size of all segments of a train but the last (`UDP_GRO`).
    pub(crate) segment: Option<u16>,
    /// The destination address (`IP_PKTINFO`, `IPV6_PKTINFO`).
    pub(crate) to: Option<IpAddr>,
}

impl ControlSpace {
    /// Room for an int and an `in6_pktinfo` with a header each.
    pub(crate) const SIZE: usize = space(size_of::<i32>()) + space(20);

    pub(crate) const EMPTY: Self = Self([0; Self::SIZE]);

    /// Writes what goes beside a datagram on its way out and returns the
    /// length, 0 if there is nothing to say.
    ///
    /// `scope` is the interface of a link-local source, 0 otherwise.
    pub(crate) fn write(
        &mut self,
        segment: Option<u16>,
        source: Option<IpAddr>,
        scope: u32,
    ) -> usize {
        let mut used = 0;
        if let Some(size) = segment {
            used = self.put(used, libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
        }
        match source {
            None => used,
            Some(IpAddr::V4(ip)) => {
                // in_pktinfo: ifindex, spec_dst (here: the source), addr (ignored).
                let mut info = [0; 12];
                if let Some(field) = info.get_mut(4..8) {
                    field.copy_from_slice(&ip.octets());
                }
                self.put(used, libc::IPPROTO_IP, libc::IP_PKTINFO, &info)
            }
            Some(IpAddr::V6(ip)) => {
                // in6_pktinfo: addr, ifindex.
                let mut info = [0; 20];
                let (address, interface) = info.split_at_mut(16);
                address.copy_from_slice(&ip.octets());
                interface.copy_from_slice(&scope.to_ne_bytes());
                self.put(used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)
            }
        }
    }

    /// Reads the first `length` bytes as the kernel wrote them.
    pub(crate) fn read(&self, length: usize) -> Received {
        let mut received = Received::default();
        let mut rest = self.0.get(..length).unwrap_or(&self.0);
        while let Some((level, kind, data, next)) = split_message(rest) {
            rest = next;
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size = data.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
                    received.segment = size.and_then(|size| u16::try_from(size).ok());
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let octets: Option<&[u8; 4]> =
                        data.get(8..).and_then(|data| data.first_chunk());
                    received.to = octets.map(|octets| Ipv4Addr::from(*octets).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let octets: Option<&[u8; 16]> = data.first_chunk();
                    received.to = octets.map(|octets| Ipv6Addr::from(*octets).into());
                }
                _ => {}
            }
        }
        received
    }

    /// Puts one message at `used` and returns where the next one goes.
    fn put(&mut self, used: usize, level: i32, kind: i32, data: &[u8]) -> usize {
        let length = HEADER + data.len();
        let next = used + space(data.len());
        let Some(message) = self.0.get_mut(used..next) else {
            debug_assert!(false, "SIZE has room for both messages");
            return used;
        };
        message.fill(0);
        let fields =
            length.to_ne_bytes().into_iter().chain(level.to_ne_bytes()).chain(kind.to_ne_bytes());
        for (byte, field) in message.iter_mut().zip(fields.chain(data.iter().copied())) {
            *byte = field;
        }
        next
    }
}

/// Splits the first message off: level, type, data, what follows.
fn split_message(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (level, rest) = rest.split_first_chunk()?;
    let (kind, _) = rest.split_first_chunk()?;
    let length = usize::from_ne_bytes(*length);
    let data = bytes.get(HEADER..length)?;
    let next = bytes.get(align(length)..).unwrap_or_default();
    Some((i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind), data, next))
}

/// The size of `cmsghdr`, a multiple of its alignment on every Linux target.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<i32>();

/// Rounds up to where the next message may start (`CMSG_ALIGN`).
const fn align(length: usize) -> usize {
    length.next_multiple_of(size_of::<usize>())
}

/// The bytes that a message with so much data takes (`CMSG_SPACE`).
const fn space(data: usize) -> usize {
    align(HEADER) + align(data)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::mem;

    use super::*;

    #[test]
    fn layout_is_that_of_the_c_macros() {
        assert_eq!(HEADER, size_of::<libc::cmsghdr>());
        for data in [2, 4, 12, 20] {
            // SAFETY: CMSG_SPACE computes and touches no memory.
            let theirs = unsafe { libc::CMSG_SPACE(data) };
            assert_eq!(space(usize::try_from(data).unwrap()), usize::try_from(theirs).unwrap());
        }
        assert_eq!(size_of::<libc::in_pktinfo>(), 12);
        assert_eq!(mem::offset_of!(libc::in_pktinfo, ipi_spec_dst), 4);
        assert_eq!(mem::offset_of!(libc::in_pktinfo, ipi_addr), 8);
        assert_eq!(size_of::<libc::in6_pktinfo>(), 20);
        assert_eq!(mem::offset_of!(libc::in6_pktinfo, ipi6_ifindex), 16);
    }

    #[test]
    fn both_messages_of_a_datagram_are_read() {
        let mut space = ControlSpace::EMPTY;
        let used = space.put(0, libc::SOL_UDP, libc::UDP_GRO, &1200_i32.to_ne_bytes());
        let mut info = [0; 20];
        info.get_mut(..16).unwrap().copy_from_slice(&Ipv6Addr::LOCALHOST.octets());
        let used = space.put(used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        assert_eq!(used, ControlSpace::SIZE);
        let expected = Received { segment: Some(1200), to: Some(Ipv6Addr::LOCALHOST.into()) };
        assert_eq!(space.read(used), expected);
    }

    #[test]
    fn nothing_to_say_has_length_zero() {
        let mut space = ControlSpace::EMPTY;
        assert_eq!(space.write(None, None, 0), 0);
        assert_eq!(ControlSpace::EMPTY.read(0), Received::default());
    }

    #[test]
    fn a_broken_length_ends_the_reading() {
        let mut space = ControlSpace::EMPTY;
        let used = space.put(0, libc::SOL_UDP, libc::UDP_GRO, &1200_i32.to_ne_bytes());
        for length in [0_usize, 1, HEADER - 1, ControlSpace::SIZE + 1, usize::MAX] {
            space.0.get_mut(..8).unwrap().copy_from_slice(&length.to_ne_bytes());
            assert_eq!(space.read(used), Received::default());
        }
    }
}
