//! What a client can ask a server: one type for each method, with the type of its result.
//!
//! Implements RFC 8489 section 3 (Binding) and RFC 8656 sections 8 (Refresh), 10
//! (CreatePermission) and 12 (ChannelBind); Allocate has a file of its own.

use std::net::SocketAddr;
use std::time::Duration;

use turn_codec::attribute::{
    ChannelNumberAttribute, Lifetime, RequestedAddressFamily, XorMappedAddress, XorPeerAddress,
};
use turn_codec::{AddressFamily, Attribute, Message, MessageWriter, Method, NoRoom};

use crate::Error;

/// A request, without its credentials, and how to read the success response to it.
pub trait Operation {
    /// What a success response tells.
    type Response;

    /// The method.
    const METHOD: Method;

    /// Whether the request carries credentials once the session has been challenged.
    const IS_SIGNED: bool = true;

    /// Writes the attributes of the request.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] where they do not fit.
    fn write(&self, writer: &mut MessageWriter<'_>) -> Result<(), NoRoom>;

    /// Reads a success response.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] where an attribute is missing or cannot be read.
    fn read(message: &Message<'_>) -> Result<Self::Response, Error>;
}

impl<O: Operation> Operation for &O {
    type Response = O::Response;

    const METHOD: Method = O::METHOD;
    const IS_SIGNED: bool = O::IS_SIGNED;

    fn write(&self, writer: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
        (*self).write(writer)
    }

    fn read(message: &Message<'_>) -> Result<Self::Response, Error> {
        O::read(message)
    }
}

/// Asks for the reflexive transport address; never signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Binding;

impl Operation for Binding {
    type Response = SocketAddr;

    const METHOD: Method = Method::BINDING;
    const IS_SIGNED: bool = false;

    fn write(&self, _: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
        Ok(())
    }

    fn read(message: &Message<'_>) -> Result<SocketAddr, Error> {
        required::<XorMappedAddress>(message).map(|mapped| mapped.0)
    }
}

/// Keeps an allocation alive, or ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refresh {
    /// LIFETIME: zero ends the allocation, `None` leaves the choice to the server.
    pub lifetime: Option<Duration>,
    /// REQUESTED-ADDRESS-FAMILY: which relayed address of a dual allocation.
    pub family: Option<AddressFamily>,
}

impl Operation for Refresh {
    /// The lifetime that the server grants from now on.
    type Response = Duration;

    const METHOD: Method = Method::REFRESH;

    fn write(&self, writer: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
        if let Some(lifetime) = self.lifetime {
            writer.push(&lifetime_attribute(lifetime))?;
        }
        if let Some(family) = self.family {
            writer.push(&RequestedAddressFamily(family))?;
        }
        Ok(())
    }

    fn read(message: &Message<'_>) -> Result<Duration, Error> {
        lifetime(message)
    }
}

/// Lets peers send to the relayed transport address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreatePermission<'a> {
    /// The peers; their ports are sent and do not matter.
    pub peers: &'a [SocketAddr],
}

impl Operation for CreatePermission<'_> {
    type Response = ();

    const METHOD: Method = Method::CREATE_PERMISSION;

    fn write(&self, writer: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
        self.peers.iter().try_for_each(|peer| writer.push(&XorPeerAddress(*peer)))
    }

    fn read(_: &Message<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Binds a channel to a peer, or keeps the binding alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelBind {
    /// The number: any 16 bits, so that a server can be asked for one that it must refuse.
    pub number: ChannelNumberAttribute,
    /// The peer.
    pub peer: SocketAddr,
}

impl Operation for ChannelBind {
    type Response = ();

    const METHOD: Method = Method::CHANNEL_BIND;

    fn write(&self, writer: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
        writer.push(&self.number)?;
        writer.push(&XorPeerAddress(self.peer))
    }

    fn read(_: &Message<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Reads an attribute that may be absent.
pub(crate) fn optional<'a, A: Attribute<'a>>(message: &Message<'a>) -> Result<Option<A>, Error> {
    message.get().map_err(|_| Error::Malformed(A::TYPE))
}

/// Reads an attribute that must be there.
pub(crate) fn required<'a, A: Attribute<'a>>(message: &Message<'a>) -> Result<A, Error> {
    optional(message)?.ok_or(Error::Malformed(A::TYPE))
}

pub(crate) fn lifetime(message: &Message<'_>) -> Result<Duration, Error> {
    let Lifetime(seconds) = required(message)?;
    Ok(Duration::from_secs(u64::from(seconds)))
}

/// Whole seconds; a lifetime beyond the field is the longest that it holds.
pub(crate) fn lifetime_attribute(lifetime: Duration) -> Lifetime {
    Lifetime(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX))
}
