//! What is noted of a response: its counter, and a report where an operator
//! would want one.

use turn_codec::{Method, StatusCode};

use crate::action::{Outbox, Report};
use crate::counters::Counters;
use crate::reject::Reject;
use crate::reply::Asked;
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
    if let Some(key) = reject.limit() {
        note_limit(shared, key, outbox);
    }
    if let Reject::PeerDenied(peer) = reject {
        outbox.report(Report::PeerDenied { peer: *peer });
    }
}

/// A client was refused.
pub(crate) fn note_refusal(asked: &Asked, code: StatusCode, outbox: &mut Outbox) {
    let client = asked.link.tuple.client;
    outbox.report(Report::Refused { client, method: name(asked.method), code: code.get() });
}

/// A limit refused: reported once for each key of the process.
pub(crate) fn note_limit(shared: &Shared, key: &'static str, outbox: &mut Outbox) {
    if shared.meets_limit(key) {
        outbox.report(Report::LimitReached { key });
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
