//! `turnserver users` and `turnserver secrets`: what is in a store.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What `turnserver users` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum UsersCommand {
    /// Add a user, or give it another password
    Add(UserArgs),
    /// Give a user that is there another password
    Passwd(UserArgs),
    /// Delete a user
    Delete {
        /// Its name
        name: String,
        /// Where.
        #[command(flatten)]
        place: StoreArgs,
    },
    /// List realms and users; without --realm those of all realms
    List(StoreArgs),
}

/// A user and where its password comes from.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UserArgs {
    /// Its name
    pub name: String,
    /// File with the password, or the key as 0x and 32 hexadecimal digits, on its first line
    /// [default: standard input; a terminal is asked]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Where.
    #[command(flatten)]
    pub place: StoreArgs,
}

/// What `turnserver secrets` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum SecretsCommand {
    /// Add a shared secret
    Add {
        /// File with the secret on its first line [default: standard input; a terminal is asked]
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Where.
        #[command(flatten)]
        place: StoreArgs,
    },
    /// Delete a shared secret
    Delete {
        /// File with the secret on its first line [default: standard input; a terminal is asked]
        #[arg(long, value_name = "FILE", conflicts_with = "all")]
        secret_file: Option<PathBuf>,
        /// Delete all secrets of the realm instead
        #[arg(long)]
        all: bool,
        /// Where.
        #[command(flatten)]
        place: StoreArgs,
    },
    /// List realms and secrets, in clear text; without --realm those of all realms
    List(StoreArgs),
}

/// A realm of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct StoreArgs {
    /// Realm [default: that of the configuration]
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// Store, as in auth.stores, without a password [default: the first of the configuration that
    /// can be written]
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// File with the URL of the store on its first line, which may have a password
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    pub store_file: Option<PathBuf>,
}
