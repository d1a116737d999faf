//! `turnserver accounts`: managed credentials.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::Reached;

/// What `turnserver accounts` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AccountsCommand {
    /// Make a managed credential and print its name and password
    Create {
        /// Where the server is.
        #[command(flatten)]
        reached: Reached,
        /// User name [default: one is made up]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Label, by which usage is told
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// Realm [default: that of the configuration]
        #[arg(long, value_name = "REALM")]
        realm: Option<String>,
        /// How long it lives: 90s, 10m, 1h, 30d [default: for ever]
        #[arg(long, value_name = "TIME", value_parser = crate::commands::lifetime)]
        ttl: Option<Duration>,
        /// Allocations at a time [default: as the realm has it]
        #[arg(long, value_name = "NUMBER")]
        allocations: Option<u32>,
        /// Bytes a second each way [default: as the realm has it]
        #[arg(long, value_name = "BYTES")]
        bandwidth: Option<u64>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List them
    List {
        /// Where the server is.
        #[command(flatten)]
        reached: Reached,
        /// Realm [default: that of the configuration]
        #[arg(long, value_name = "REALM")]
        realm: Option<String>,
        /// Only those with this label
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let nobody use one, and end its live allocations
    Disable(AccountArgs),
    /// Let it be used again
    Enable(AccountArgs),
    /// Delete one, and end its live allocations
    Delete(AccountArgs),
}

/// One managed credential.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AccountArgs {
    /// Its user name
    pub name: String,
    /// Realm [default: that of the configuration]
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// Where the server is.
    #[command(flatten)]
    pub reached: Reached,
}
