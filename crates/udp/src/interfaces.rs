//! The addresses of this host, and the one that faces the world.

use std::{
    ffi::CStr,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    ptr,
};

/// One address of one network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The name of the interface, `eth0`.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// The interface that a link-local IPv6 address belongs to, otherwise 0.
    pub scope_id: u32,
    /// The length of the network prefix in bits.
    pub prefix_length: u8,
    /// Whether the interface is up.
    pub is_up: bool,
    /// Whether the interface is a loopback interface.
    pub is_loopback: bool,
    /// The address that reaches everybody on the link (IPv4).
    pub broadcast: Option<Ipv4Addr>,
}

/// The IPv4 and IPv6 addresses of all interfaces, as of now.
///
/// # Errors
/// What `getifaddrs` says.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let mut list = ptr::null_mut();
    // SAFETY: `list` is writable for the length of the call.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let list = List(list);
    let mut addresses = Vec::new();
    let mut next = list.0;
    // SAFETY: `next` is null or points to an entry of the list, which lives
    // until `list` is dropped.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        addresses.extend(read_entry(entry));
    }
    Ok(addresses)
}

/// The local address that a packet to the world would leave from; `None`
/// where there is no default route in this family (any IPv4 or IPv6 address
/// names the family). No packet is sent.
pub fn default_route_source(family: IpAddr) -> Option<IpAddr> {
    // Documentation addresses: nobody has a route of their own to them.
    let (any, world): (IpAddr, SocketAddr) = match family {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into()),
        IpAddr::V6(_) => {
            let world = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
            (Ipv6Addr::UNSPECIFIED.into(), (world, 9).into())
        }
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(world).ok()?;
    let source = socket.local_addr().ok()?.ip();
    (!source.is_unspecified() && !source.is_loopback()).then_some(source)
}

/// The list of `getifaddrs`, freed when it is dropped.
struct List(*mut libc::ifaddrs);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `getifaddrs` and is freed once.
        unsafe { libc::freeifaddrs(self.0) };
    }
}

fn read_entry(entry: &libc::ifaddrs) -> Option<InterfaceAddress> {
    // SAFETY: the three pointers of a list entry are null or point to a
    // sockaddr that lives as long as the list.
    let (address, mask, broadcast) = unsafe {
        (
            read_address(entry.ifa_addr)?,
            read_address(entry.ifa_netmask),
            read_address(entry.ifa_ifu),
        )
    };
    // SAFETY: the name is a terminated string that lives as long as the list.
    let name = unsafe { CStr::from_ptr(entry.ifa_name) };
    let has = |flag: i32| i32::try_from(entry.ifa_flags).is_ok_and(|flags| flags & flag != 0);
    let prefix_length = mask.map_or(0, |mask| prefix_length(mask.ip()));
    let broadcast = match (address.ip(), broadcast) {
        (IpAddr::V4(own), Some(SocketAddr::V4(given))) if has(libc::IFF_BROADCAST) => {
            directed_broadcast(own, *given.ip(), prefix_length)
        }
        (IpAddr::V4(_) | IpAddr::V6(_), _) => None,
    };
    Some(InterfaceAddress {
        name: name.to_string_lossy().into_owned(),
        address: address.ip(),
        scope_id: match address {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(address) => address.scope_id(),
        },
        prefix_length,
        is_up: has(libc::IFF_UP),
        is_loopback: has(libc::IFF_LOOPBACK),
        broadcast,
    })
}

/// Reads an IPv4 or IPv6 socket address.
///
/// # Safety
/// `address` is null or points to a sockaddr as large as its family says.
unsafe fn read_address(address: *const libc::sockaddr) -> Option<SocketAddr> {
    // SAFETY: null or valid, by this function's contract.
    let family = i32::from(unsafe { address.as_ref() }?.sa_family);
    let length = match family {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
        _ => return None,
    };
    // SAFETY: the storage has room for every sockaddr, and the source has
    // `length` bytes by this function's contract.
    let ((), copy) = unsafe {
        socket2::SockAddr::try_init(|storage, size| {
            ptr::copy_nonoverlapping(address.cast::<u8>(), storage.cast::<u8>(), length);
            #[expect(clippy::cast_possible_truncation, reason = "16 or 28")]
            size.write(length as libc::socklen_t);
            Ok(())
        })
    }
    .ok()?;
    copy.as_socket()
}

/// An address that was added without a broadcast address has itself in its place; the kernel
/// broadcasts to the last address of the subnet all the same.
fn directed_broadcast(own: Ipv4Addr, given: Ipv4Addr, prefix_length: u8) -> Option<Ipv4Addr> {
    if given != own {
        return Some(given);
    }
    let hosts = u32::MAX.checked_shr(prefix_length.into()).unwrap_or(0);
    // RFC 3021: a subnet of two addresses has no broadcast address.
    (prefix_length < 31).then(|| Ipv4Addr::from_bits(own.to_bits() | hosts))
}

fn prefix_length(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    u8::try_from(ones).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use super::*;

    #[test]
    fn loopback_is_among_the_interfaces() {
        let addresses = interface_addresses().unwrap();
        let four = addresses.iter().find(|a| a.address == Ipv4Addr::LOCALHOST).unwrap();
        assert_eq!((four.name.as_str(), four.prefix_length), ("lo", 8));
        assert!(four.is_up && four.is_loopback);
        assert_eq!((four.broadcast, four.scope_id), (None, 0));
        if let Some(six) = addresses.iter().find(|a| a.address == Ipv6Addr::LOCALHOST) {
            assert_eq!(six.prefix_length, 128);
        }
    }

    #[test]
    fn an_own_address_is_never_its_broadcast_address() {
        let [own, last] = [[192, 0, 2, 1], [192, 0, 2, 255]].map(Ipv4Addr::from);
        assert_eq!(directed_broadcast(own, own, 24), Some(last));
        assert_eq!(directed_broadcast(own, last, 24), Some(last));
        assert_eq!(directed_broadcast(own, own, 31), None);
        assert_eq!(directed_broadcast(own, own, 32), None);
        assert_eq!(directed_broadcast(own, own, 0), Some(Ipv4Addr::BROADCAST));
    }

    #[test]
    fn the_default_source_is_an_address_of_this_host() {
        let addresses = interface_addresses().unwrap();
        for family in [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()] {
            if let Some(source) = default_route_source(family) {
                assert_eq!(source.is_ipv4(), family.is_ipv4());
                assert!(addresses.iter().any(|a| a.address == source));
            }
        }
    }
}
