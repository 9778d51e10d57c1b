//! The metrics, the alerts and the dashboard, with the real promtool, Prometheus, Alertmanager and node_exporter of Debian, unpacked and
//! not installed.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::port::Port;

const EXE: &str = env!("CARGO_BIN_EXE_gateway-reaper");
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/rules.yml");
const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/dashboard.json");
/// Only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where the tools are. Without a network they can't be had: that is said, and fails where `CI` is set.
fn tools() -> Option<&'static Path> {
    static TOOLS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match TOOLS.get_or_init(fetch) {
        Ok(path) => Some(path),
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("NOT RUN: {why}");
            None
        }
    }
}

fn fetch() -> Result<PathBuf, String> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus");
    let bin = dir.join("root/usr/bin");
    const PROGRAMS: [&str; 3] = ["promtool", "prometheus-node-exporter", "prometheus-alertmanager"];
    if PROGRAMS.iter().all(|program| bin.join(program).exists()) {
        return Ok(bin);
    }
    fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(&dir).output();
        let output = output.map_err(|error| format!("{program} can't be run: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{program} {args:?} failed: {}", String::from_utf8_lossy(&output.stderr)))
    };
    run("apt-get", &["download", "prometheus", "prometheus-node-exporter", "prometheus-alertmanager"])?;
    for file in fs::read_dir(&dir).map_err(|error| error.to_string())?.flatten() {
        let path = file.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run("dpkg", &["-x", &path.to_string_lossy(), "root"])?;
        }
    }
    Ok(bin)
}

/// Runs promtool, and returns what it says.
fn promtool(bin: &Path, args: &[&str], input: &str) -> String {
    let mut tool = Command::new(bin.join("promtool"))
        .args(args)
        .current_dir(Path::new(RULES).parent().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {args:?}: {said}");
    said
}

/// A gateway with one session, whose table can be taken away.
struct Gateway {
    port: u16,
    is_well: Arc<AtomicBool>,
}

impl Gateway {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_well = Arc::new(AtomicBool::new(true));
        let well = Arc::clone(&is_well);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let _read = stream.read(&mut request);
                let table = r#"{"version":1,"gateway":{"instance":"1"},"sessions":[{"id":"a","transport":"attached","turn":"idle"}]}"#;
                let status = if well.load(Ordering::Relaxed) { "200 OK" } else { "500 Broken" };
                let _heard = write!(
                    stream,
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{table}",
                    table.len()
                );
            }
        });
        Self { port, is_well }
    }

    /// A folder with a configuration for it.
    fn place(&self, metrics: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "[state]\ndir = \"state\"\n{metrics}\n[[gateway]]\nname = \"desk\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{}/sessions\"\n",
            self.port
        );
        fs::write(dir.path().join("reaper.toml"), config).unwrap();
        dir
    }
}

fn reaper(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(EXE);
    command.args(args).current_dir(dir).env_clear().env("HOME", dir);
    command
}

fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Ended with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it never came true that {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn promtool_finds_nothing_to_complain_of_in_the_metrics_at_any_time() {
    let Some(bin) = tools() else { return };
    let gateway = Gateway::start();
    let dir = gateway.place("");
    let metrics = || said(reaper(dir.path(), &["metrics"]));
    promtool(bin, &["check", "metrics"], &metrics());
    for is_well in [true, false] {
        gateway.is_well.store(is_well, Ordering::Relaxed);
        said(reaper(dir.path(), &["once"]));
        let text = metrics();
        promtool(bin, &["check", "metrics"], &text);
        let ok = format!("gateway_reaper_table_ok{{gateway=\"desk\"}} {}", u8::from(is_well));
        assert!(text.contains(&ok), "{text}");
    }
    let runs = metrics();
    for line in
        ["gateway_reaper_runs_total{result=\"ok\"} 1", "gateway_reaper_runs_total{result=\"distrust\"} 1"]
    {
        assert!(runs.contains(line), "{runs}");
    }
}

#[test]
fn the_alerts_fire_when_they_should_and_the_dashboard_asks_what_prometheus_understands() {
    let Some(bin) = tools() else { return };
    promtool(bin, &["check", "rules", "--lint-fatal", "rules.yml"], "");
    promtool(bin, &["test", "rules", "rules_test.yml"], "");
    // Every query as a recording rule. And every metric that is asked for is one that there is.
    let queries = dashboard_queries();
    let dir = Gateway::start().place("");
    let file = dir.path().join("dashboard.yml");
    fs::write(&file, recorded(&queries)).unwrap();
    promtool(bin, &["check", "rules", &file.to_string_lossy()], "");
    let known = said(reaper(dir.path(), &["metrics"]));
    said(reaper(dir.path(), &["once"]));
    let known = known + &said(reaper(dir.path(), &["metrics"]));
    let asked = queries.join(" ") + &fs::read_to_string(RULES).unwrap();
    for name in asked.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        if name.starts_with("gateway_reaper_") {
            assert!(known.contains(&format!("# TYPE {name} ")), "there is no {name}");
        }
    }
}

/// What the dashboard asks.
fn dashboard_queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    queries.map(|target| target["expr"].as_str().unwrap().replace("$instance", ".*")).collect()
}

/// The same as recording rules.
fn recorded(queries: &[String]) -> String {
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, query) in queries.iter().enumerate() {
        let _ =
            writeln!(rules, "  - record: panel:query:{number}\n    expr: {}", Value::from(query.as_str()));
    }
    rules
}

/// Who is paged: each alert that it heard of, with its state.
fn pager() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some((_, value)) =
                    line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let _heard = reader
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let notice: Value = serde_json::from_slice(&body).unwrap();
            let alerts = notice["alerts"].as_array().unwrap().iter();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let names =
                alerts.map(|alert| text(&alert["labels"]["alertname"]) + " " + &text(&alert["status"]));
            told.lock().unwrap().extend(names);
        }
    });
    (port, heard)
}

#[test]
fn a_page_for_a_broken_table_comes_and_goes_through_a_real_prometheus_and_alertmanager() {
    let Some(bin) = tools() else { return };
    let gateway = Gateway::start();
    let ports = [(); 4].map(|()| Port::reserve());
    let [listen, prometheus, exporter, alertmanager] = ports.each_ref().map(Port::number);
    let dir =
        gateway.place(&format!("[metrics]\nlisten = \"127.0.0.1:{listen}\"\ntextfile = \"reaper.prom\""));
    let _watch = Running::start(&mut reaper(dir.path(), &["watch", "--interval", "500ms"]));
    eventually("watch answers", || get(listen, "/healthz").is_some_and(|answer| answer.ends_with("ok\n")));

    let _exporter = Running::start(
        Command::new(bin.join("prometheus-node-exporter"))
            .arg("--collector.disable-defaults")
            .arg("--collector.textfile")
            .arg(format!("--collector.textfile.directory={}", dir.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{exporter}")),
    );
    eventually("node_exporter takes the file", || {
        get(exporter, "/metrics").is_some_and(|answer| {
            answer.contains("gateway_reaper_table_ok{gateway=\"desk\"} 1")
                && answer.contains("node_textfile_scrape_error 0")
        })
    });

    // The same rules, without the patience that a person wants of them.
    let rules = fs::read_to_string(RULES).unwrap();
    let hasty: String = rules.lines().filter(|line| !line.trim_start().starts_with("for:")).fold(
        String::new(),
        |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        },
    );
    fs::write(dir.path().join("rules.yml"), hasty).unwrap();
    fs::write(dir.path().join("dashboard.yml"), recorded(&dashboard_queries())).unwrap();
    let (webhook, paged) = pager();
    let config = format!(
        "route: {{ receiver: pager, group_wait: 1s, group_interval: 1s }}\n\
         receivers:\n- name: pager\n  webhook_configs: [{{ url: 'http://127.0.0.1:{webhook}/', send_resolved: true }}]\n"
    );
    fs::write(dir.path().join("alertmanager.yml"), config).unwrap();
    // Debian's looks for its templates where its package would have put them.
    let share = bin.parent().unwrap().join("share/prometheus");
    let mounted = "mount -t tmpfs none /usr/share && mkdir /usr/share/prometheus && \
                   mount --bind \"$SHARE\" /usr/share/prometheus && exec \"$0\" \"$@\"";
    let _alertmanager = Running::start(
        Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", mounted])
            .arg(bin.join("prometheus-alertmanager"))
            .env("SHARE", share)
            .current_dir(dir.path())
            .arg("--config.file=alertmanager.yml")
            .arg("--storage.path=alertmanager")
            .arg("--cluster.listen-address=")
            .arg(format!("--web.listen-address=127.0.0.1:{alertmanager}")),
    );
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml, dashboard.yml]\n\
         alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['127.0.0.1:{alertmanager}'] }}] }}] }}\n\
         scrape_configs:\n- job_name: reaper\n  static_configs: [{{ targets: ['127.0.0.1:{listen}'] }}]\n"
    );
    fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    let _prometheus = Running::start(
        Command::new(bin.join("prometheus"))
            .current_dir(dir.path())
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=tsdb")
            .arg(format!("--web.listen-address=127.0.0.1:{prometheus}")),
    );
    let query = |query: &str| get(prometheus, &format!("/api/v1/query?query={query}")).unwrap_or_default();
    eventually("Prometheus has scraped", || query("gateway_reaper_table_ok").contains("\"desk\""));
    // What Alertmanager holds, and what it has told.
    let fires = || {
        get(alertmanager, "/api/v2/alerts")
            .is_some_and(|answer| answer.contains("GatewayReaperTableDistrusted"))
    };
    let was_told = |state: &str| {
        paged.lock().unwrap().iter().any(|told| *told == format!("GatewayReaperTableDistrusted {state}"))
    };
    assert!(!fires());
    gateway.is_well.store(false, Ordering::Relaxed);
    eventually("the alert fires at Alertmanager", fires);
    eventually("somebody is paged", || was_told("firing"));
    gateway.is_well.store(true, Ordering::Relaxed);
    // A gateway that was down is asked again after a minute at the latest.
    eventually("the alert goes", || !fires());
    eventually("that is told, too", || was_told("resolved"));

    // The queries of the dashboard were answered meanwhile.
    let rules = get(prometheus, "/api/v1/rules").unwrap();
    let rules: Value = serde_json::from_str(rules.split_once("\r\n\r\n").unwrap().1).unwrap();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let dashboard = groups.iter().find(|group| group["name"] == "dashboard").expect("its rules");
    for rule in dashboard["rules"].as_array().unwrap() {
        assert_eq!(rule["health"], "ok", "{rule:#}");
    }
    assert_eq!(dashboard["rules"].as_array().unwrap().len(), dashboard_queries().len());
}

/// Else each start of `watch` would look to Prometheus as if all had been counted again.
#[test]
fn before_its_first_run_is_over_a_watch_tells_what_was_counted_before() {
    let gateway = Gateway::start();
    let port = Port::reserve();
    let dir = gateway.place(&format!("[metrics]\nlisten = \"127.0.0.1:{}\"", port.number()));
    assert!(reaper(dir.path(), &["once"]).output().unwrap().status.success());
    // It takes connections and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = fs::read_to_string(dir.path().join("reaper.toml")).unwrap();
    let silent_port = silent.local_addr().unwrap().port().to_string();
    let config = config.replace(&gateway.port.to_string(), &silent_port) + "timeout = \"10m\"\n";
    fs::write(dir.path().join("reaper.toml"), config).unwrap();
    let _watch = Running::start(&mut reaper(dir.path(), &["watch"]));
    let scrape = || get(port.number(), "/metrics").unwrap_or_default();
    eventually("watch answers", || scrape().contains("gateway_reaper_build_info"));
    let told = scrape();
    assert!(told.contains("gateway_reaper_runs_total{result=\"ok\"} 1\n"), "{told}");
    assert!(!told.contains("gateway_reaper_last_run_timestamp_seconds"), "the run isn't over: {told}");
    assert!(get(port.number(), "/healthz").unwrap().ends_with("ok\n"));
}
