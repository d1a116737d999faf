//! What is counted: a thousand operations each, so that a count in
//! `counts.toml` divided by a thousand is the instructions of one.
//!
//! gungraun runs each under valgrind's callgrind and counts from the call of the
//! function to its return. Its argument is made before that and what it returns
//! is dropped after it, so neither set-up nor tear-down counts.

#![expect(clippy::unwrap_used, reason = "a bench stops at its first surprise")]
#![expect(unused_qualifications, reason = "what gungraun's macros write")]

mod codec;
mod relaying;
mod requests;
mod sockets;

use gungraun::{Callgrind, LibraryBenchmarkConfig, main};

use codec::codec_group;
use relaying::relaying_group;
use requests::requests_group;
use sockets::sockets_group;

main!(
    // Instructions only: a simulated cache costs time and gates nothing.
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"]));
    library_benchmark_groups = relaying_group, requests_group, codec_group, sockets_group
);
