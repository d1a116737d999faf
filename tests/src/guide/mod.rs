//! docs/guides as tests read them: the blocks of a page, and the host that a page describes.

mod host;
mod page;
mod parsed;

pub use host::{GuideHost, HOST, PUBLIC};
pub use page::{Guide, NAMES};
pub use parsed::{ini, python, xml, yaml};
