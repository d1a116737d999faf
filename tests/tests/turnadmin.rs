//! Our binary under the name `turnadmin`, beside Debian's: the same command lines on two SQLite
//! databases leave the same rows, each tool reads what the other wrote, and both print the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use turn_tests::databases::turnadmin as debians;
use turn_tests::system::Daemon;

/// Everything that both write.
const LINES: [&str; 13] = [
    "-a -u ann -r a.example -p north",
    "-a -u bob -r a.example -p south",
    "--add --user=ann --realm=b.example --password=west",
    "-a -u ann -r a.example -p east",
    "-d -u bob -r a.example",
    "-s first -r a.example",
    "--set-secret=second --realm=a.example",
    "-s third -r b.example",
    "-X first -r a.example",
    "-O -o https://app.example -r a.example",
    "-O -o https://gone.example -r a.example",
    "-R -o https://gone.example",
    "-g -r a.example --max-bps=64000 --total-quota=10 --user-quota=3",
];

/// Everything that both print.
const LISTS: [&str; 7] =
    ["-l", "-l -r a.example", "-S", "-S -r a.example", "-G", "-G -r a.example", "-l -r none"];

#[test]
fn the_same_lines_leave_the_same_rows_as_coturns() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (theirs, ours) = (at("theirs.db"), at("ours.db"));
    for line in LINES {
        debians(words(line, &theirs));
        let done = run_ours(line, &ours, "");
        assert!(done.status.success(), "{line}: {}", text(&done.stderr));
        assert_eq!(text(&done.stdout), "", "{line}");
    }
    for list in LISTS {
        let expected = rows(&debians(words(list, &theirs)));
        // Two tools on two databases.
        for database in [&theirs, &ours] {
            assert_eq!(rows(&text(&run_ours(list, database, "").stdout)), expected, "{list}");
            assert_eq!(rows(&debians(words(list, database))), expected, "{list}");
        }
    }
    let users = rows(&debians(words("-l", &ours)));
    assert_eq!(users, ["ann[a.example]", "ann[b.example]"]);
    let secrets = rows(&debians(words("-S", &ours)));
    assert_eq!(secrets, ["second[a.example]", "third[b.example]"]);
    // The keys are told by nobody: they are looked for in the files.
    for key in ["ann:a.example:east", "ann:b.example:west"] {
        let (user, rest) = key.split_once(':').unwrap();
        let (realm, password) = rest.split_once(':').unwrap();
        let line = format!("-k -u {user} -r {realm} -p {password}");
        let printed = text(&run_ours(&line, &ours, "").stdout);
        let hex = printed.trim().strip_prefix("0x").unwrap();
        assert_eq!(rows(&debians(line.split(' '))), [format!("0x{hex}")]);
        for database in [&theirs, &ours] {
            assert!(contains(Path::new(database), hex), "{key} in {database}");
        }
    }
    // 0 removes, as coturn's page has it; what Debian has built leaves SQLite as it is.
    assert!(run_ours("-g -r a.example --user-quota=0", &theirs, "").status.success());
    let left = rows(&debians(words("-G", &theirs)));
    assert_eq!(left, ["max-bps[a.example]=64000", "total-quota[a.example]=10"]);
    let origins = text(&run_ours("-I", &ours, "").stdout);
    assert_eq!(origins, "https://app.example:443 ==>> a.example\n");
    assert_eq!(text(&run_ours("-I", &theirs, "").stdout), origins);
}

#[test]
fn a_password_need_not_stand_on_the_command_line() {
    let directory = TempDir::new().unwrap();
    let database = directory.path().join("t.db").to_str().unwrap().to_owned();
    let done = run_ours("-a -u ann -r r", &database, "north wind\n");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let key = text(&run_ours("-k -u ann -r r", &database, "north wind\n").stdout);
    assert!(contains(Path::new(&database), key.trim().trim_start_matches("0x")), "{key}");
}

#[test]
fn what_is_missing_or_not_available_is_said_and_fails() {
    let directory = TempDir::new().unwrap();
    let database = directory.path().join("t.db").to_str().unwrap().to_owned();
    for (line, why) in [
        ("-a -u ann -p hunter2", "the realm must be set"),
        ("-d -r r", "the user must be set"),
        ("-O -r r", "the origin must be set"),
        ("-g -r r", "a realm option must be set"),
        ("-A -u ann -p hunter2", "no admin users"),
        ("-l -J mongodb://u:hunter2@h/d", "MongoDB"),
        ("-z", "not a command line of turnadmin"),
        ("-r r", "no command"),
    ] {
        let done = run_ours(line, &database, "");
        assert!(!done.status.success(), "{line}");
        let told = text(&done.stderr);
        assert!(told.contains(why) && !told.contains("hunter2"), "{line}: {told}");
    }
    let help = run_ours("-h", &database, "");
    assert!(help.status.success() && text(&help.stdout).contains("--set-realm-option"));
}

fn run_ours(line: &str, database: &str, input: &str) -> Output {
    let mut command = Command::new(Daemon::command().get_program());
    command.arg0("turnadmin").args(words(line, database));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The database first, so that a line may name another.
fn words<'a>(line: &'a str, database: &'a str) -> impl Iterator<Item = &'a str> {
    ["-b", database].into_iter().chain(line.split(' '))
}

/// What is listed, in an order of its own, without what coturn logs beside it.
fn rows(output: &str) -> Vec<String> {
    let is_row = |line: &&str| {
        line.starts_with("0x")
            || line.contains("]=")
            || (line.ends_with(']') && !line.contains(": "))
    };
    let mut rows: Vec<String> = output.lines().filter(is_row).map(str::to_owned).collect();
    rows.sort();
    rows
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether `needle` is in a database, or in what has not been moved into it yet.
fn contains(database: &Path, needle: &str) -> bool {
    let journal = format!("{}-wal", database.display());
    [database, Path::new(&journal)].into_iter().any(|path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}
