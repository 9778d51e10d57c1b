//! The metrics as Prometheus text. By hand: the crates for it are ten times as large, and some write OpenMetrics, which node_exporter refuses.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::time::UNIX_EPOCH;

use super::counters::BETWEEN;
use super::last_run::LastRun;
use super::when;

/// Everything that the last run left. Without timestamps: node_exporter has none, and Prometheus says itself when a file is stale.
pub fn render(run: &LastRun) -> String {
    let mut page = Page::default();
    let commit = env!("GATEWAY_REAPER_COMMIT");
    page.family("build_info", "gauge", "The program that made the last run.");
    page.sample("build_info", &[("version", env!("CARGO_PKG_VERSION")), ("commit", commit)], 1);
    runs(&mut page, run);
    gateways(&mut page, run);
    levels(&mut page, run);
    counters(&mut page, run);
    page.text
}

fn runs(page: &mut Page, run: &LastRun) {
    if let Some(ended) = seconds(&run.ended_at) {
        page.one("last_run_timestamp_seconds", "gauge", "When the last run was over.", ended);
        page.one("last_run_duration_seconds", "gauge", "How long the last run took.", run.took_s);
        page.one("dry_run", "gauge", "1 where the last run was to do nothing.", u8::from(run.dry_run));
        let help = "1 where the configuration could be read when it was read last.";
        page.one("config_last_reload_successful", "gauge", help, u8::from(run.config_ok));
    }
}

fn gateways(page: &mut Page, run: &LastRun) {
    let each = |page: &mut Page, name, help, value: &dyn Fn(&super::last_run::GatewayRun) -> Option<f64>| {
        page.family(name, "gauge", help);
        for gateway in &run.gateways {
            if let Some(value) = value(gateway) {
                page.sample(name, &[("gateway", &gateway.name)], value);
            }
        }
    };
    let success = "When the gateway's table was last read and nothing of it failed.";
    each(page, "last_success_timestamp_seconds", success, &|gateway| {
        seconds(gateway.last_success.as_deref()?)
    });
    let ok = "1 where the gateway's session table could be read and trusted.";
    each(page, "table_ok", ok, &|gateway| Some(f64::from(u8::from(gateway.table == "ok"))));
    page.family("gateway_info", "gauge", "The gateways of the last run, and what they are.");
    for gateway in &run.gateways {
        let mut labels = vec![("gateway", gateway.name.as_str()), ("kind", gateway.kind.as_str())];
        labels.extend(gateway.release.as_deref().map(|release| ("release", release)));
        labels.extend(gateway.plugin.as_deref().map(|plugin| ("plugin", plugin)));
        page.sample("gateway_info", &labels, 1);
    }
}

fn levels(page: &mut Page, run: &LastRun) {
    let levels = &run.levels;
    let words = ["verdict", "reason", "gateway"];
    page.map("sessions", "gauge", "Sessions by verdict and reason.", &words, &levels.sessions);
    page.map("workers", "gauge", "Workers by verdict and reason.", &words, &levels.workers);
    let memory = "Memory of workers by verdict and reason.";
    page.map("worker_resident_memory_bytes", "gauge", memory, &words[..2], &levels.memory_bytes);
    let oldest = "How long the oldest orphan has looked like one.";
    page.map("oldest_orphan_age_seconds", "gauge", oldest, &["orphan"], &levels.oldest_orphan_s);
    let overdue = "How long the orphan that is due for longest has been due, if it is to be reaped.";
    page.one("longest_overdue_seconds", "gauge", overdue, levels.longest_overdue_s);
    let detached = "How long a session without a client has been kept.";
    page.map("longest_detached_seconds", "gauge", detached, &["reason"], &levels.longest_detached_s);
}

fn counters(page: &mut Page, run: &LastRun) {
    let counters = &run.counters;
    page.map(
        "table_reads_total",
        "counter",
        "Reads of a session table.",
        &["result", "gateway"],
        &turned(&counters.table_reads),
    );
    page.map("runs_total", "counter", "Runs by result.", &["result"], &counters.runs);
    page.map("reaps_total", "counter", "Orphans that were due.", &["orphan", "outcome"], &counters.reaps);
    page.map("steps_total", "counter", "Acts.", &["step"], &counters.steps);
    page.one("reclaimed_bytes_total", "counter", "Memory that came back.", counters.reclaimed_bytes);
    let resets = "How often the memory of graces was of no use, so that every grace started again.";
    page.map("memory_resets_total", "counter", resets, &["reason"], &counters.memory_resets);
}

/// `gateway/result` as `result/gateway`: a gateway's name may have a slash in it, a result has none.
fn turned(counts: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let turn = |(label, count): (&String, &u64)| {
        let (gateway, result) = label.rsplit_once(BETWEEN)?;
        Some((format!("{result}{BETWEEN}{gateway}"), *count))
    };
    counts.iter().filter_map(turn).collect()
}

fn seconds(time: &str) -> Option<f64> {
    Some(when::parse(time)?.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ =
            writeln!(self.text, "# HELP gateway_reaper_{name} {help}\n# TYPE gateway_reaper_{name} {kind}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// One sample for each entry; its key has the values of the labels, the last of which may have anything in it.
    fn map<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        labels: &[&str],
        values: &BTreeMap<String, V>,
    ) {
        self.family(name, kind, help);
        for (key, value) in values {
            let words = key.splitn(labels.len(), BETWEEN);
            let labels: Vec<(&str, &str)> = labels.iter().copied().zip(words).collect();
            self.sample(name, &labels, value);
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "gateway_reaper_{name}");
        for (place, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let begin = if place == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{begin}{label}=\"{value}\"");
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::last_run::GatewayRun;

    #[test]
    fn a_gateway_of_any_name_is_one_label() {
        let mut run = LastRun { ended_at: "1970-01-01T00:00:01Z".into(), ..LastRun::default() };
        let name = "a/b\"c\\d";
        run.gateways.push(GatewayRun { name: name.into(), table: "ok".into(), ..GatewayRun::default() });
        run.counters.table_reads.insert(format!("{name}/ok"), 3);
        run.levels.sessions.insert(format!("keep/attached/{name}"), 2);
        let text = render(&run);
        for line in [
            r#"gateway_reaper_table_ok{gateway="a/b\"c\\d"} 1"#,
            r#"gateway_reaper_table_reads_total{result="ok",gateway="a/b\"c\\d"} 3"#,
            r#"gateway_reaper_sessions{verdict="keep",reason="attached",gateway="a/b\"c\\d"} 2"#,
            "gateway_reaper_last_run_timestamp_seconds 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_gateway_that_says_so_is_told_with_its_release_and_plugin() {
        let known = GatewayRun {
            name: "desk".into(),
            kind: "hermes".into(),
            release: Some("0.19.0".into()),
            plugin: Some("1.1.0".into()),
            ..GatewayRun::default()
        };
        let unknown = GatewayRun { name: "bench".into(), kind: "http".into(), ..GatewayRun::default() };
        let text = render(&LastRun { gateways: vec![known, unknown], ..LastRun::default() });
        for line in [
            r#"gateway_reaper_gateway_info{gateway="desk",kind="hermes",release="0.19.0",plugin="1.1.0"} 1"#,
            r#"gateway_reaper_gateway_info{gateway="bench",kind="http"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn before_the_first_run_there_is_no_time_of_a_run() {
        let text = render(&LastRun::default());
        assert!(
            text.contains("gateway_reaper_build_info{") && !text.contains("last_run_timestamp"),
            "{text}"
        );
    }
}
