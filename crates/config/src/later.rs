//! Keys that the design names and this version does not have yet.
//!
//! A key that does nothing yet does not exist yet; whoever writes one is told
//! so, instead of being told that it is misspelt. An entry leaves this list
//! with the change that makes its key work.

use crate::complaint::Complaint;

const LATER: [(&str, &str, &str); 1] =
    [("relay", "copy_tos", "copying DSCP and ECN is not available yet")];

/// The complaint about `key` in `section`, if it is one of those to come.
pub(crate) fn complaint(section: &str, key: &str) -> Option<Complaint> {
    let (_, _, message) = LATER.iter().find(|(of, name, _)| *of == section && *name == key)?;
    Some(Complaint::new(*message, "remove it; CHANGELOG.md says what each version brings"))
}
