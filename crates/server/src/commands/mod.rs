//! What the command line does instead of serving.

mod accounts;
mod check;
mod credentials;
mod dns;
mod import;
mod password;
mod probe;
mod remote;
mod store;
mod table;
mod turnadmin;
mod turnadmin_line;
mod users;

pub use accounts::Change as AccountChange;
pub use accounts::{
    change as change_account, create as create_account, list as accounts, usage, usage_log,
};
pub use check::Checked;
pub use check::check;
pub use credentials::{Asked, from_server, lifetime, offline};
pub use dns::zone;
pub use import::Imported;
pub use import::import;
pub use password::read as read_password;
pub use probe::{Probe, Target};
pub use remote::{allocations, drain, kill, reload, socket, status};
pub use store::{OpenStore, url_in};
pub use turnadmin::turnadmin;
pub use users::{add_secret, delete_secrets, delete_user, put_user, secrets, users};
