//! Whether an SQLite database of users is there and holds anything.
//!
//! coturn opens a database that nobody has named, and makes an empty one where there is none; such
//! a one is no store. The few pages that tell are read here (SQLite's file format, sections 1.3,
//! 1.6 and 2.6); whatever is not understood counts as filled.

use std::io;
use std::path::Path;

use crate::surroundings::Host;

/// What is known of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// There is no such file.
    Absent,
    /// It is empty, without a table.
    Nothing,
    /// It has tables, and no users, secrets or rules in them.
    Empty,
    /// It is no SQLite database.
    Foreign,
    /// It may hold some.
    Filled,
    /// The system does not let us look.
    Unreadable,
}

impl Store {
    pub(crate) fn at(path: &Path, host: &dyn Host) -> Self {
        let mut journal = path.as_os_str().to_owned();
        journal.push("-wal");
        let is_written = |bytes: Vec<u8>| !bytes.is_empty();
        match host.read(path) {
            Ok(bytes) if bytes.is_empty() => Self::Nothing,
            Ok(bytes) if !bytes.starts_with(MAGIC) => Self::Foreign,
            Ok(_) if host.read(Path::new(&journal)).is_ok_and(is_written) => Self::Filled,
            Ok(bytes) if holds_nothing(&bytes) => Self::Empty,
            Ok(_) => Self::Filled,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Absent,
            Err(_) => Self::Unreadable,
        }
    }
}

const MAGIC: &[u8] = b"SQLite format 3\0";

/// Tables whose rows decide who gets in or what can be reached.
const TABLES: [&str; 7] = [
    "turnusers_lt",
    "turn_secret",
    "allowed_peer_ip",
    "denied_peer_ip",
    "turn_origin_to_realm",
    "turn_realm_option",
    "oauth_key",
];

fn holds_nothing(bytes: &[u8]) -> bool {
    bytes.is_empty() || Database::new(bytes).is_some_and(|it| it.holds_nothing() == Some(true))
}

/// An SQLite file.
struct Database<'b> {
    bytes: &'b [u8],
    page_size: usize,
}

/// The kinds of b-tree pages, and where their cell pointers begin.
const INTERIOR_TABLE: u8 = 5;
const LEAF_TABLE: u8 = 13;
const LEAF_INDEX: u8 = 10;

impl<'b> Database<'b> {
    fn new(bytes: &'b [u8]) -> Option<Self> {
        let page_size = match number(bytes, 16, 2)? {
            1 => 65_536,
            size => size,
        };
        let is_one = bytes.starts_with(MAGIC) && page_size >= 512;
        is_one.then_some(Self { bytes, page_size })
    }

    /// Whether all of [`TABLES`] that there are have no row; nothing where that cannot be said.
    fn holds_nothing(&self) -> Option<bool> {
        let mut pages = vec![1];
        let mut read = 0;
        while let Some(page) = pages.pop() {
            read += 1;
            if read > 1000 {
                return None;
            }
            let (bytes, at) = self.page(page)?;
            match *bytes.get(at)? {
                INTERIOR_TABLE => {
                    pages.push(number(bytes, at + 8, 4)?);
                    for cell in cells(bytes, at, 12) {
                        pages.push(number(bytes, cell?, 4)?);
                    }
                }
                LEAF_TABLE => {
                    for cell in cells(bytes, at, 8) {
                        let (name, root) = table(bytes.get(cell?..)?)?;
                        if TABLES.contains(&name) && !self.is_empty_tree(root)? {
                            return Some(false);
                        }
                    }
                }
                _ => return None,
            }
        }
        Some(true)
    }

    fn is_empty_tree(&self, root: usize) -> Option<bool> {
        let (bytes, at) = self.page(root)?;
        let is_leaf = [LEAF_TABLE, LEAF_INDEX].contains(bytes.get(at)?);
        Some(is_leaf && number(bytes, at + 3, 2)? == 0)
    }

    /// A page, and where its b-tree header begins: behind the file's own in the first one.
    fn page(&self, page: usize) -> Option<(&'b [u8], usize)> {
        let start = page.checked_sub(1)?.checked_mul(self.page_size)?;
        let bytes = self.bytes.get(start..start.checked_add(self.page_size)?)?;
        Some((bytes, if page == 1 { 100 } else { 0 }))
    }
}

/// Where the cells of a page begin.
fn cells(bytes: &[u8], at: usize, header: usize) -> impl Iterator<Item = Option<usize>> {
    let count = number(bytes, at + 3, 2).unwrap_or_default();
    (0..count).map(move |index| number(bytes, at + header + 2 * index, 2))
}

/// Name and root page of a cell of `sqlite_schema` (type, name, tbl_name, rootpage, sql); an empty
/// name where it is an index or a view.
fn table(cell: &[u8]) -> Option<(&str, usize)> {
    let (_, cell) = varint(cell)?;
    let (_, record) = varint(cell)?;
    let (header, mut types) = varint(record)?;
    let mut values = record.get(header..)?;
    let mut column = || {
        let (serial, rest) = varint(types)?;
        types = rest;
        let length = match serial {
            0 | 8 | 9 => 0,
            1..=4 => serial,
            5 => 6,
            6 | 7 => 8,
            _ => serial.checked_sub(12)? / 2,
        };
        let (value, rest) = values.split_at_checked(length)?;
        values = rest;
        Some((serial, value))
    };
    let (_, kind) = column()?;
    let (_, name) = column()?;
    column()?;
    let (serial, root) = column()?;
    let root = match serial {
        8 => 0,
        9 => 1,
        _ => number(root, 0, root.len())?,
    };
    let name = if kind == b"table" { std::str::from_utf8(name).ok()? } else { "" };
    Some((name, root))
}

/// A big-endian number of `length` bytes at `at`.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let digits = bytes.get(at..at.checked_add(length)?)?;
    digits
        .iter()
        .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))
}

/// SQLite's variable-length integer, up to four bytes of it, and what stands behind.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value = value << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by SQLite with a page of 512 bytes, so that the schema takes several.
    const WITHOUT_ROWS: &[u8] = include_bytes!("../tests/fixtures/empty.turndb");
    const WITH_A_USER: &[u8] = include_bytes!("../tests/fixtures/user.turndb");

    #[test]
    fn a_schema_without_rows_is_empty_and_one_user_fills_it() {
        assert!(holds_nothing(WITHOUT_ROWS));
        assert!(!holds_nothing(WITH_A_USER));
    }

    #[test]
    fn an_empty_file_is_empty_and_what_is_not_understood_is_filled() {
        assert!(holds_nothing(b""));
        assert!(!holds_nothing(b"alice:secret"));
        for length in 1..WITHOUT_ROWS.len() {
            let cut = WITHOUT_ROWS.get(..length).unwrap_or_default();
            assert!(!holds_nothing(cut), "{length}");
        }
    }

    #[test]
    fn no_byte_of_it_makes_the_reader_panic() {
        let mut bytes = WITHOUT_ROWS.to_vec();
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let Some(byte) = bytes.get_mut(at) else { continue };
                let kept = std::mem::replace(byte, value);
                holds_nothing(&bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = kept;
                }
            }
        }
    }
}
