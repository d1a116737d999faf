//! `turnserver accounts` and `turnserver usage`: managed credentials and what was used, from the
//! running server.

use std::io::Write;
use std::path::Path;

use turn_admin::client::{Client, ClientError};
use turn_admin::{Account, AccountName, NewAccount, UsageRow};

use super::table::{Table, amount, duration};

/// Makes a managed credential; its password is shown here and never again by this command.
///
/// # Errors
/// The server is not there, or refuses.
pub async fn create(socket: &Path, new: &NewAccount, as_json: bool) -> Result<String, String> {
    let created = connect(socket).await?.create_account(new).await.map_err(told)?;
    if as_json {
        return super::remote::json(&created);
    }
    let mut table = Table::new(&[]);
    table.row(vec!["username".to_owned(), created.account.username.escape_debug().to_string()]);
    table.row(vec!["password".to_owned(), created.password.clone()]);
    table.row(vec!["realm".to_owned(), created.account.realm.escape_debug().to_string()]);
    Ok(table.to_string())
}

/// Lists the managed credentials of a realm, page by page.
///
/// # Errors
/// The server is not there, or refuses.
pub async fn list(
    socket: &Path,
    realm: Option<&str>,
    label: Option<&str>,
    as_json: bool,
) -> Result<String, String> {
    let client = connect(socket).await?;
    let (mut accounts, mut after): (Vec<Account>, Option<String>) = (Vec::new(), None);
    loop {
        let page = client.accounts(realm, label, after.as_deref()).await.map_err(told)?;
        accounts.extend(page.credentials);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if as_json {
        return super::remote::json(&accounts);
    }
    if accounts.is_empty() {
        return Ok("no managed credentials\n".to_owned());
    }
    let now = crate::clock::unix_seconds(std::time::SystemTime::now());
    let mut table = Table::new(&["USERNAME", "REALM", "LABEL", "AGE", "EXPIRES", "STATE"]);
    for account in &accounts {
        table.row(row(account, now));
    }
    Ok(table.to_string())
}

/// What is done to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nobody may use it, and its live allocations end.
    Disable,
    /// It may be used again.
    Enable,
    /// It is gone, and its live allocations end.
    Delete,
}

/// Changes one of them.
///
/// # Errors
/// The server is not there, or has none of this name.
pub async fn change(socket: &Path, name: &AccountName, change: Change) -> Result<String, String> {
    let client = connect(socket).await?;
    let shown = name.username.escape_debug();
    Ok(match change {
        Change::Enable => {
            client.enable_account(name).await.map_err(told)?;
            format!("enabled: {shown}\n")
        }
        Change::Disable => {
            let closed = client.disable_account(name).await.map_err(told)?;
            format!("disabled: {shown}; {} allocations ended\n", closed.ended_allocations)
        }
        Change::Delete => {
            let closed = client.delete_account(name).await.map_err(told)?;
            format!("deleted: {shown}; {} allocations ended\n", closed.ended_allocations)
        }
    })
}

/// What was used from one day to another, both included.
///
/// # Errors
/// The server is not there, or keeps no usage.
pub async fn usage(
    socket: &Path,
    (from, to): (&str, &str),
    by: &str,
    as_json: bool,
) -> Result<String, String> {
    let client = connect(socket).await?;
    let (mut rows, mut offset): (Vec<UsageRow>, Option<u64>) = (Vec::new(), None);
    loop {
        let page = client.usage(from, to, by, offset).await.map_err(told)?;
        rows.extend(page.rows);
        offset = page.next;
        if offset.is_none() {
            break;
        }
    }
    if as_json {
        return super::remote::json(&rows);
    }
    if rows.is_empty() {
        return Ok("nothing was used\n".to_owned());
    }
    Ok(usage_text(&rows))
}

/// The lines of the allocation log, as they come.
///
/// # Errors
/// The server is not there, keeps no log, or nobody reads the lines.
pub async fn usage_log(
    socket: &Path,
    (from, to): (Option<&str>, Option<&str>),
    out: &mut dyn Write,
) -> Result<(), String> {
    let client = connect(socket).await?;
    client.allocation_log(from, to, |piece| out.write_all(piece)).await.map_err(told)?;
    out.flush().map_err(|error| format!("error: {error}"))
}

fn usage_text(rows: &[UsageRow]) -> String {
    const NAMES: [&str; 6] = ["DAY", "REALM", "TENANT", "USER", "LABEL", "CREDENTIAL"];
    let names = |row: &UsageRow| {
        [&row.day, &row.realm, &row.tenant, &row.user, &row.label, &row.credential]
            .map(|name| name.as_ref().map(|name| name.escape_debug().to_string()))
    };
    let asked = rows.first().map(names).unwrap_or_default();
    let head = NAMES.iter().zip(&asked).filter(|(_, name)| name.is_some()).map(|(head, _)| *head);
    let head: Vec<&str> = head.chain(["UP", "DOWN", "ALLOCATIONS", "TIME"]).collect();
    let mut table = Table::new(&head);
    for row in rows {
        let mut cells: Vec<String> = names(row).into_iter().flatten().collect();
        cells.extend([
            amount(row.up_bytes),
            amount(row.down_bytes),
            row.allocations.to_string(),
            duration(row.seconds),
        ]);
        table.row(cells);
    }
    table.to_string()
}

fn row(account: &Account, now: u64) -> Vec<String> {
    let expires = match account.expires_at {
        None => "never".to_owned(),
        Some(at) if at <= now => "expired".to_owned(),
        Some(at) => duration(at - now),
    };
    vec![
        account.username.escape_debug().to_string(),
        account.realm.escape_debug().to_string(),
        account.label.as_deref().unwrap_or_default().escape_debug().to_string(),
        duration(now.saturating_sub(account.created_at)),
        expires,
        if account.disabled { "disabled" } else { "enabled" }.to_owned(),
    ]
}

async fn connect(socket: &Path) -> Result<Client, String> {
    Client::connect(socket).await.map_err(told)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(error: ClientError) -> String {
    format!("error: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_usage_has_the_columns_that_were_asked_for() {
        let row = UsageRow {
            user: Some("an\x1bn".to_owned()),
            day: Some("2026-11-30".to_owned()),
            up_bytes: 2_000,
            seconds: 65,
            ..UsageRow::default()
        };
        let text = usage_text(&[row]);
        assert!(text.starts_with("DAY         USER"), "{text}");
        assert!(text.contains(r"an\u{1b}n") && text.contains("1m 5s"), "{text}");
        assert!(!text.contains("TENANT"), "{text}");
    }
}
