//! One name, asked of the stores in their order.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::name::Name;
use super::standing::Standing;
use crate::{StoreError, StoredUser};

/// What the stores came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// This store knows the user.
    Found(StoredUser, Arc<Standing>),
    /// Every store has answered.
    Unknown,
    /// One has not.
    Unavailable,
}

/// The first store that knows the user wins. A store that fails does not end the errand: the
/// next one may know the user. What is left of the time is shared by the stores left.
pub(super) async fn ask(stores: &[Arc<Standing>], name: &Name, deadline: Instant) -> Outcome {
    // Without a store nobody can say that a user is unknown.
    let mut has_failed = stores.is_empty();
    for (asked, standing) in stores.iter().enumerate() {
        let Some(_leave) = standing.leave() else {
            has_failed = true;
            continue;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(stores.len() - asked).unwrap_or(u32::MAX);
        let find = standing.store().find(name.realm(), name.user());
        let result = match timeout_at(Instant::now() + share, find).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Unavailable {
                store: standing.name().to_owned(),
                reason: format!("no answer within {} ms", share.as_millis()),
            }),
        };
        standing.looked_up(result.as_ref().err());
        match result {
            Ok(Some(user)) => return Outcome::Found(user, Arc::clone(standing)),
            Ok(None) => {}
            Err(_) => has_failed = true,
        }
    }
    if has_failed { Outcome::Unavailable } else { Outcome::Unknown }
}
