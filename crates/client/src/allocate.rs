//! Allocate: what can be asked for, and what is granted.
//!
//! Implements RFC 8656 section 7 from the client's side.

use std::net::SocketAddr;
use std::time::Duration;

use turn_codec::attribute::{
    AdditionalAddressFamily, AddressErrorCode, DontFragment, EvenPort, RequestedAddressFamily,
    RequestedTransport, ReservationToken, XorMappedAddress, XorRelayedAddress,
};
use turn_codec::{AddressFamily, Attribute, Message, MessageWriter, Method, NoRoom, StatusCode};

use crate::Error;
use crate::operation::{Operation, lifetime, lifetime_attribute, optional, required};

/// The attributes of an Allocate request; by default UDP and nothing else, as browsers ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocateOptions {
    /// REQUESTED-TRANSPORT; `None` leaves it out, which a server must refuse.
    pub transport: Option<RequestedTransport>,
    /// LIFETIME, in whole seconds.
    pub lifetime: Option<Duration>,
    /// REQUESTED-ADDRESS-FAMILY.
    pub family: Option<AddressFamily>,
    /// ADDITIONAL-ADDRESS-FAMILY.
    pub additional_family: Option<AddressFamily>,
    /// EVEN-PORT, with or without the port above it.
    pub even_port: Option<EvenPort>,
    /// RESERVATION-TOKEN of an earlier allocation.
    pub token: Option<ReservationToken>,
    /// DONT-FRAGMENT.
    pub dont_fragment: Option<DontFragment>,
}

impl Default for AllocateOptions {
    fn default() -> Self {
        Self {
            transport: Some(RequestedTransport::UDP),
            lifetime: None,
            family: None,
            additional_family: None,
            even_port: None,
            token: None,
            dont_fragment: None,
        }
    }
}

/// A granted allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// The relayed transport address; the first one of a dual allocation.
    pub relayed: SocketAddr,
    /// The second relayed transport address of a dual allocation.
    pub additional: Option<SocketAddr>,
    /// The client as the server sees it.
    pub mapped: SocketAddr,
    /// How long it lives without a Refresh.
    pub lifetime: Duration,
    /// Names the port above, where it was asked to be reserved.
    pub token: Option<ReservationToken>,
    /// ADDRESS-ERROR-CODE: the family that a dual allocation did not get, and why.
    pub missing_family: Option<(AddressFamily, StatusCode)>,
}

impl Allocation {
    /// Returns the relayed transport address of a family.
    #[must_use]
    pub fn relayed_of(&self, family: AddressFamily) -> Option<SocketAddr> {
        [Some(self.relayed), self.additional]
            .into_iter()
            .flatten()
            .find(|relayed| AddressFamily::of(relayed) == family)
    }
}

impl Operation for AllocateOptions {
    type Response = Allocation;

    const METHOD: Method = Method::ALLOCATE;

    fn write(&self, writer: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
        if let Some(transport) = self.transport {
            writer.push(&transport)?;
        }
        if let Some(lifetime) = self.lifetime {
            writer.push(&lifetime_attribute(lifetime))?;
        }
        if let Some(family) = self.family {
            writer.push(&RequestedAddressFamily(family))?;
        }
        if let Some(family) = self.additional_family {
            writer.push(&AdditionalAddressFamily(family))?;
        }
        if let Some(even_port) = self.even_port {
            writer.push(&even_port)?;
        }
        if let Some(token) = self.token {
            writer.push(&token)?;
        }
        if let Some(dont_fragment) = self.dont_fragment {
            writer.push(&dont_fragment)?;
        }
        Ok(())
    }

    fn read(message: &Message<'_>) -> Result<Allocation, Error> {
        let mut relayed = message.all::<XorRelayedAddress>().map(|address| {
            let XorRelayedAddress(address) =
                address.map_err(|_| Error::Malformed(XorRelayedAddress::TYPE))?;
            Ok::<_, Error>(address)
        });
        let first = relayed.next().ok_or(Error::Malformed(XorRelayedAddress::TYPE))??;
        let missing = optional::<AddressErrorCode<'_>>(message)?;
        Ok(Allocation {
            relayed: first,
            additional: relayed.next().transpose()?,
            mapped: required::<XorMappedAddress>(message)?.0,
            lifetime: lifetime(message)?,
            token: optional(message)?,
            missing_family: missing.map(|missing| (missing.family, missing.code)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use turn_codec::attribute::Lifetime;
    use turn_codec::{AttributeType, Class, TransactionId};

    const ID: TransactionId = TransactionId::new([7; 12]);
    const RELAYED: &str = "203.0.113.5:50000";
    const RELAYED_V6: &str = "[2001:db8::5]:50001";
    const MAPPED: &str = "192.0.2.1:3000";

    #[test]
    fn plain_allocate_asks_for_udp_and_nothing_else() {
        let mut buffer = [0; 256];
        let mut writer = writer(&mut buffer, Class::Request);
        AllocateOptions::default().write(&mut writer).unwrap();
        let message = Message::parse(writer.finish()).unwrap();
        let kinds: Vec<_> = message.attributes().map(|attribute| attribute.kind).collect();
        assert_eq!(kinds, [AttributeType::REQUESTED_TRANSPORT]);
        assert_eq!(message.get(), Ok(Some(RequestedTransport::UDP)));
    }

    #[test]
    fn every_option_has_its_attribute() {
        let options = AllocateOptions {
            transport: None,
            lifetime: Some(Duration::from_secs(777)),
            family: Some(AddressFamily::Ipv6),
            additional_family: Some(AddressFamily::Ipv4),
            even_port: Some(EvenPort { reserve: true }),
            token: Some(ReservationToken(*b"8 bytes.")),
            dont_fragment: Some(DontFragment),
        };
        let mut buffer = [0; 256];
        let mut writer = writer(&mut buffer, Class::Request);
        options.write(&mut writer).unwrap();
        let message = Message::parse(writer.finish()).unwrap();
        assert_eq!(message.attributes().count(), 6);
        assert_eq!(message.get(), Ok(Some(Lifetime(777))));
        assert_eq!(message.get(), Ok(Some(RequestedAddressFamily(AddressFamily::Ipv6))));
        assert_eq!(message.get(), Ok(Some(AdditionalAddressFamily(AddressFamily::Ipv4))));
        assert_eq!(message.get(), Ok(Some(EvenPort { reserve: true })));
        assert_eq!(message.get(), Ok(options.token));
        assert!(message.has(AttributeType::DONT_FRAGMENT));
    }

    #[test]
    fn dual_allocation_has_both_relayed_addresses() {
        let allocation = read(|w| {
            w.push(&XorRelayedAddress(RELAYED.parse().unwrap()))?;
            w.push(&XorRelayedAddress(RELAYED_V6.parse().unwrap()))?;
            w.push(&Lifetime(600))?;
            w.push(&XorMappedAddress(MAPPED.parse().unwrap()))
        });
        let allocation = allocation.unwrap();
        assert_eq!(allocation.relayed_of(AddressFamily::Ipv4), RELAYED.parse().ok());
        assert_eq!(allocation.relayed_of(AddressFamily::Ipv6), RELAYED_V6.parse().ok());
        assert_eq!(allocation.lifetime, Duration::from_secs(600));
        assert_eq!(allocation.mapped, MAPPED.parse().unwrap());
        assert_eq!((allocation.token, allocation.missing_family), (None, None));
    }

    #[test]
    fn half_of_a_dual_allocation_names_the_missing_family() {
        let code = StatusCode::INSUFFICIENT_CAPACITY;
        let family = AddressFamily::Ipv6;
        let allocation = read(|w| {
            w.push(&XorRelayedAddress(RELAYED.parse().unwrap()))?;
            w.push(&AddressErrorCode { family, code, reason: "" })?;
            w.push(&Lifetime(600))?;
            w.push(&XorMappedAddress(MAPPED.parse().unwrap()))?;
            w.push(&ReservationToken([1; 8]))
        });
        let allocation = allocation.unwrap();
        assert_eq!(allocation.missing_family, Some((family, code)));
        assert_eq!(allocation.relayed_of(family), None);
        assert_eq!(allocation.token, Some(ReservationToken([1; 8])));
    }

    #[test]
    fn success_without_a_relayed_address_is_malformed() {
        let allocation = read(|w| w.push(&Lifetime(600)));
        let error = allocation.unwrap_err();
        assert!(matches!(error, Error::Malformed(AttributeType::XOR_RELAYED_ADDRESS)));
    }

    fn read(
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
    ) -> Result<Allocation, Error> {
        let mut buffer = [0; 256];
        let mut writer = writer(&mut buffer, Class::Success);
        attributes(&mut writer).unwrap();
        AllocateOptions::read(&Message::parse(writer.finish()).unwrap())
    }

    fn writer(buffer: &mut [u8], class: Class) -> MessageWriter<'_> {
        MessageWriter::new(buffer, class, Method::ALLOCATE, ID).unwrap()
    }
}
