//! Usage and the allocation log over the admin socket.

use turn_admin::client::ClientError;
use turn_admin::{Day, UsageBy};

use crate::keeper::Kept;

#[tokio::test]
async fn sums_are_asked_for_by_day_and_whose_they_are() {
    let kept = Kept::open().await;
    let rows = kept.client.usage("2026-11-01", "2026-11-30", "user,day,user", None).await.unwrap();
    assert_eq!((rows.rows.len(), rows.next), (1000, Some(1000)));
    assert_eq!((rows.from.as_str(), rows.to.as_str()), ("2026-11-01", "2026-11-30"));
    let asked = kept.keeper.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!((asked.from, asked.to), (day("2026-11-01"), day("2026-11-30")));
    assert_eq!(asked.by, [UsageBy::User, UsageBy::Day]);

    let rest = kept.client.usage("2026-11-01", "2026-11-01", "", Some(2000)).await.unwrap();
    assert_eq!((rest.rows.len(), rest.next), (500, None));
    assert_eq!(rest.rows[0].up_bytes, 2000);

    let of = "GET /api/v1/usage?realm=a&tenant=&user=%40b&label=c&credential=d&limit=1";
    let answer = kept.ask(of, "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.ends_with(r#""next":1}"#), "{}", answer.body);
    let asked = kept.keeper.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!(asked.of.tenant.as_deref(), Some(""));
    assert_eq!(asked.of.user.as_deref(), Some("@b"));
    assert_eq!(asked.to.days_since_1970() - asked.from.days_since_1970(), 30);
    assert_eq!(asked.to, Day::today());
}

#[tokio::test]
async fn a_time_that_is_none_is_told() {
    let kept = Kept::open().await;
    for (query, told) in [
        ("from=2026-02-30", "as in 2026-11-30"),
        ("from=yesterday", "from: "),
        ("from=1969-12-31", "before 1970"),
        ("to=2026-11-1", "to: "),
        ("from=2026-11-02&to=2026-11-01", "later than"),
        ("by=colour", "day, realm, tenant, user, label, credential"),
        ("limit=1001", "1 to 1000"),
        ("offset=-1", "offset"),
        ("users=a", "nothing is called users"),
    ] {
        let answer = kept.ask(&format!("GET /api/v1/usage?{query}"), "").await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        assert!(answer.body.contains(told), "{query}: {}", answer.body);
    }
    assert!(kept.keeper.asked.lock().unwrap().is_empty());
    *kept.keeper.is_down.lock().unwrap() = true;
    let answer = kept.ask("GET /api/v1/usage", "").await;
    assert_eq!(answer.status, 503, "{}", answer.body);
}

#[tokio::test]
async fn the_log_is_exported_line_by_line_over_all_its_pages() {
    let kept = Kept::open().await;
    let lines: Vec<String> = (0..3500).map(|number| format!(r#"{{"n":{number}}}"#)).collect();
    kept.keeper.log.lock().unwrap().clone_from(&lines);
    let log = export(&kept).await.unwrap();
    assert_eq!(log, lines.join("\n") + "\n");
    let answer = kept.ask("GET /api/v1/usage/allocations?from=2026-11-01&to=2026-11-02", "").await;
    assert!(answer.head.contains("content-type: application/x-ndjson"), "{}", answer.head);
    kept.keeper.log.lock().unwrap().clear();
    assert_eq!(export(&kept).await.unwrap(), "", "no allocation, no line");
}

#[tokio::test]
async fn an_export_that_breaks_off_is_never_taken_for_the_whole() {
    let kept = Kept::open().await;
    kept.keeper.log.lock().unwrap().extend((0..3500).map(|number| number.to_string()));
    *kept.keeper.breaks_at.lock().unwrap() = Some(2500);
    assert!(matches!(export(&kept).await, Err(ClientError::Garbled { .. })));
    *kept.keeper.breaks_at.lock().unwrap() = Some(0);
    let error = export(&kept).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 503, .. }), "{error}");
    // A book that turns in a circle ends, too.
    *kept.keeper.breaks_at.lock().unwrap() = None;
    *kept.keeper.sticks_at.lock().unwrap() = Some("1000".to_owned());
    assert!(matches!(export(&kept).await, Err(ClientError::Garbled { .. })));
}

async fn export(kept: &Kept) -> Result<String, ClientError> {
    let mut log = Vec::new();
    let piece = |piece: &[u8]| {
        log.extend_from_slice(piece);
        Ok(())
    };
    kept.client.allocation_log(Some("2026-11-01"), Some("2026-11-30"), piece).await?;
    Ok(String::from_utf8(log).unwrap())
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}
