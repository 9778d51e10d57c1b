//! The report at every width.

use std::path::Path;
use std::time::UNIX_EPOCH;

use super::*;
use crate::domain::ids::Pid;
use crate::domain::policy::Mode;
use crate::domain::time::Awake;
use crate::domain::verdict::About;
use crate::report::{Begun, Since};

fn line(id: &str, worker: u64, mebibytes: u64, verdict: Verdict) -> Line {
    let judged = Judged {
        subject: Subject::Session { id: id.into(), worker: Pid::new(worker) },
        key: None,
        rss_bytes: (mebibytes > 0).then_some(mebibytes << 20),
        closes_without_effect: 0,
        by_hand: None,
        about: About::default(),
        verdict,
    };
    Line::of(judged, UNIX_EPOCH)
}

fn report() -> Report {
    let orphan = OrphanKind::DetachedSession;
    let secs = Duration::from_secs;
    let untrusted = "nothing listens at 127.0.0.1:9119: is the gateway running, and is this its address?";
    let held = Keep::Held(vec!["delegation".into(), "approval".into(), "background-process".into()]);
    let mut by_hand = line("360e0f95", 24126, 53, Verdict::Keep(Keep::Attached));
    by_hand.judged.by_hand = Some("held until 2026-12-01T00:00:00Z: a demo".into());
    by_hand.judged.about.clients = Some(2);
    (by_hand.since, by_hand.active_ago) =
        (Some(Since { time: "1969-12-31T23:00:00Z".into(), ago: secs(3600) }), Some(secs(95)));
    let gateway = |name: &str, table, error: Option<&str>, pid, subjects| GatewayReport {
        name: name.into(),
        table,
        error: error.map(Into::into),
        pid: Pid::new(pid),
        beside: None,
        software: crate::domain::table::Software::default(),
        subjects,
    };
    let soon = Verdict::Wait { orphan, waited: secs(12), remaining: secs(8) };
    let desk = vec![
        by_hand,
        line("5e7c031b", 24130, 161, Verdict::Keep(held)),
        line("20261123_005036_2bdafa", 24138, 54, soon),
        line("c83da104", 24134, 97, Verdict::Deferred { orphan, waited: secs(64) }),
    ];
    let away = vec![line("w1", 7, 12, Verdict::Keep(Keep::TableNotTrusted(untrusted.into())))];
    let gateways = vec![
        gateway("dashboard", TableState::Ok, None, 16021, desk),
        gateway("workbench", TableState::Unreachable, Some(untrusted), 0, away),
    ];
    let begun = Begun::new(Mode::Enforce, UNIX_EPOCH, Awake::from_nanos(0));
    let mut report = Report {
        begun,
        took: Duration::ZERO,
        gateways,
        paused: None,
        made_with: None,
        left_out: None,
        along: Vec::new(),
    };
    report.made_with(Path::new("/etc/gateway-reaper/reaper.toml"), Path::new("/var/lib/gateway-reaper"));
    report
}

fn shown(detail: Detail, width: Option<usize>) -> String {
    let text = render(&report(), Manner { detail, width, one_by_one: false });
    let text = anstream::adapter::strip_str(&text).to_string();
    for line in text.lines() {
        assert!(line.chars().count() <= width.unwrap_or(usize::MAX), "{line}");
    }
    text
}

#[test]
fn it_fits_80_and_40_columns_and_is_whole_in_a_file() {
    let mut all = String::new();
    for detail in [Detail::Status, Detail::All, Detail::Acts] {
        for width in [None, Some(80), Some(40)] {
            all += &format!("{detail:?} at {width:?}\n{}\n", shown(detail, width));
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn no_width_is_too_small() {
    for width in 20..120 {
        shown(Detail::Status, Some(width));
    }
}
