//! Whether all answers of a gateway come from one run of it.

use super::Check;
use crate::config::GatewayConfig;
use crate::report::text::plain;
use crate::sources::gateway::{open, read_table};

/// So often it is asked, each time on a connection of its own.
const TIMES: usize = 4;

/// Several processes that answer at one address in turn, each with an `instance` or a PID of its own, look like a gateway that is started
/// again between any two looks: every grace starts again with each. `None`: they agree, or some answer couldn't be had, or tells of no run.
pub(super) async fn check(settings: &GatewayConfig) -> Option<Check> {
    settings.kind.endpoint()?;
    let mut runs = Vec::new();
    for _ in 0..TIMES {
        let view = read_table(&mut *open(settings).ok()?).await;
        let table = view.current()?;
        let run = (table.instance.clone(), table.gateway_pid);
        if run == (None, None) {
            return None;
        }
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    (runs.len() > 1).then(|| {
        Check::warning(
            "instance",
            format!(
                "{}: {TIMES} answers came from {} runs of it: where several processes answer in turn, every grace starts again with \
                 each, and nothing is ever due",
                plain(settings.name.as_str(), 64),
                runs.len()
            ),
            "have all processes that serve the same sessions tell one instance and no pid, or name each by its own url as a [[gateway]]; \
             if it was started again just now, ask once more",
        )
    })
}
