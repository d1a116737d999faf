//! `dashboards/`: every query parses and names metrics that the server has, every alert does what it
//! says; and docs/operations.md explains every metric and every alert.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use turn_tests::foreign::promtool::{check_rules, test_rules};

/// Words of a query that are no metrics.
const WORDS: &[&str] = &[
    "and",
    "changes",
    "histogram_quantile",
    "increase",
    "max",
    "min",
    "offset",
    "or",
    "rate",
    "sum",
    "time",
];

/// The one series that Prometheus makes by itself.
const UP: &str = "up";

/// What stands before a list of labels.
const GROUPINGS: &[&str] = &["by", "ignoring", "on", "without"];

/// The width of a dashboard.
const WIDTH: u64 = 24;

#[test]
fn every_query_of_the_dashboard_names_metrics_that_exist() {
    let queries = dashboard_queries();
    assert!(queries.len() > 40, "{}", queries.len());
    expect_known(&queries);
}

#[test]
fn every_query_of_the_dashboard_parses() {
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, query) in dashboard_queries().iter().enumerate() {
        // What Grafana puts in.
        let query = query.replace("$__rate_interval", "1m").replace("$instance", ".*");
        let query = query.replace("$realm", ".*");
        assert!(!query.contains('$'), "an unknown variable in {query}");
        let query = Value::String(query);
        let _ = writeln!(rules, "  - {{record: 'query:{number}', expr: {query}}}");
    }
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("dashboard.yaml");
    // A query that stands in two panels is no fault: its rules have names of their own.
    fs::write(&path, rules).unwrap();
    assert_eq!(check_rules(&path), [""; 0]);
}

#[test]
fn the_panels_of_the_dashboard_are_whole_and_do_not_cover_each_other() {
    let dashboard = dashboard();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels(&dashboard) {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(!panel["title"].as_str().unwrap().is_empty(), "{panel}");
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for (x, y) in (0..at("w")).flat_map(|x| (0..at("h")).map(move |y| (x, y))) {
            assert!(at("x") + x < WIDTH, "{panel}");
            assert!(taken.insert((at("x") + x, at("y") + y)), "{panel} covers another");
        }
        if panel["type"] != "row" {
            let sources = queries_of(panel).count();
            assert!(sources > 0 && panel["datasource"]["uid"] == "${datasource}", "{panel}");
        }
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> =
        variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "instance", "realm"]);
}

#[test]
fn every_alert_names_metrics_that_exist() {
    let expressions = alert_expressions();
    assert!(expressions.len() > 10, "{expressions:?}");
    expect_known(&expressions);
}

#[test]
fn the_alerts_are_rules_and_do_what_they_say() {
    assert_eq!(check_rules(&file("dashboards/alerts.yaml")), [""; 0]);
    assert_eq!(test_rules(&file("tests/tests/fixtures/alerts.test.yaml")), [""; 0]);
}

#[test]
fn the_operators_page_explains_every_metric_and_every_alert() {
    let page = read("docs/operations.md");
    let families = turn_admin::metric_names();
    let families = families.iter().map(|name| family(name)).collect::<BTreeSet<_>>();
    let unexplained: Vec<_> =
        families.into_iter().filter(|name| !page.contains(&format!("`{name}"))).collect();
    assert!(unexplained.is_empty(), "docs/operations.md says nothing of {unexplained:?}");
    let alerts = read("dashboards/alerts.yaml");
    let alerts = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let unexplained: Vec<_> = alerts.filter(|name| !page.contains(*name)).collect();
    assert!(unexplained.is_empty(), "docs/operations.md says nothing of {unexplained:?}");
}

#[test]
fn metrics_are_found_in_a_query() {
    let query =
        "sum by (le, realm) (rate(turn_a_bucket{x=~\"turn_b\"}[5m] offset 1h)) > 0.5e3 * c_d";
    assert_eq!(metrics(query), ["turn_a_bucket", "c_d"]);
}

/// Fails with the metrics that the server does not have.
fn expect_known(queries: &[String]) {
    let known: BTreeSet<String> = turn_admin::metric_names().into_iter().collect();
    for query in queries {
        let metrics = metrics(query);
        assert!(!metrics.is_empty(), "no metric in {query}");
        for metric in metrics {
            let is_known = metric == UP || known.contains(&metric);
            assert!(is_known, "the server has no {metric}, which stands in {query}");
        }
    }
}

/// The metrics of a query: words that are neither functions nor labels.
fn metrics(query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        if matches!(first, '{' | '[') {
            let close = if first == '{' { '}' } else { ']' };
            rest = rest.split_once(close).unwrap().1;
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && !"_:.".contains(c));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            if GROUPINGS.contains(&word) {
                rest = rest.split_once(')').unwrap().1;
            } else if !first.is_numeric() && !WORDS.contains(&word) {
                found.push(word.to_owned());
            }
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// The name of a series without what a histogram appends.
fn family(name: &str) -> String {
    let suffixes = ["_bucket", "_sum", "_count"];
    let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    base.unwrap_or(name).to_owned()
}

fn dashboard_queries() -> Vec<String> {
    let dashboard = dashboard();
    panels(&dashboard).iter().flat_map(queries_of).map(str::to_owned).collect()
}

fn queries_of(panel: &Value) -> impl Iterator<Item = &str> {
    let targets = panel["targets"].as_array().into_iter().flatten();
    targets.map(|target| target["expr"].as_str().unwrap())
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&read("dashboards/turnserver.json")).unwrap()
}

/// The values of `expr`, which stand on the same line or indented below.
fn alert_expressions() -> Vec<String> {
    let alerts = read("dashboards/alerts.yaml");
    let rules = alerts.split("- alert: ").skip(1);
    rules
        .map(|rule| {
            let (_, expression) = rule.split_once("expr: ").unwrap();
            let ends = ["\n        for:", "\n        labels:"];
            let end = ends.iter().filter_map(|end| expression.find(end)).min().unwrap();
            expression[..end].trim_start_matches('|').to_owned()
        })
        .collect()
}

fn read(name: &str) -> String {
    let path = file(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}
