//! The clocks: awake time, which decides, and wall time, which is only ever shown.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use crate::domain::ids::BootId;
use crate::domain::time::Awake;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// The clocks that everything sees unless it was put into a time namespace of its own.
const FIRST_TIME_NAMESPACE: &str = "time:[4026531834]";

/// The boot id can't be read, so no remembered time means anything.
#[derive(Debug, Error)]
#[error("no boot id in {BOOT_ID}: expected a UUID there; mount /proc with sys/kernel visible")]
pub struct BootIdError(#[source] io::Error);

/// Awake time now: `CLOCK_MONOTONIC`, which stands still while the machine sleeps.
pub fn awake_now() -> Awake {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Awake::from_nanos(0) + Duration::new(seconds, nanos)
}

/// Clock ticks since boot, as `/proc/PID/stat` counts them: time the machine slept is part of it.
pub fn ticks_now() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    ticks(Duration::new(seconds, nanos))
}

/// A time in clock ticks.
pub fn ticks(span: Duration) -> u64 {
    let per_second = rustix::param::clock_ticks_per_second();
    let nanos_per_tick = 1_000_000_000 / per_second.max(1);
    span.as_secs() * per_second + u64::from(span.subsec_nanos()) / nanos_per_tick.max(1)
}

/// Which boot of the machine this is, and whose clocks: in another time namespace awake time is another one, and what was remembered there
/// means nothing here (`time_namespaces(7)`).
///
/// # Errors
/// The kernel's file can't be read or is empty.
pub fn boot_id() -> Result<BootId, BootIdError> {
    let text = std::fs::read_to_string(BOOT_ID).map_err(BootIdError)?;
    let clocks = std::fs::read_link("/proc/self/ns/time").ok();
    let clocks = clocks.as_deref().and_then(Path::to_str).filter(|clocks| *clocks != FIRST_TIME_NAMESPACE);
    match (text.trim(), clocks) {
        ("", _) => Err(BootIdError(io::ErrorKind::InvalidData.into())),
        (id, None) => Ok(BootId::from(id)),
        (id, Some(clocks)) => Ok(BootId::from(&*format!("{id} {clocks}"))),
    }
}

/// Wall time, for reports and the audit log only: it jumps. A clock that isn't set shows the nearest time that can be written down.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn wall_now() -> SystemTime {
    writable(SystemTime::now())
}

/// The nearest time that RFC 3339 can write and that isn't before 1970; `humantime` panics at any other.
pub fn writable(at: SystemTime) -> SystemTime {
    at.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(LAST_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn awake_time_never_runs_backwards() {
        let earlier = awake_now();
        assert!(earlier.as_nanos() > 0);
        assert!(awake_now() >= earlier);
    }

    #[test]
    fn a_clock_that_is_not_set_can_be_written_down() {
        let (first, last) =
            (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(LAST_SECOND));
        let shown = |at| humantime::format_rfc3339_seconds(writable(at)).to_string();
        assert_eq!(shown(first - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
        assert_eq!(shown(last + Duration::from_secs(1)), "9999-12-31T23:59:59Z");
        assert_eq!(writable(last), last);
    }

    #[test]
    fn the_boot_id_stays_the_same_within_a_boot() {
        let id = boot_id().unwrap();
        assert_eq!(id, boot_id().unwrap());
        assert_eq!(id.as_str(), id.as_str().trim());
    }
}
