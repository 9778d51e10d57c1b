//! Workers that are at work though their sessions are idle: a `/background` job runs in a thread of the worker, and the gateway knows
//! nothing of it. Closing the session would end the job, so it holds the session, by the worker's own account of its work.
//!
//! Only workers of sessions that nothing else keeps are looked at.

use std::collections::{HashMap, HashSet};

use crate::domain::activity::Watched;
use crate::domain::ids::{Pid, SessionId};
use crate::domain::process::ProcessIdentity;
use crate::domain::table::{Session, SessionTable, Told, Transport, Turn};
use crate::domain::time::Awake;
use crate::sources::activity::Activities;
use crate::sources::clock;
use crate::sources::processes::ProcessesError;
use crate::sources::sockets;

/// Its worker is at work.
const BUSY: &str = "worker-busy";
/// Whether its worker is at work can't be told.
const UNKNOWN: &str = "unknown-worker-busy";

/// What is remembered of workers between the reads of a table.
#[derive(Debug, Default)]
pub(super) struct AtWork {
    activities: Option<Activities>,
    watched: HashMap<ProcessIdentity, (Watched, Awake)>,
    workers: HashMap<SessionId, Pid>,
}

impl AtWork {
    /// Adds a hold to each session that nothing else keeps and whose worker is at work.
    pub(super) fn hold_busy(&mut self, table: &mut SessionTable) {
        let mut candidates: Vec<_> = table
            .sessions
            .iter_mut()
            .filter(|session| is_condemned_by_its_row(session))
            .filter_map(|session| session.named_worker().map(|worker| (session, worker)))
            .collect();
        self.workers = candidates.iter().map(|(session, worker)| (session.id.clone(), *worker)).collect();
        if candidates.is_empty() {
            self.watched.clear();
            return;
        }
        let connected = sockets::connected_inodes().ok();
        let mut seen = HashSet::new();
        for (session, worker) in &mut candidates {
            if let Some(hold) = self.look(*worker, connected.as_ref(), &mut seen) {
                session.holds = Told::Known(vec![hold.into()]);
            }
        }
        self.watched.retain(|worker, _| seen.contains(worker));
    }

    /// Whether the session's worker has begun to work since its table was read, or can't be looked at.
    pub(super) fn holds_now(&mut self, session: &SessionId) -> Option<&'static str> {
        let worker = *self.workers.get(session)?;
        self.look(worker, sockets::connected_inodes().ok().as_ref(), &mut HashSet::new())
    }

    fn look(
        &mut self,
        worker: Pid,
        connected: Option<&HashSet<u64>>,
        seen: &mut HashSet<ProcessIdentity>,
    ) -> Option<&'static str> {
        let Some(connected) = connected else { return Some(UNKNOWN) };
        let now = match self.activities().and_then(|activities| activities.read_pid(worker, connected)) {
            Ok(Some(now)) => now,
            // It has ended, and with it whatever it did.
            Ok(None) => return None,
            Err(error) => {
                tracing::debug!(%worker, %error, "what a worker does can't be seen");
                return Some(UNKNOWN);
            }
        };
        let (identity, activity) = now;
        let at = clock::awake_now();
        seen.insert(identity);
        let work = match self.watched.get_mut(&identity) {
            Some((watched, before)) => {
                let within = at.since(*before);
                *before = at;
                watched.look(activity, within)
            }
            None => {
                self.watched.insert(identity, (Watched::new(activity), at));
                activity.work_now()
            }
        };
        work.map(|work| {
            tracing::debug!(%worker, ?work, "a worker is at work while its session is idle");
            BUSY
        })
    }

    fn activities(&mut self) -> Result<&mut Activities, ProcessesError> {
        let activities = match self.activities.take() {
            Some(activities) => activities,
            None => Activities::open()?,
        };
        Ok(self.activities.insert(activities))
    }
}

/// By all that the gateway says it may be reaped.
fn is_condemned_by_its_row(session: &Session) -> bool {
    session.transport == Told::Known(Transport::Detached)
        && session.turn == Told::Known(Turn::Idle)
        && session.holds.known().is_none_or(Vec::is_empty)
        && !matches!(session.holds, Told::NotUnderstood(_))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::sources::gateway::table_json;

    /// Rests until it is told to connect, and to hang up.
    const WORKER: &str = "import socket, sys\n\
        print('r', end='', flush=True)\n\
        for line in sys.stdin:\n    \
            if line == 'connect\\n': it = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n    \
            else: it.close()\n    \
            print('d', end='', flush=True)\n";

    struct Worker(Child);

    impl Worker {
        #[expect(clippy::disallowed_methods, reason = "a test starts a worker of its own")]
        fn start(port: u16) -> Self {
            let mut command = Command::new("python3");
            command.args(["-c", WORKER, &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut this = Self(command.spawn().unwrap());
            this.answer();
            this
        }

        fn answer(&mut self) {
            self.0.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        }

        fn does(&mut self, what: &str) {
            writeln!(self.0.stdin.as_mut().unwrap(), "{what}").unwrap();
            self.answer();
        }
    }

    impl Drop for Worker {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ = self.0.wait();
        }
    }

    fn table(rows: &str) -> SessionTable {
        table_json::parse(format!(r#"{{"version":1,"sessions":[{rows}]}}"#).as_bytes()).unwrap()
    }

    fn row(pid: u32, turn: &str, holds: &str) -> String {
        format!(
            r#"{{"id":"a","transport":"detached","turn":"{turn}","holds":{holds},"worker":{{"pid":{pid}}}}}"#
        )
    }

    /// The holds of its session, once its worker's main thread sleeps again.
    fn holds(at_work: &mut AtWork, row: &str) -> Vec<Box<str>> {
        let mut table = table(row);
        at_work.hold_busy(&mut table);
        table.sessions[0].holds.known().cloned().unwrap_or_default()
    }

    /// What it did a moment ago is over after some looks.
    fn comes_to_rest(at_work: &mut AtWork, row: &str) {
        for _ in 0..1000 {
            if holds(at_work, row).is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("it never rests");
    }

    #[test]
    fn a_worker_at_work_holds_its_session_and_one_at_rest_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut worker = Worker::start(listener.local_addr().unwrap().port());
        let row = row(worker.0.id(), "idle", "[]");
        let mut at_work = AtWork::default();
        comes_to_rest(&mut at_work, &row);
        assert_eq!(at_work.holds_now(&"a".into()), None);

        worker.does("connect");
        let _accepted = listener.accept().unwrap();
        assert_eq!(at_work.holds_now(&"a".into()), Some(BUSY), "since the table was read");
        for _ in 0..3 {
            assert_eq!(holds(&mut at_work, &row), [BUSY.into()]);
            // Also to a reaper that never saw it before.
            assert_eq!(holds(&mut AtWork::default(), &row), [BUSY.into()]);
        }
        worker.does("hang up");
        comes_to_rest(&mut at_work, &row);
    }

    #[test]
    fn what_is_kept_anyway_is_not_looked_at_and_one_that_has_ended_holds_nothing() {
        let own = std::process::id();
        let mut at_work = AtWork::default();
        assert_eq!(holds(&mut at_work, &row(own, "idle", r#"["approval"]"#)), ["approval".into()]);
        assert!(holds(&mut at_work, &row(own, "running", "[]")).is_empty());
        assert!(at_work.watched.is_empty());
        let mut gone = Worker::start(1);
        let pid = gone.0.id();
        drop(gone.0.stdin.take());
        gone.0.wait().unwrap();
        assert!(holds(&mut at_work, &row(pid, "idle", "[]")).is_empty());
        assert_eq!(at_work.holds_now(&"another".into()), None);
    }
}
