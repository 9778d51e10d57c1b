//! systemd's journal: its severities on stderr and, in its own protocol, one entry for each thing that was done, with fields, so that
//! `journalctl REAPER_SESSION=360e0f95` finds it.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use super::environment;
use crate::report::text::plain;
use crate::report::{Report, human, json};

const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether the journal reads this. The variable alone is inherited by everything that a service starts.
pub(super) fn is_at(output: &impl AsFd) -> bool {
    let Some(stream) = environment::journal_stream() else { return false };
    rustix::fs::fstat(output).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == stream)
}

/// Tells the journal what was done in a run.
///
/// # Errors
/// It can't be reached, or takes no more; some of it may be told already.
pub(super) fn tell(report: &Report) -> io::Result<()> {
    let entries = entries(report);
    if entries.is_empty() {
        return Ok(());
    }
    let socket = UnixDatagram::unbound()?;
    // A journal that is busy must not hold a reap up.
    socket.set_nonblocking(true)?;
    socket.connect(SOCKET)?;
    entries.iter().try_for_each(|entry| socket.send(entry.as_bytes()).map(drop))
}

fn entries(report: &Report) -> Vec<String> {
    let mut entries = Vec::new();
    for (gateway, line) in report.ended() {
        let entry = json::entry(line);
        let outcome = entry.outcome.unwrap_or_default();
        let id = plain(&entry.id, 128);
        let words = human::in_words(line);
        let mut text = String::new();
        let mut field = |name: &str, value: &str| {
            // A value of several lines would have to be written in another way; none is meant to have any.
            text.push_str(name);
            text.push('=');
            text.push_str(&plain(value, 1000));
            text.push('\n');
        };
        field("MESSAGE", &format!("{} {id} of {gateway}: {words}", entry.kind));
        field("PRIORITY", if outcome == "failed" { "4" } else { "6" });
        field("SYSLOG_IDENTIFIER", "gateway-reaper");
        field("REAPER_RUN", entry.run.unwrap_or(report.run()));
        field("REAPER_GATEWAY", gateway.as_str());
        if entry.kind == "session" {
            field("REAPER_SESSION", &entry.id);
        }
        if let Some(key) = entry.key {
            field("REAPER_KEY", key);
        }
        if let Some(pid) = entry.worker_pid {
            field("REAPER_WORKER", &pid.to_string());
        }
        field("REAPER_ORPHAN", entry.orphan_kind.unwrap_or_default());
        field("REAPER_OUTCOME", outcome);
        if let Some(bytes) = entry.reclaimed_bytes {
            field("REAPER_RECLAIMED_BYTES", &bytes.to_string());
        }
        entries.push(text);
    }
    entries
}
