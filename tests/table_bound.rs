//! A table of 64 KiB, whatever is in it, takes no more than a second and 64 MiB: from its bytes to a decision and to what is remembered.
//!
//! Time is the processor's, so a busy machine doesn't count; memory is the most that this process ever had, so it is the only test here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

use std::time::Duration;

use gateway_reaper::domain::decide::decide;
use gateway_reaper::domain::ids::BootId;
use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::observation::{GatewayObservation, Observation};
use gateway_reaper::domain::policy::{Rules, WorkerMatch};
use gateway_reaper::domain::process::ProcessView;
use gateway_reaper::domain::table::{SessionTable, TableView};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::domain::veto::Vetoes;
use gateway_reaper::sources::gateway::table_json::parse;
use rustix::time::{ClockId, clock_gettime};

const SIZE: usize = 64 * 1024;
const MOST_TIME: Duration = Duration::from_secs(1);
const MOST_MEMORY: u64 = 64 << 20;

/// `head`, then as many of `item(0), item(1), …` with commas between them as fit, then `tail`.
fn filled(head: &str, item: impl Fn(usize) -> String, tail: &str) -> Vec<u8> {
    let mut body = head.to_owned();
    for index in 0.. {
        let item = item(index);
        if body.len() + item.len() + 1 + tail.len() > SIZE {
            break;
        }
        if index > 0 {
            body.push(',');
        }
        body.push_str(&item);
    }
    (body + tail).into_bytes()
}

/// The same with `{"version":1,"sessions":[` around it.
fn rows(row: impl Fn(usize) -> String) -> Vec<u8> {
    filled("{\"version\":1,\"sessions\":[", row, "]}")
}

/// One row with a field that takes all the room.
fn one_row(before: &str, piece: &str, behind: &str) -> Vec<u8> {
    let head = format!(
        "{{\"version\":1,\"sessions\":[{{\"id\":\"a\",\"transport\":\"detached\",\"turn\":\"idle\",{before}"
    );
    let tail = format!("{behind}}}]}}");
    let times = (SIZE - head.len() - tail.len()) / piece.len();
    (head + &piece.repeat(times) + &tail).into_bytes()
}

fn shapes() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str| {
        let depth = (SIZE - 64) / (open.len() + close.len());
        let body =
            format!("{{\"version\":1,\"x\":{}1{},\"sessions\":[]}}", open.repeat(depth), close.repeat(depth));
        body.into_bytes()
    };
    // With a hash without a seed, texts of these two pairs of letters collide in their thousands.
    let colliding = |index: usize| -> String {
        (0..14).map(|bit| if index >> bit & 1 == 1 { "Aa" } else { "BB" }).collect()
    };
    vec![
        ("as many rows as fit", rows(|index| format!("{{\"id\":\"{index}\"}}"))),
        (
            "as many orphans as fit",
            rows(|index| format!("{{\"id\":\"{index}\",\"transport\":\"detached\",\"turn\":\"idle\"}}")),
        ),
        ("ids whose hashes collide", rows(|index| format!("{{\"id\":\"{}\"}}", colliding(index)))),
        (
            "keys whose hashes collide",
            rows(|index| format!("{{\"id\":\"{index}\",\"key\":\"{}\"}}", colliding(index))),
        ),
        ("one key for all", rows(|index| format!("{{\"id\":\"{index}\",\"key\":\"k\"}}"))),
        (
            "one worker for all",
            rows(|index| format!("{{\"id\":\"{index}\",\"key\":\"k\",\"worker\":{{\"pid\":7}}}}")),
        ),
        (
            "a worker for each",
            rows(|index| format!("{{\"id\":\"{index}\",\"worker\":{{\"pid\":{}}}}}", index + 1)),
        ),
        ("one id for all", rows(|_| "{\"id\":\"a\"}".to_owned())),
        (
            "nothing is understood",
            rows(|index| {
                format!("{{\"id\":\"{index}\",\"transport\":1,\"turn\":[],\"holds\":{{}},\"worker\":0}}")
            }),
        ),
        ("rows without an id", rows(|_| "{}".to_owned())),
        ("rows that are none", rows(|_| "0".to_owned())),
        ("deep arrays", deep("[", "]")),
        ("deep objects", deep("{\"a\":", "}")),
        ("arrays without an end", "[".repeat(SIZE).into_bytes()),
        ("objects without an end", "{\"sessions\":[".repeat(SIZE / 13).into_bytes()),
        ("a deep field", one_row("\"activity\":", "[", "")),
        ("a long text", one_row("\"activity\":\"", "a", "\"")),
        ("a long text of escapes", one_row("\"key\":\"", "\\ud83d\\ude00", "\"")),
        ("a long text of nothing", one_row("\"transport\":\"", "\\u0000", "\"")),
        ("a long text of white space", one_row("\"turn\":\"", " ", "\"")),
        ("a huge number", one_row("\"idle_for_s\":", "9", "")),
        ("a number with a huge exponent", one_row("\"detached_for_s\":1e", "9", "")),
        ("a number of zeros", one_row("\"idle_for_s\":0.", "0", "1")),
        ("many holds", one_row("\"holds\":[", "\"h\",", "\"h\"]")),
        ("many holds that are none", one_row("\"holds\":[", "{},", "0]")),
        ("many unknown fields", one_row("", "\"x\":0,", "\"y\":0")),
        ("a field many times", one_row("", "\"key\":\"k\",", "\"y\":0")),
        ("many unknown fields above", filled("{", |index| format!("\"f{index}\":[{{}}]"), "}")),
        ("white space", [b"{\"version\":1,\"sessions\":[]}".as_slice(), &vec![b' '; SIZE - 27]].concat()),
        ("nothing but zeros", vec![0; SIZE]),
        ("no text at all", vec![0xff; SIZE]),
    ]
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).unwrap())
}

/// The most memory that this process ever had.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// Two runs on the same table.
fn decide_on(table: SessionTable) {
    let now = Awake::from_nanos(1 << 40);
    let gateway =
        GatewayObservation { name: "gw".into(), table: TableView::Current(table), process: None, asked: now };
    let seen = Observation {
        unobserved: Duration::ZERO,
        forbidden: Vetoes::default(),
        boot: BootId::from("boot"),
        processes: ProcessView { ..ProcessView::default() },
        gateways: vec![gateway],
    };
    let rules = [Rules {
        gateway: "gw".into(),
        policy: gateway_reaper::config::defaults::policy(),
        worker_match: WorkerMatch::new(r"worker (?P<session>\S+)").ok(),
        worker_uid: 1000,
        takes_workers_back: true,
        describes_process: false,
        workers: gateway_reaper::domain::policy::Workers::Matching,
    }];
    let first = decide(&seen, &Ledger::default(), &rules, now);
    let second = decide(&seen, &first.ledger, &rules, now + Duration::from_secs(3600));
    let stored = serde_json::to_vec(&second.ledger).unwrap();
    let _: Ledger = serde_json::from_slice(&stored).unwrap();
}

#[test]
fn a_table_of_64_kib_takes_no_more_than_a_second_and_64_mib() {
    for (shape, body) in shapes() {
        assert!(body.len() <= SIZE && body.len() > SIZE - 4096, "{shape}: {} bytes", body.len());
        let before = cpu_time();
        if let Ok(table) = parse(&body) {
            decide_on(table);
        }
        let took = cpu_time() - before;
        println!("{shape}: {took:?}, {} MiB so far", most_memory() >> 20);
        assert!(took <= MOST_TIME, "{shape} took {took:?}");
        assert!(most_memory() <= MOST_MEMORY, "{shape} took {} bytes", most_memory());
    }
}
