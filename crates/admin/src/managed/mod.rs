//! Managed credentials and usage, as the admin doors show them.

mod account_routes;
mod accounts;
mod lines;
mod read;
mod usage;
mod usage_routes;

pub(crate) use account_routes::routes as account_routes;
pub use accounts::{
    Account, AccountError, AccountFilter, AccountIce, AccountLimits, AccountName, AccountPage,
    Accounts, ClosedAccount, CreatedAccount, NewAccount,
};
pub(crate) use read::{bad, json_body};
pub use usage::{
    LogPage, LogQuery, UsageBook, UsageBy, UsageError, UsageFilter, UsageQuery, UsageRow, UsageRows,
};
pub(crate) use usage_routes::routes as usage_routes;
