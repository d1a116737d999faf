//! What a running server follows besides its configuration: what credential stores say of realms,
//! and the public addresses of this host.
//!
//! Both run on the control thread and take turns with reloads, so that no shard ever goes by settings
//! of two configurations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{error, info, warn};
use turn_engine::RealmId;
use turn_users::Catalog;

use crate::running::Running;

/// Realms of stores that nobody serves and that are named.
const MOST_REALMS: usize = 20;

/// An Allocate whose socket is just being opened shows up a moment after its credential was
/// switched off.
const SECOND_LOOK: Duration = Duration::from_millis(400);

impl Running {
    /// Goes by what the stores say of realms, and ends what their disabled credentials have made.
    pub(crate) async fn follow_stores(self: Arc<Self>) {
        let mut catalog = self.server.stores().catalog().await;
        let mut ended = BTreeSet::new();
        let mut remarks = Vec::new();
        loop {
            let new = Arc::clone(&catalog.borrow_and_update());
            self.take_catalog(&new, &mut remarks).await;
            for (realm, user) in new.ended.iter().filter(|who| !ended.contains(*who)) {
                self.end_credential(realm, user).await;
            }
            ended = new.ended.iter().cloned().collect();
            if catalog.changed().await.is_err() {
                return;
            }
        }
    }

    async fn take_catalog(&self, new: &Arc<Catalog>, said: &mut Vec<String>) {
        let _turn = self.certificates.lock().await;
        let config = self.config();
        let change = |learned: &mut crate::learned::Learned| {
            let is_news = learned.catalog.realms != new.realms;
            learned.catalog = Arc::clone(new);
            is_news
        };
        match self.server.learn(&config, change).await {
            Ok(true) => {
                info!(
                    realms = new.realms.len(),
                    "what the credential stores say of realms has changed"
                );
            }
            Ok(false) => {}
            Err(error) => error!(%error, "a shard does not take over what the stores say"),
        }
        let mut remarks = self.server.learned().remarks(&self.server.own_addresses(&config));
        let is_served = |name: &String| {
            name.is_empty()
                || *name == config.realm
                || config.realms.iter().any(|realm| realm.name == *name)
        };
        let others = new.realms.keys().filter(|name| !is_served(name)).take(MOST_REALMS);
        remarks.extend(others.map(|name| {
            format!(
                "a credential store has realm {name:?}, which this server does not serve; add [realms.{name:?}] if it should"
            )
        }));
        if !new.origins.is_empty() {
            remarks.push(
                "a credential store leads origins to realms; ORIGIN is not read here: give the realm a listener or a server name"
                    .to_owned(),
            );
        }
        for remark in remarks.iter().filter(|remark| !said.contains(remark)) {
            warn!("{remark}");
        }
        *said = remarks;
    }

    /// Nobody uses this credential from now on: what is known of it is forgotten, and what it has
    /// made ends. Says how many allocations that were.
    pub(crate) async fn end_credential(self: &Arc<Self>, realm: &str, user: &str) -> usize {
        if let Some(resolver) = self.server.stores().resolver() {
            resolver.forget(realm, user);
        }
        // The default realm may bear the name of one that was removed.
        let registry = self.server.registry();
        let default = (realm == self.config().realm).then_some(RealmId(0));
        let Some(id) = default.or_else(|| registry.realm(realm)) else { return 0 };
        let ended = self.server.fleet().end_allocations_of(id, user).await.unwrap_or_default();
        let (running, user) = (Arc::clone(self), user.to_owned());
        tokio::spawn(async move {
            sleep(SECOND_LOOK).await;
            // A shard that has ended is about to end the server.
            let _ = running.server.fleet().end_allocations_of(id, &user).await;
        });
        ended
    }
}
