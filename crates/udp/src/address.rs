//! [`SocketAddr`] to and from the bytes of `sockaddr_in` and `sockaddr_in6`.
//!
//! ```text
//! sockaddr_in    family:2 (host order)  port:2  address:4
//! sockaddr_in6   family:2 (host order)  port:2  flowinfo:4  address:16  scope:4 (host order)
//! ```
//!
//! Written byte by byte, which needs no `unsafe` and is what a compiler makes
//! of it anyway. A test compares it with the C structures.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for the name of an IPv4 or IPv6 socket as the kernel reads and writes
/// it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct SocketName([u8; SIZE_V6]);

const SIZE_V4: usize = 16;
const SIZE_V6: usize = 28;

#[expect(clippy::cast_possible_truncation, reason = "AF_INET is 2 and AF_INET6 is 10")]
const FAMILIES: (u16, u16) = (libc::AF_INET as u16, libc::AF_INET6 as u16);

impl SocketName {
    /// No name yet.
    pub(crate) const EMPTY: Self = Self([0; SIZE_V6]);

    /// How many bytes the kernel may write.
    #[expect(clippy::cast_possible_truncation, reason = "28")]
    pub(crate) const CAPACITY: libc::socklen_t = SIZE_V6 as libc::socklen_t;

    /// The name of `address`.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut name = Self::EMPTY;
        let rest = &mut name.0[..];
        match address {
            SocketAddr::V4(v4) => {
                let rest = put(rest, FAMILIES.0.to_ne_bytes());
                let rest = put(rest, v4.port().to_be_bytes());
                put(rest, v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                let rest = put(rest, FAMILIES.1.to_ne_bytes());
                let rest = put(rest, v6.port().to_be_bytes());
                // Kept as std and socket2 keep it: the raw field.
                let rest = put(rest, v6.flowinfo().to_ne_bytes());
                let rest = put(rest, v6.ip().octets());
                put(rest, v6.scope_id().to_ne_bytes());
            }
        }
        name
    }

    /// How many bytes of it the kernel may read.
    #[inline]
    pub(crate) fn len(&self) -> libc::socklen_t {
        #[expect(clippy::cast_possible_truncation, reason = "16")]
        let length_v4 = SIZE_V4 as libc::socklen_t;
        let [a, b, ..] = self.0;
        if u16::from_ne_bytes([a, b]) == FAMILIES.1 { Self::CAPACITY } else { length_v4 }
    }

    /// The address in this name; `None` for another family.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let (family, rest) = self.0.split_first_chunk()?;
        let (port, rest) = rest.split_first_chunk()?;
        let port = u16::from_be_bytes(*port);
        let family = u16::from_ne_bytes(*family);
        if family == FAMILIES.0 {
            let ip: &[u8; 4] = rest.first_chunk()?;
            return Some(SocketAddrV4::new(Ipv4Addr::from(*ip), port).into());
        }
        if family != FAMILIES.1 {
            return None;
        }
        let (flow, rest) = rest.split_first_chunk()?;
        let (ip, rest) = rest.split_first_chunk::<16>()?;
        let scope = rest.first_chunk()?;
        let flow = u32::from_ne_bytes(*flow);
        let scope = u32::from_ne_bytes(*scope);
        Some(SocketAddrV6::new(Ipv6Addr::from(*ip), port, flow, scope).into())
    }
}

/// Writes `bytes` at the start of `into` and returns what follows.
fn put<const N: usize>(into: &mut [u8], bytes: [u8; N]) -> &mut [u8] {
    match into.split_first_chunk_mut() {
        Some((head, rest)) => {
            *head = bytes;
            rest
        }
        None => &mut [],
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::slice;

    use super::*;

    #[test]
    fn a_name_has_the_bytes_of_the_c_structure() {
        for address in samples() {
            let name = SocketName::new(address);
            let theirs = socket2::SockAddr::from(address);
            assert_eq!(name.len(), theirs.len());
            let length = usize::try_from(name.len()).unwrap();
            // SAFETY: socket2 says that so many bytes at this pointer are its
            // initialised address.
            let bytes = unsafe { slice::from_raw_parts(theirs.as_ptr().cast::<u8>(), length) };
            assert_eq!(name.0.get(..length).unwrap(), bytes);
        }
    }

    #[test]
    fn a_name_gives_its_address_back() {
        for address in samples() {
            assert_eq!(SocketName::new(address).address(), Some(address));
        }
    }

    #[test]
    fn a_name_of_another_family_is_no_address() {
        assert_eq!(SocketName::EMPTY.address(), None);
    }

    fn samples() -> [SocketAddr; 4] {
        [
            "192.0.2.1:3478".parse().unwrap(),
            "0.0.0.0:0".parse().unwrap(),
            "[2001:db8::1]:65535".parse().unwrap(),
            SocketAddrV6::new("fe80::1".parse().unwrap(), 1, 0x0102_0304, 7).into(),
        ]
    }
}
