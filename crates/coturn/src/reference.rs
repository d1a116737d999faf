//! The table of `docs/coturn.md`.

use std::fmt::Write as _;

use crate::options::{GROUPS, OptionSpec, REMOVED, Value, Verdict};

/// Every option with its verdict, as Markdown: what stands between the markers of `docs/coturn.md`.
pub fn reference_markdown() -> String {
    let mut out = String::new();
    for group in GROUPS {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "### {}\n", group.title);
        out.push_str("| option | coturn's default | here | |\n|---|---|---|---|\n");
        for option in group.options {
            let OptionSpec { default, what, .. } = option;
            let _ = writeln!(
                out,
                "| {} | {default} | {} | {what} |",
                spelling(option),
                verdict(option)
            );
        }
        out.push('\n');
    }
    out.push_str("### Removed from coturn, and still in guides\n\n");
    out.push_str("Accepted with a warning.\n\n| option | |\n|---|---|\n");
    for removed in REMOVED {
        let _ = writeln!(out, "| `{}` | {} |", removed.name, removed.reason);
    }
    out
}

fn spelling(option: &OptionSpec) -> String {
    let value = match option.value {
        Value::Flag => "",
        Value::Required => "=…",
        Value::Optional => "[=…]",
    };
    let short = option.short.map(|letter| format!(", `-{letter}`")).unwrap_or_default();
    format!("`{}{value}`{short}", option.name)
}

fn verdict(option: &OptionSpec) -> String {
    match option.verdict {
        Verdict::Applied(Some(key)) => format!("applied: `{key}`"),
        Verdict::Applied(None) => "always so".to_owned(),
        Verdict::Ignored => "ignored".to_owned(),
        Verdict::Refused => "**refused**".to_owned(),
    }
}
