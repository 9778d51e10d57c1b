//! What the small world shows to whoever looks at its processes or asks its gateway.

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::process::{Process, ProcessIdentity, ProcessView};
use gateway_reaper::domain::table::{Session, SessionTable, TableView, Told, Transport, Turn};

use super::model::{Sess, State, TICK, Tells};

impl State {
    pub(crate) fn look(&self) -> ProcessView {
        let process = |identity: ProcessIdentity, parent: Option<Pid>, argv: &str| Process {
            identity,
            parent,
            group: identity.pid.get(),
            session: identity.pid.get(),
            comm: "python".into(),
            uid: 1000,
            zombie: false,
            kernel: false,
            argv: Some(argv.into()),
            rss_bytes: None,
        };
        let init = ProcessIdentity { pid: Pid::INIT, start_ticks: 0, inode: 0 };
        let mut all = vec![process(init, None, "init"), process(self.gateway(), Some(Pid::INIT), "gateway")];
        all.extend(self.workers.iter().map(|worker| {
            process(Self::identity(worker), Pid::new(worker.parent.into()), &format!("worker {}", worker.key))
        }));
        ProcessView {
            processes: all.into_iter().map(|process| (process.identity.pid, process)).collect(),
            own_uid: 1000,
            init_is_init: true,
            ..ProcessView::default()
        }
    }

    pub(crate) fn table(&self) -> TableView {
        let ago = |since: u64| TICK * u32::try_from(self.now - since).unwrap();
        let row = |(index, session): (usize, &Sess)| {
            let clocks = self.tells == Tells::Clocks;
            let worker = self.workers.iter().find(|worker| worker.session == index && self.is_wanted(worker));
            Session {
                id: self.id(index).into(),
                key: Told::Known(self.key(index).into()),
                transport: Told::Known(if session.is_attached {
                    Transport::Attached
                } else {
                    Transport::Detached
                }),
                turn: Told::Known(if session.is_running { Turn::Running } else { Turn::Idle }),
                detached_for: (clocks && !session.is_attached).then(|| ago(session.detached_at)),
                idle_for: (clocks && !session.is_running).then(|| ago(session.idle_at)),
                activity: (!clocks).then(|| session.activity.to_string().into()),
                close_on_disconnect: Told::Absent,
                holds: Told::Absent,
                worker: worker
                    .and_then(|worker| Pid::new(worker.pid.into()))
                    .map_or(Told::Absent, Told::Known),
            }
        };
        let live = self.sessions.iter().enumerate().filter(|(_, session)| session.is_live);
        TableView::Current(SessionTable {
            gateway_pid: Some(self.gateway().pid),
            instance: Some(format!("run {}", self.run).into()),
            sessions: live.map(row).collect(),
        })
    }
}
