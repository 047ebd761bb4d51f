//! Documents that are derived from the code and must not drift from it.

use std::{fs, path::Path};

#[test]
fn the_settings_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let page = fs::read_to_string(&path).unwrap_or_default();
    let table = caal::settings::markdown();
    if page != table {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("settings.md");
        fs::write(&fresh, &table).expect("the target folder is writable");
        panic!(
            "docs/settings.md is not the table; copy {} over it",
            fresh.display()
        );
    }
}

/// The names of metrics in `text`, as whole words.
fn metrics_in(text: &str) -> std::collections::BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = ["caal_", "gen_ai_client_", "http_server_", "process_"];
    words
        .filter(|word| ours.iter().any(|prefix| word.starts_with(prefix)))
        .filter(|word| !word.ends_with('_'))
        .collect()
}

#[test]
fn every_metric_of_the_dashboard_and_of_its_page_is_measured() {
    let meters = caal::telemetry::metrics();
    // What is told apart by names that are not known beforehand appears with the first.
    meters.wake_word("alexa");
    meters.tool_called("ok", std::time::Duration::ZERO);
    meters.model_loaded("stt", std::time::Duration::from_secs(1));
    meters.request_answered("GET", "/health", 200, std::time::Duration::ZERO);
    let text = meters.text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types: Vec<_> = types.filter_map(|line| line.split_once(' ')).collect();
    let told = |name: &str| {
        types.iter().any(|(base, kind)| {
            let suffixes: &[&str] = match *kind {
                "counter" => &["_total"],
                "histogram" => &["", "_bucket", "_sum", "_count"],
                "info" => &["_info"],
                _ => &[""],
            };
            let rest = name.strip_prefix(base);
            rest.is_some_and(|rest| suffixes.contains(&rest))
        })
    };
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let dashboard = fs::read_to_string(docs.join("grafana/caal.json")).expect("the dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let queries: Vec<_> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().expect("a query"))
        .collect();
    assert!(queries.len() > 30, "{} queries", queries.len());
    for query in &queries {
        let named = metrics_in(query);
        assert!(!named.is_empty(), "{query}");
        for name in named {
            assert!(told(name), "{name}: nothing of this name in /metrics");
        }
    }
    // And the page names all that there is.
    let page = fs::read_to_string(docs.join("monitoring.md")).expect("the page");
    let page = page.split("## Traces").next().expect("one");
    for name in metrics_in(page) {
        assert!(
            told(name),
            "{name} in docs/monitoring.md, and not in /metrics"
        );
    }
    for (name, _) in types
        .iter()
        .filter(|(name, _)| !name.starts_with("process_"))
    {
        assert!(page.contains(name), "{name} is not in docs/monitoring.md");
    }
}
