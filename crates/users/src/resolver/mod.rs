//! Asking the stores, off the way of every packet.
//!
//! ```text
//! shards --find--> | desk: cache -> coalesce -> room | --> errand: store 1, store 2, ... |
//!        <-answer- |   one thread, one runtime       | <-- poll: a catalogue each        |
//! ```
//!
//! Invariants:
//! - [`Resolver::find`] never blocks, and its callback is called exactly once, within a second;
//! - what a stranger can choose is bounded: names in flight, names cached, callers waiting;
//! - a store that fails makes an answer [`Answer::Unavailable`], never [`Answer::Unknown`].

mod caller;
mod desk;
mod errand;
#[cfg(test)]
mod fake;
mod merge;
mod name;
mod options;
mod poll;
mod shelf;
mod standing;
#[cfg(test)]
mod tests;
mod thread;

pub use caller::Answer;
pub use options::Options;
pub use standing::StoreHealth;
pub use thread::Resolver;
