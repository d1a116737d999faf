//! Where and when a measurement was taken.

use std::{fs, process::Command};

/// One line for the head of a table.
pub(crate) fn describe() -> String {
    let date = said_by("date", &["-u", "+%F"]);
    let kernel = said_by("uname", &["-sr"]);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let model = field(&processors, "model name");
    let mhz = field(&processors, "cpu MHz");
    let total = field(&memory, "MemTotal");
    format!("{date}, {cores} x {model} ({mhz} MHz), {total}, {kernel}, loopback IPv4")
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.unwrap_or_else(|_| format!("unknown {program}"))
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU\ncpu MHz\t\t: 2500.000\n";
        assert_eq!((field(text, "model name"), field(text, "cpu MHz")), ("Some CPU", "2500.000"));
        assert_eq!(field(text, "cache"), "unknown");
    }
}
