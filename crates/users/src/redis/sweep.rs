//! Which keys there are for the catalogue, found out a bounded part at a time.
//!
//! Redis has no list of realms: only a `SCAN` over everything finds a new one. A small database
//! is looked through at every reading; a large one once a minute, over several readings if need
//! be. What is known already is read every time.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::Pipeline;
use tokio::time::Instant;

use super::keys::{Listed, OF_ORIGINS, OF_REALMS};
use super::line::Line;
use crate::StoreError;

/// How far a look through the database has come.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// What the last whole look has found.
    complete: BTreeSet<Listed>,
    /// What this one has found so far.
    found: BTreeSet<Listed>,
    patterns_done: usize,
    cursor: u64,
    steps: usize,
    next: Option<Instant>,
}

const PATTERNS: [&str; 2] = [OF_REALMS, OF_ORIGINS];
/// Keys that Redis looks at in one step.
const STEP: usize = 1000;
/// Steps of one reading.
const STEPS_OF_A_READING: usize = 200;
/// A database that takes more steps than this is large.
const STEPS_OF_A_SMALL_ONE: usize = 40;
const PAUSE: Duration = Duration::from_secs(60);
/// More keys than this are a mistake.
const MOST_KEYS: usize = 10_000;

impl Sweep {
    /// Goes on looking, if it is time.
    pub(super) async fn advance(&mut self, line: &Line) -> Result<(), StoreError> {
        if self.next.is_some_and(|next| Instant::now() < next) {
            return Ok(());
        }
        self.next = None;
        for _ in 0..STEPS_OF_A_READING {
            let Some(pattern) = PATTERNS.get(self.patterns_done) else {
                self.conclude();
                return Ok(());
            };
            let mut pipeline = Pipeline::new();
            pipeline.cmd("SCAN").arg(self.cursor).arg("MATCH").arg(pattern);
            pipeline.arg("COUNT").arg(STEP);
            let ((cursor, keys),): ((u64, Vec<Vec<u8>>),) = line.ask(&pipeline).await?;
            let names = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
            self.found.extend(names.filter_map(Listed::parse));
            if self.found.len() > MOST_KEYS {
                let what = format!("more than {MOST_KEYS} keys of realms and origins");
                *self = Self::default();
                return Err(StoreError::Malformed { store: line.name().to_owned(), what });
            }
            self.cursor = cursor;
            self.steps += 1;
            if cursor == 0 {
                self.patterns_done += 1;
            }
        }
        Ok(())
    }

    /// What is known to be there.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Listed> {
        self.complete.union(&self.found)
    }

    fn conclude(&mut self) {
        self.complete = std::mem::take(&mut self.found);
        let is_large = self.steps > STEPS_OF_A_SMALL_ONE;
        self.next = is_large.then(|| Instant::now() + PAUSE);
        (self.patterns_done, self.cursor, self.steps) = (0, 0, 0);
    }
}
