//! A server that remembers what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use turn_admin::{
    Accounts, AllocationRow, BoxFuture, Control, DrainState, DrainStatus, Ended, Figures, Issuer,
    ReloadReport, Status, TenantFigures, TrafficFigures, TransportFigures, UsageBook, Version,
};

use crate::fake_issuer::FakeIssuer;
use crate::keeper::Keeper;

/// The fake.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) is_draining: AtomicBool,
    pub(crate) is_hanging: AtomicBool,
    pub(crate) is_broken: AtomicBool,
    pub(crate) looks: AtomicU64,
    pub(crate) drains: AtomicU64,
    pub(crate) reloads: AtomicU64,
    pub(crate) ended: AtomicU64,
    pub(crate) packets: AtomicU64,
    /// How long a reload takes, in milliseconds.
    pub(crate) reload_takes: AtomicU64,
    /// Who keeps credentials and usage, if anybody does.
    pub(crate) keeper: Option<Arc<Keeper>>,
    /// Who makes credentials, if anybody does.
    pub(crate) issuer: Option<Arc<FakeIssuer>>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Self::with(None, None)
    }

    pub(crate) fn with(keeper: Option<Arc<Keeper>>, issuer: Option<Arc<FakeIssuer>>) -> Arc<Self> {
        Arc::new(Self {
            is_draining: AtomicBool::default(),
            is_hanging: AtomicBool::default(),
            is_broken: AtomicBool::default(),
            looks: AtomicU64::default(),
            drains: AtomicU64::default(),
            reloads: AtomicU64::default(),
            ended: AtomicU64::default(),
            packets: AtomicU64::new(7),
            reload_takes: AtomicU64::default(),
            keeper,
            issuer,
        })
    }

    fn drain_status(&self) -> DrainStatus {
        let state = match self.is_draining.load(Ordering::SeqCst) {
            true => DrainState::Draining,
            false => DrainState::Serving,
        };
        DrainStatus { state, allocations: 1, ..DrainStatus::default() }
    }
}

impl Control for Fake {
    fn status(&self) -> BoxFuture<'_, Status> {
        Box::pin(async {
            let drain = self.drain_status();
            Status { pid: 4711, ready: self.is_ready(), drain, ..Status::default() }
        })
    }

    fn allocations(&self) -> BoxFuture<'_, Vec<AllocationRow>> {
        let row = AllocationRow {
            id: ID.to_owned(),
            realm: "example.org".to_owned(),
            tenant: Some("app".to_owned()),
            ..AllocationRow::default()
        };
        Box::pin(async { vec![row] })
    }

    fn end_allocation(&self, id: String) -> BoxFuture<'_, Ended> {
        Box::pin(async move {
            if id.parse::<f64>().is_err() {
                return Ended::NotAnId;
            }
            if id != ID {
                return Ended::Unknown;
            }
            self.ended.fetch_add(1, Ordering::SeqCst);
            Ended::Done
        })
    }

    fn drain(&self) -> BoxFuture<'_, DrainStatus> {
        Box::pin(async {
            self.drains.fetch_add(1, Ordering::SeqCst);
            self.is_draining.store(true, Ordering::SeqCst);
            self.drain_status()
        })
    }

    fn reload(&self) -> BoxFuture<'_, Result<ReloadReport, Vec<String>>> {
        Box::pin(async {
            let takes = self.reload_takes.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(takes)).await;
            self.reloads.fetch_add(1, Ordering::SeqCst);
            if self.is_broken.load(Ordering::SeqCst) {
                return Err(vec!["line 3".to_owned(), "line 5".to_owned()]);
            }
            let changed = vec!["limits.allocations".to_owned()];
            Ok(ReloadReport { changed, needs_restart: vec!["shards".to_owned()] })
        })
    }

    fn metrics(&self) -> BoxFuture<'_, Figures> {
        Box::pin(async {
            self.looks.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            let packets = self.packets.load(Ordering::SeqCst);
            let tenant = |tenant: &str| TenantFigures {
                realm: "example.org".to_owned(),
                tenant: tenant.to_owned(),
                up: TrafficFigures { packets, bytes: 100 * packets },
                down: TrafficFigures { packets: 2 * packets, bytes: 300 * packets },
                created: 3,
                live: vec![TransportFigures { transport: "tls".to_owned(), gathered: 1, used: 2 }],
            };
            Figures {
                version: "1.2.3".to_owned(),
                tenants: vec![tenant(""), tenant("app")],
                ..Figures::default()
            }
        })
    }

    fn is_ready(&self) -> bool {
        !self.is_draining.load(Ordering::SeqCst)
    }

    fn is_alive(&self) -> bool {
        !self.is_hanging.load(Ordering::SeqCst)
    }

    fn version(&self) -> Version {
        Version { name: "turnserver".to_owned(), version: "1.2.3".to_owned() }
    }

    fn accounts(&self) -> Option<Arc<dyn Accounts>> {
        self.keeper.clone().map(|keeper| keeper as Arc<dyn Accounts>)
    }

    fn usage(&self) -> Option<Arc<dyn UsageBook>> {
        self.keeper.clone().map(|keeper| keeper as Arc<dyn UsageBook>)
    }

    fn issuer(&self) -> Option<Arc<dyn Issuer>> {
        self.issuer.clone().map(|issuer| issuer as Arc<dyn Issuer>)
    }
}

/// The one allocation.
pub(crate) const ID: &str = "42";
