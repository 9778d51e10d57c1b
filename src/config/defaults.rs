//! The values that hold where `reaper.toml` is silent. A test proves that the annotated default states the same ones.

use std::time::Duration;

use crate::domain::policy::{Policy, WithoutTable};

/// How long a gateway has to answer. A loopback table takes milliseconds; five seconds is a gateway in trouble.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest session table that is read: some forty thousand sessions.
pub const MAX_TABLE_BYTES: usize = 16 * 1024 * 1024;

/// How Hermes starts its workers, from the first character of argv on.
pub const HERMES_WORKER_MATCH: &str =
    r"\S*python\S* -m tui_gateway\.slash_worker .*?--session-key (?P<session>\S+)";

/// How Jupyter starts a kernel of any language: the last argument is its connection file, which is named after the kernel.
pub const JUPYTER_WORKER_MATCH: &str = r".*/kernel-(?P<session>[0-9A-Za-z_-]+)\.json$";

/// What holds for Jupyter where the configuration says nothing, as it would say it. A closed kernel loses its variables: hence the grace,
/// which the documentation of Jupyter Enterprise Gateway recommends for culling. Measured on kernels: at rest at most 0.02 % of a core, a
/// silent thread that computes 4 %, a child at work 8 %.
pub const JUPYTER_POLICY: &[(&str, &str)] = &[("grace", "\"12h\""), ("busy_cpu", "\"0.5%\"")];

/// Graces, timeouts and the quota.
pub const fn policy() -> Policy {
    Policy {
        // What a client takes to come back after a dropped connection, and the grace of Hermes' own timer.
        grace: Duration::from_secs(20),
        close_on_disconnect_grace: Duration::ZERO,
        // Longer: of a worker without an owner no gateway says that it is idle.
        worker_grace: Duration::from_secs(60),
        close_timeout: Duration::from_secs(10),
        term_timeout: Duration::from_secs(5),
        max_reaps: 100,
        // Common servers queue as few as five connections, and close one session after the other.
        closes_at_once: 8,
        // Both end workers of sessions to which a client may come back: an operator has to choose them.
        idle_worker: None,
        without_table: WithoutTable::Report,
        busy_cpu: None,
        // A kernel for a person is connected to within seconds.
        start_timeout: Duration::from_secs(600),
        dry_run: false,
    }
}
