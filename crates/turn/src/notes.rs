//! What is noted of a response: its counter, and a report where an operator
//! would want one.

use turn_codec::attribute::{Userhash, Username};
use turn_codec::{Message, Method, StatusCode};

use crate::action::Outbox;
use crate::auth_failure::AuthFailure;
use crate::counters::Counters;
use crate::keyring::Keyring;
use crate::limit_name::LimitName;
use crate::link::Link;
use crate::reject::Reject;
use crate::reply::Asked;
use crate::report::Report;
use crate::shared::Shared;

/// A response to an authenticated request has been queued.
pub(crate) fn note_response(
    counters: &Counters,
    shared: &Shared,
    asked: &Asked,
    reject: Option<&Reject>,
    outbox: &mut Outbox,
) {
    counters.count_response(asked.method, reject.map(Reject::code));
    let Some(reject) = reject else { return };
    note_refusal(asked, reject.code(), outbox);
    if let Some(limit) = reject.limit() {
        note_limit(counters, shared, limit, outbox);
    }
    if let Reject::PeerDenied(peer) = reject {
        outbox.report(Report::PeerDenied { peer: *peer, realm: asked.link.realm });
    }
}

/// A client was refused.
fn note_refusal(asked: &Asked, code: StatusCode, outbox: &mut Outbox) {
    let client = asked.link.tuple.client;
    outbox.report(Report::Refused { client, method: name(asked.method), code: code.get() });
}

/// Somebody whose address is proven was not let in.
pub(crate) fn note_auth_failure(
    keyring: &Keyring,
    link: Link,
    message: &Message<'_>,
    reason: AuthFailure,
    outbox: &mut Outbox,
) {
    let plain = message.get::<Username<'_>>().ok().flatten().map(|name| name.0);
    let hashed = || message.get::<Userhash<'_>>().ok().flatten();
    let name = plain.or_else(|| keyring.name_of(hashed()?.0));
    // [H29] What would break a line is no name of anybody.
    let name = name.filter(|name| !name.chars().any(char::is_control));
    let (client, realm) = (link.tuple.client, link.realm);
    outbox.report(Report::AuthFailed { client, realm, user: name.map(Into::into), reason });
}

/// A limit refused: counted, and reported once for whoever's it is.
pub(crate) fn note_limit(
    counters: &Counters,
    shared: &Shared,
    limit: LimitName,
    outbox: &mut Outbox,
) {
    counters.count_limit(limit.key);
    if shared.meets(limit) {
        let LimitName { key, scope } = limit;
        let (realm, tenant) = (scope.realm(), scope.tenant());
        outbox.report(Report::LimitReached { key, realm, tenant });
    }
}

fn name(method: Method) -> &'static str {
    match method {
        Method::ALLOCATE => "Allocate",
        Method::REFRESH => "Refresh",
        Method::CREATE_PERMISSION => "CreatePermission",
        Method::CHANNEL_BIND => "ChannelBind",
        Method::CONNECT => "Connect",
        Method::CONNECTION_BIND => "ConnectionBind",
        Method { .. } => "other",
    }
}
