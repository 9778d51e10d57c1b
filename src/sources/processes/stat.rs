//! One line of `/proc/PID/stat`, taken apart.

use std::time::Duration;

use crate::domain::adoption::Kin;
use crate::domain::ids::Pid;

const PF_KTHREAD: u64 = 0x0020_0000;

/// What the line says, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(super) comm: Box<str>,
    pub(crate) parent: Option<Pid>,
    pub(crate) group: u32,
    pub(crate) session: u32,
    pub(crate) zombie: bool,
    pub(super) kernel: bool,
    pub(super) threads: u64,
    pub(super) start_ticks: u64,
    pub(super) rss_pages: u64,
    pub(super) traces: Traces,
    /// The clock ticks that it, and the children that it waited for, ever ran.
    pub(super) ran_ticks: u64,
}

/// Where the last `exec` put code, stack, arguments and environment: all of it moves with the next one, so that an argv read under one
/// generation isn't taken for that of another (a forked child shows its parent's argv until it calls `exec`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExecGeneration([u64; 5]);

/// Changes when a process ran for a clock tick, touched memory that it hadn't, started or ended a thread, or waited for a child: nearly
/// always when it ran at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work([u64; 10]);

/// What a line says that is compared with that of another look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traces {
    pub(super) exec: Option<ExecGeneration>,
    pub(super) work: Work,
}

/// The line isn't one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Stat {
    /// Whether nothing can be asked of it: a zombie or a kernel thread.
    pub(crate) fn is_over(&self) -> bool {
        self.zombie || self.kernel
    }

    /// The processor time that it ever used, with the children that it waited for.
    pub(crate) fn ran(&self) -> Duration {
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Duration::from_millis(self.ran_ticks.saturating_mul(1000) / per_second)
    }

    /// When it started, in clock ticks since boot.
    pub(crate) fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    /// Takes the line apart. `None`: the process was being released while the kernel wrote the line, so it's gone.
    pub(super) fn parse(line: &[u8]) -> Result<Option<Self>, Malformed> {
        // The name may hold spaces, parentheses and newlines; nothing after it holds a parenthesis.
        let open = line.iter().position(|&byte| byte == b'(').ok_or(Malformed)?;
        let close = line.iter().rposition(|&byte| byte == b')').ok_or(Malformed)?;
        let comm = line.get(open + 1..close).ok_or(Malformed)?;
        let rest = std::str::from_utf8(&line[close + 1..]).map_err(|_| Malformed)?;
        let fields = Fields(rest.split_ascii_whitespace().collect());

        let (group, session) = (fields.number::<i64>(5)?, fields.number::<i64>(6)?);
        if group < 0 || session < 0 {
            return Ok(None);
        }
        // A main thread that ended before the others also shows as Z: its process lives on.
        let ended = matches!(fields.text(3)?, "Z" | "X" | "x");
        let threads = fields.number(20)?;
        let zombie = ended && threads <= 1;
        Ok(Some(Self {
            comm: String::from_utf8_lossy(comm).into(),
            parent: Pid::new(fields.number(4)?),
            group: u32::try_from(group).map_err(|_| Malformed)?,
            session: u32::try_from(session).map_err(|_| Malformed)?,
            zombie,
            kernel: fields.number::<u64>(9)? & PF_KTHREAD != 0,
            threads,
            start_ticks: fields.number(22)?,
            rss_pages: fields.number(24)?,
            traces: Traces { exec: ExecGeneration::from(&fields), work: Work::from(&fields) },
            ran_ticks: [14, 15, 16, 17].into_iter().map(|field| fields.number(field).unwrap_or(0_u64)).sum(),
        }))
    }

    pub(super) fn kin(&self, pid: Pid) -> Kin<'_> {
        Kin { pid, parent: self.parent, group: self.group, session: self.session, comm: &self.comm }
    }
}

impl ExecGeneration {
    /// `None` where the kernel keeps the addresses to itself (another user's process): then nothing may be remembered.
    fn from(fields: &Fields<'_>) -> Option<Self> {
        let [start_code, start_stack, arg_start, arg_end, env_end] =
            [26, 28, 48, 49, 51].map(|field| fields.number(field).unwrap_or(0));
        (arg_start != 0).then_some(Self([start_code, start_stack, arg_start, arg_end, env_end]))
    }
}

impl Work {
    /// Page faults and time, its own and those of the children that it waited for; threads; size.
    fn from(fields: &Fields<'_>) -> Self {
        Self([10, 11, 12, 13, 14, 15, 16, 17, 20, 23].map(|field| fields.number(field).unwrap_or(0)))
    }
}

/// The fields from the third on, numbered as in `proc_pid_stat(5)`.
struct Fields<'a>(Vec<&'a str>);

impl Fields<'_> {
    fn text(&self, field: usize) -> Result<&str, Malformed> {
        self.0.get(field - 3).copied().ok_or(Malformed)
    }

    fn number<T: std::str::FromStr>(&self, field: usize) -> Result<T, Malformed> {
        self.text(field)?.parse().map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(comm: &str, state: &str, group: i32, threads: u32) -> Vec<u8> {
        format!(
            "42 ({comm}) {state} 7 {group} 40 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 {threads} 0 9001 1000 77 \
             18446744073709551615 11 12 13 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 14 15 16 100 200 201 300 0\n"
        )
        .into_bytes()
    }

    #[test]
    fn a_hostile_name_does_not_move_the_fields() {
        for comm in ["a b", "x) S 1 1 1 (y", "((", "))", "new\nline", ""] {
            let stat = Stat::parse(&line(comm, "S", 41, 1)).unwrap().unwrap();
            assert_eq!(&*stat.comm, comm);
            assert_eq!((stat.parent, stat.group, stat.session), (Pid::new(7), 41, 40));
            assert_eq!((stat.start_ticks, stat.rss_pages), (9001, 77));
            assert_eq!(stat.traces.exec, Some(ExecGeneration([11, 13, 100, 200, 300])));
        }
    }

    #[test]
    fn a_name_that_is_not_utf8_is_kept_as_far_as_it_goes() {
        let mut bytes = line("ab", "S", 41, 1);
        bytes[4] = 0xff;
        assert_eq!(&*Stat::parse(&bytes).unwrap().unwrap().comm, "\u{fffd}b");
    }

    #[test]
    fn a_process_whose_main_thread_ended_before_the_others_is_not_a_zombie() {
        assert!(Stat::parse(&line("a", "Z", 41, 1)).unwrap().unwrap().zombie);
        assert!(!Stat::parse(&line("a", "Z", 41, 2)).unwrap().unwrap().zombie);
    }

    #[test]
    fn a_process_that_is_being_released_is_gone() {
        assert_eq!(Stat::parse(&line("a", "X", -1, 0)), Ok(None));
    }

    #[test]
    fn half_a_line_is_refused() {
        let whole = line("a", "S", 41, 1);
        for end in 0..60 {
            assert_eq!(Stat::parse(&whole[..end]), Err(Malformed), "{end} bytes");
        }
    }
}
