//! coturn's configuration, read as coturn reads it and turned into ours.
//!
//! [`parse_file`] and [`parse_arguments`] read `turnserver.conf` and coturn's command line;
//! [`import`] makes a [`turn_config::Config`] of either or both, or says why it must not.
//!
//! - Every option of coturn 4.6 to 4.17 is in one table ([`GROUPS`]): applied, ignored with a
//!   reason, or refused with a reason. `docs/coturn.md` is generated from it
//!   ([`reference_markdown`]).
//! - Meaning is coturn's, but for what coturn does dangerously by default: nobody relays without
//!   credentials unless `no-auth` is written, and private peers stay closed unless
//!   [`ImportOptions::keep_peer_policy`] asks for them.
//! - What the host has to say (addresses, names, files) comes in through [`Surroundings`].
//! - No message and no `Debug` output holds a value that may be a secret.

#![forbid(unsafe_code)]

mod arguments;
mod file;
mod format;
mod import;
mod note;
mod options;
mod parsed;
mod ranges;
mod reference;
mod store;
mod stored_peers;
mod suggest;
mod surroundings;

pub use arguments::{ArgumentError, is_coturn_argument, parse_arguments};
pub use file::parse_file;
pub use format::{Format, has_active_line, looks_like_coturn};
pub use import::{Import, ImportOptions, Refusal, Refused, import, store_url};
pub use note::{Note, NoteKind, Place};
pub use options::{GROUPS, Group, OptionSpec, REMOVED, Removed, Value, Verdict, option, options};
pub use parsed::{Parsed, Setting};
pub use reference::reference_markdown;
pub use stored_peers::{MOST_STORED_PEERS, StoredPeers, stored_peers};
pub use surroundings::{Host, Surroundings, ThisHost};
