//! Many clients that ask for the same at once: allocations, channels, permissions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use turn_codec::TransactionId;

use super::LoadError;
use super::links::Links;
use crate::{Error, Operation, Progress, Schedule, Session, Transaction};

/// Requests on their way at a time.
const AT_ONCE: usize = 32;

/// How often a server may challenge one operation.
const MAX_TRIES: u32 = 4;

/// Between two looks for requests that must be sent again.
const ROUND: Duration = Duration::from_millis(20);

/// A request on its way.
struct Pending<O> {
    transaction: Transaction<O>,
    challenged: u32,
    /// When it goes out again, and what follows then.
    again: Instant,
    waits: Box<dyn Iterator<Item = Duration>>,
}

/// Has every client ask, each with an operation of its own, and returns the answers in the order of
/// the clients.
pub(crate) fn ask_all<O: Operation>(
    links: &mut Links,
    sessions: &mut [Session],
    operation: impl Fn(usize) -> O,
) -> Result<Vec<O::Response>, LoadError> {
    let mut answers: Vec<Option<O::Response>> = Vec::new();
    answers.resize_with(sessions.len(), || None);
    let mut pending = BTreeMap::<usize, Pending<O>>::new();
    let mut waiting = 0..sessions.len();
    let mut arrived = Vec::new();
    let mut next_round = Instant::now() + ROUND;
    loop {
        while pending.len() < AT_ONCE
            && let Some(client) = waiting.next()
        {
            let Some(session) = sessions.get(client) else { break };
            let it = Pending::begin(links, client, session, operation(client), 0)?;
            pending.insert(client, it);
        }
        if pending.is_empty() {
            break;
        }
        links.flush()?;
        links.receive(|client, bytes| arrived.push((client, bytes.to_vec())))?;
        for (client, bytes) in arrived.drain(..) {
            let (Some(it), Some(session)) = (pending.get(&client), sessions.get_mut(client)) else {
                continue;
            };
            let challenged = it.challenged + 1;
            match session.receive(&it.transaction, &bytes) {
                Progress::Unrelated | Progress::Distrusted => {}
                Progress::Retry(_) if challenged < MAX_TRIES => {
                    let operation = operation(client);
                    let it = Pending::begin(links, client, session, operation, challenged)?;
                    pending.insert(client, it);
                }
                Progress::Retry(refusal) => return Err(failed(client, Error::Refused(refusal))),
                Progress::Success(response) => {
                    pending.remove(&client);
                    if let Some(answer) = answers.get_mut(client) {
                        *answer = Some(response);
                    }
                }
                Progress::Failure(error) => return Err(failed(client, error)),
            }
        }
        if Instant::now() >= next_round {
            next_round = Instant::now() + ROUND;
            for (client, it) in &mut pending {
                it.send_again(links, *client)?;
            }
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

impl<O: Operation> Pending<O> {
    fn begin(
        links: &mut Links,
        client: usize,
        session: &Session,
        operation: O,
        challenged: u32,
    ) -> Result<Self, LoadError> {
        let transaction = session.begin(operation, random_id()?)?;
        links.send(client, transaction.bytes())?;
        links.end_train(client)?;
        let mut waits: Box<dyn Iterator<Item = Duration>> = if links.is_reliable() {
            Box::new([Schedule::NEAR.total()].into_iter())
        } else {
            Box::new(Schedule::NEAR.waits())
        };
        let again = Instant::now() + waits.next().unwrap_or_default();
        Ok(Self { transaction, challenged, again, waits })
    }

    fn send_again(&mut self, links: &mut Links, client: usize) -> Result<(), LoadError> {
        let now = Instant::now();
        if now < self.again {
            return Ok(());
        }
        let wait = self.waits.next().ok_or_else(|| failed(client, Error::Timeout))?;
        self.again = now + wait;
        links.send(client, self.transaction.bytes())
    }
}

pub(crate) fn random_id() -> Result<TransactionId, LoadError> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(TransactionId::new(bytes))
}

const fn failed(client: usize, error: Error) -> LoadError {
    LoadError::SetUp { client, error }
}
