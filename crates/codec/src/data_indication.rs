//! The head of a Data indication, up to its data.
//!
//! RFC 8656 section 11.3. A relay sends the data itself from where it lies, so only what
//! stands before it is written:
//!
//! ```text
//! | STUN header, 20 | XOR-PEER-ADDRESS, 12 or 24 | DATA: type, length | data | pad |
//! |<-------------------- this file ------------------------------->|
//! ```

use core::net::SocketAddr;

use crate::attribute::XorPeerAddress;
use crate::header::Header;
use crate::{AttributeType, Class, Encode, Method, NoRoom, TransactionId};

/// The longest head: 48 bytes, for an IPv6 peer.
pub const MAX_DATA_INDICATION_HEAD: usize = 48;

/// Writes the head of a Data indication with `len` bytes of data from `peer`; returns how
/// many bytes it has, 36 for an IPv4 peer and 48 for an IPv6 one.
///
/// # Errors
/// [`NoRoom`] when `len` bytes do not fit into one STUN message.
pub fn data_indication_head(
    out: &mut [u8; MAX_DATA_INDICATION_HEAD],
    peer: SocketAddr,
    len: usize,
    id: TransactionId,
) -> Result<usize, NoRoom> {
    let address = XorPeerAddress(peer);
    let address_len = address.value_len();
    let body = 4 + address_len + 4 + len.next_multiple_of(4);
    let length = u16::try_from(body).map_err(|_| NoRoom)?;
    let data_len = u16::try_from(len).map_err(|_| NoRoom)?;
    let header = Header { class: Class::Indication, method: Method::DATA, length, id };

    let rest = put(out.as_mut_slice(), &header.encode())?;
    let rest = put(rest, &AttributeType::XOR_PEER_ADDRESS.get().to_be_bytes())?;
    let rest = put(rest, &u16::try_from(address_len).map_err(|_| NoRoom)?.to_be_bytes())?;
    let (value, rest) = rest.split_at_mut_checked(address_len).ok_or(NoRoom)?;
    address.encode(value, &id);
    let rest = put(rest, &AttributeType::DATA.get().to_be_bytes())?;
    let rest = put(rest, &data_len.to_be_bytes())?;
    let unused = rest.len();
    Ok(MAX_DATA_INDICATION_HEAD - unused)
}

fn put<'o>(out: &'o mut [u8], bytes: &[u8]) -> Result<&'o mut [u8], NoRoom> {
    let (space, rest) = out.split_at_mut_checked(bytes.len()).ok_or(NoRoom)?;
    space.copy_from_slice(bytes);
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::attribute::Data;

    #[test]
    fn head_data_and_padding_are_a_whole_data_indication() {
        for peer in ["192.0.2.1:4000", "[2001:db8::1]:4000"] {
            let peer: SocketAddr = peer.parse().unwrap();
            for len in 0..9 {
                let mut head = [0; MAX_DATA_INDICATION_HEAD];
                let id = TransactionId::new([9; 12]);
                let used = data_indication_head(&mut head, peer, len, id).unwrap();
                let data = [0xAB; 8];
                let mut whole = std::vec::Vec::from(&head[..used]);
                whole.extend_from_slice(&data[..len]);
                whole.resize(used + len.next_multiple_of(4), 0);
                let message = Message::parse(&whole).unwrap();
                assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
                assert_eq!(message.get::<XorPeerAddress>(), Ok(Some(XorPeerAddress(peer))));
                assert_eq!(message.get::<Data<'_>>().unwrap().unwrap().0, &data[..len]);
            }
        }
    }

    #[test]
    fn data_that_no_message_can_hold_is_refused() {
        let mut head = [0; MAX_DATA_INDICATION_HEAD];
        let peer = SocketAddr::from(([192, 0, 2, 1], 1));
        let id = TransactionId::new([0; 12]);
        assert_eq!(data_indication_head(&mut head, peer, 65_520, id), Err(NoRoom));
        assert!(data_indication_head(&mut head, peer, 65_507, id).is_ok());
    }
}
