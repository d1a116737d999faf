//! A credential store behind the server: whom it knows is the setup's, when it answers a test's.

use turn_engine::{RealmId, ShardId, Ticket};

/// How the store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreMode {
    /// At once.
    #[default]
    Answers,
    /// At once, that it is unavailable.
    IsDown,
    /// When [`World::answer_keys`](crate::World::answer_keys) is called.
    IsLate,
    /// Never.
    IsSilent,
}

/// What the engines have asked it.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) mode: StoreMode,
    /// Every name it was asked for, since somebody looked.
    pub(crate) asked: Vec<(RealmId, String)>,
    /// What it has not answered yet.
    pub(crate) held: Vec<(ShardId, Ticket, RealmId, String)>,
}
