//! `docs/coturn.md` has the table of options as it is in the code, and every option of its own.
//!
//! After a change of the table: `BLESS=1 cargo test --profile checked -p turn-coturn --test reference`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use turn_coturn::reference_markdown;

const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->\n";

#[test]
fn the_page_has_the_table_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/coturn.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", reference_markdown());
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap();
    assert_eq!(page, expected, "see the head of this test for how to write it anew");
}

#[test]
fn the_table_has_a_row_for_each_option_and_no_broken_one() {
    let table = reference_markdown();
    for option in turn_coturn::options() {
        assert!(table.contains(&format!("\n| `{}", option.name)), "{}", option.name);
    }
    let is_row = |line: &&str| line.starts_with('|');
    for row in table.lines().filter(is_row) {
        let cells = row.matches('|').count() - 1;
        assert!(cells == 4 || cells == 2, "{row}");
    }
}
