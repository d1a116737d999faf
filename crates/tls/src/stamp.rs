//! What tells a changed file from an unchanged one without reading it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::identity::CertificateFiles;

/// What the kernel knows of the files of a pair; nothing where one cannot be seen.
///
/// Symbolic links are followed, so that a link further up that is swapped
/// (Kubernetes' `..data`, certbot's `live/`) shows as another inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    certificate: Option<FileStamp>,
    key: Option<FileStamp>,
}

/// The time of the last change of an inode (ctime) is set by the kernel alone:
/// a copy that keeps the date of its source is seen, and so is a `chmod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// To be taken before the files are read, so that no change is missed.
    pub(crate) fn of(files: &CertificateFiles) -> Self {
        Self { certificate: file_stamp(&files.certificate), key: file_stamp(&files.key) }
    }
}

fn file_stamp(path: &Path) -> Option<FileStamp> {
    fs::metadata(path).ok().map(|metadata: Metadata| FileStamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}
