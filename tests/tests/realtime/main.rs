//! What only a real clock shows. One binary, so that the tests run side by side; their names begin
//! with `realtime_`, by which `cargo xtask test` runs them beside all others.

mod browser;
mod certificates;
mod client;
mod drain;
mod h15_floods;
mod stores;
