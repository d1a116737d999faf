//! REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY: of what family to allocate.
//!
//! Implements RFC 8656 sections 18.6 and 18.11.

use super::traits::{Attribute, Encode, fixed};
use crate::writer::copy;
use crate::{AddressFamily, AttributeError, AttributeType, TransactionId};

macro_rules! family_attribute {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(
            /// The family. One that does not exist is [`AttributeError::UnknownFamily`],
            /// which a server answers with 440.
            pub AddressFamily,
        );

        impl Attribute<'_> for $name {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
                let [family, _, _, _] = fixed(value)?;
                AddressFamily::from_wire(family).map(Self)
            }
        }

        impl Encode for $name {
            fn kind(&self) -> AttributeType {
                Self::TYPE
            }

            fn value_len(&self) -> usize {
                4
            }

            fn encode(&self, value: &mut [u8], _: &TransactionId) {
                copy(&[self.0.to_wire()], value);
            }
        }
    };
}

family_attribute! {
    /// REQUESTED-ADDRESS-FAMILY: this family and no other (RFC 8656 section 18.6).
    RequestedAddressFamily, REQUESTED_ADDRESS_FAMILY
}
family_attribute! {
    /// ADDITIONAL-ADDRESS-FAMILY: IPv4, and this one too (RFC 8656 section 18.11).
    AdditionalAddressFamily, ADDITIONAL_ADDRESS_FAMILY
}

#[cfg(test)]
mod tests {
    use super::super::quartet::ID;
    use super::*;

    attribute_quartet!(requested, RequestedAddressFamily,
        RequestedAddressFamily(AddressFamily::Ipv4), [1, 0, 0, 0],
        refuses: [1, 0, 0] => AttributeError::Length,
                 [3, 0, 0, 0] => AttributeError::UnknownFamily);
    attribute_quartet!(additional, AdditionalAddressFamily,
        AdditionalAddressFamily(AddressFamily::Ipv6), [2, 0, 0, 0],
        refuses: [2] => AttributeError::Length,
                 [0, 0, 0, 0] => AttributeError::UnknownFamily);

    #[test]
    fn s12_reserved_bytes_are_ignored() {
        let family = RequestedAddressFamily::decode(&[2, 0xFF, 0xFF, 0xFF], &ID);
        assert_eq!(family, Ok(RequestedAddressFamily(AddressFamily::Ipv6)));
    }
}
