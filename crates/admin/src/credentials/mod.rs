//! The credentials door: a listener of its own where applications and pages ask
//! for time-limited credentials. No admin route and no metrics are behind it.
//!
//! ```text
//!  connection -> TLS -> CORS (pages of known origins) -> rate -> key -> Issuer -> shape
//! ```

mod asked;
mod door;
mod issuer;
mod keys;
mod pages;
mod rate;
mod routes;
mod settings;
mod shapes;
mod who;

pub use door::{TlsConfigs, serve_credentials};
pub use issuer::{IssueError, Issued, Issuer, Wish, is_tag, is_user_name};
pub use keys::CredentialKeys;
pub use rate::SourceRate;
pub(crate) use routes::routes;
pub use settings::{BrowserKey, CredentialSettings, ServerKey};
pub use shapes::Shape;
pub(crate) use shapes::{array, w3c};
