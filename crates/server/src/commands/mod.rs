//! What the command line does instead of serving.

mod check;
mod import;
mod remote;
mod table;

pub use check::Checked;
pub use check::check;
pub use import::Imported;
pub use import::import;
pub use remote::{allocations, drain, kill, reload, socket, status};
