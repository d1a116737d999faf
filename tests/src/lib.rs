//! What the tests of this package share: programs that nobody here wrote, and our server.
//!
//! The tests themselves are in `tests/`.
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    reason = "this library serves tests, which fail by panicking with what went wrong"
)]

pub mod databases;
pub mod foreign;
pub mod guide;
pub mod lab;
pub mod system;
