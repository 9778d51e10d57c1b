//! What is written down of every run besides the ledger. A failure to write it is told once, and stops nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::events::{self, Event};
use super::last_run::LastRun;
use super::metrics;
use super::seen::{self, Seen};
use super::textfile;
use crate::config::Config;
use crate::domain::time::Awake;
use crate::domain::verdict::Subject;
use crate::report::{Report, json};
use crate::sources::clock;
use crate::state::audit::{self, Dossier, Known};
use crate::state::log::{Log, Rotation};

/// At which run in a row that can't reach a gateway cron's mail says so.
const TOLD_AT: u32 = 3;

/// A look at which nothing but the number of looks changed is written down that late: a `watch` polls every few seconds, for weeks.
const REWRITTEN_AFTER: Duration = Duration::from_secs(60);

/// Who makes the runs.
#[derive(Debug, Clone)]
pub struct Runner {
    /// `once` or `watch`.
    pub name: &'static str,
    /// How long it waits between two looks.
    pub interval: Option<Duration>,
    /// The configuration that it uses.
    pub config: PathBuf,
    /// The kinds of its gateways, by name.
    pub kinds: Vec<(String, String)>,
    /// Where the metrics go.
    pub textfile: Option<PathBuf>,
}

impl Runner {
    /// For a configuration.
    pub fn new(name: &'static str, interval: Option<Duration>, config: &Config) -> Self {
        let kinds = config.gateways.iter();
        Self {
            name,
            interval,
            config: config.source.clone(),
            kinds: kinds.map(|gateway| (gateway.name.to_string(), gateway.kind.to_string())).collect(),
            textfile: config.metrics.textfile.clone(),
        }
    }
}

/// The notes of one state directory. Written only while its lock is held.
#[derive(Debug)]
pub struct Notebook {
    dir: PathBuf,
    seen: Seen,
    /// When that was written last, by this process.
    seen_written: Option<Awake>,
    last_run: LastRun,
    events: Log,
    /// Of the audit log.
    rotation: Rotation,
    /// What the log was told last of notes that could not be written.
    told: Option<String>,
    /// The kinds of the gateways, by name.
    kinds: Vec<(String, String)>,
    textfile: Option<PathBuf>,
    textfile_told: Option<String>,
}

impl Notebook {
    /// Reads what earlier runs left.
    pub fn open(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            seen: Seen::load(dir),
            seen_written: None,
            last_run: LastRun::load(dir).unwrap_or_else(LastRun::none),
            events: Log::new(events::path(dir), events::ROTATION),
            rotation: Rotation::default(),
            told: None,
            kinds: Vec::new(),
            textfile: None,
            textfile_told: None,
        }
    }

    /// Says who makes the runs from now on, and how large their audit log may grow.
    pub fn run_by(&mut self, runner: &Runner, rotation: Rotation) {
        self.rotation = rotation;
        self.last_run.runner = runner.name.to_owned();
        self.last_run.interval_s = runner.interval.map(|interval| interval.as_secs_f64());
        self.last_run.config = runner.config.display().to_string();
        self.last_run.pid = std::process::id();
        self.last_run.config_ok = true;
        self.kinds.clone_from(&runner.kinds);
        self.textfile.clone_from(&runner.textfile);
    }

    /// The last run, as far as it is known.
    pub fn last_run(&self) -> &LastRun {
        &self.last_run
    }

    /// Whether the next run that can't reach this gateway has to say so where only news is told: a restart takes one or two runs of cron, and
    /// what lasts is said once.
    pub fn is_to_be_told_when_down(&self, gateway: &str) -> bool {
        let known = self.last_run.gateways.iter().find(|known| known.name == gateway);
        known.is_some_and(|known| known.failing_runs == TOLD_AT - 1)
    }

    /// The memory of graces was of no use. A run that is killed before its end has written a new memory, and says nothing of that any more.
    pub fn memory_was_reset(&mut self, why: &str) {
        self.last_run.counters.memory_was_reset(why);
        let written = self.last_run.save(&self.dir);
        self.tell(written);
    }

    /// Takes in what was decided, before anything is done. `acts`: whether something will be.
    pub fn decided(&mut self, report: &Report, acts: bool) {
        let before = self.seen.clone();
        let document = json::document(report);
        let at = humantime::format_rfc3339_millis(report.begun.started_at).to_string();
        let events = self.seen.take_in(&document, &at);
        let written = self.write_events(&events).and_then(|()| self.write_seen(&before));
        self.tell(written);
        self.count_interrupted(&document, &at);
        if acts {
            self.last_run.counters.reads(&document);
            self.last_run.interrupted.run = Some(report.run().to_owned());
            let written = self.last_run.save(&self.dir);
            self.tell(written);
        }
    }

    /// What an earlier run did that was killed before its end.
    fn count_interrupted(&mut self, document: &json::Document<'_>, at: &str) {
        let (interrupted, counters) = (&mut self.last_run.interrupted, &mut self.last_run.counters);
        interrupted.count(&self.dir, counters);
        for end in interrupted.found_gone(document, at) {
            counters.reap(&end.evidence.orphan_kind, audit::REAPED);
            counters.came_back(end.reclaimed_bytes.unwrap_or_default());
            if let Err(error) = audit::conclude_later(&self.dir, self.rotation, &end) {
                tracing::warn!(%error, "an outcome could not be written to the audit log");
            }
        }
    }

    fn write_seen(&mut self, before: &Seen) -> io::Result<()> {
        let now = clock::awake_now();
        let is_recent = self.seen_written.is_some_and(|written| now.since(written) < REWRITTEN_AFTER);
        if self.seen == *before || (is_recent && !self.seen.is_news_after(before)) {
            return Ok(());
        }
        self.seen.save(&self.dir)?;
        self.seen_written = Some(now);
        Ok(())
    }

    fn write_events(&mut self, events: &[Event]) -> io::Result<()> {
        events.iter().try_for_each(|event| self.events.append(event))
    }

    /// What the audit log is to say of everything that is due.
    pub fn dossier(&self, report: &Report) -> Dossier {
        let mut dossier = Dossier::default();
        for (gateway, line) in report.due() {
            let name = seen::name_of(&json::entry(line));
            let looks = self.seen.looks(gateway.as_str(), &name);
            match &line.judged.subject {
                Subject::Session { id, .. } => {
                    let key = line.judged.key.clone();
                    dossier.add_session(
                        gateway,
                        id,
                        Known { key, memory_bytes: line.judged.rss_bytes, looks },
                    );
                }
                Subject::Worker { key, identity } => {
                    let key = key.as_ref().map(|key| key.as_str().into());
                    dossier.add_worker(
                        gateway,
                        *identity,
                        Known { key, memory_bytes: line.judged.rss_bytes, looks },
                    );
                }
            }
        }
        dossier
    }

    /// Takes in how the run ended.
    pub fn ended(&mut self, report: &Report) {
        self.last_run.take_in(
            &json::document(report),
            &self.seen,
            report.begun.started_at,
            clock::wall_now(),
        );
        for gateway in &mut self.last_run.gateways {
            // What stands for all servers of a user gives each of them its name and a port.
            let is_its = |name: &str| {
                let port = gateway.name.strip_prefix(name);
                port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
            };
            let kind = self.kinds.iter().find(|(name, _)| is_its(name));
            gateway.kind = kind.map(|(_, kind)| kind.clone()).unwrap_or_default();
        }
        let written = self.last_run.save(&self.dir);
        self.tell(written);
        self.publish();
    }

    /// The configuration could not be read again, or could.
    pub fn config_was_read(&mut self, ok: bool) {
        self.last_run.config_ok = ok;
    }

    fn publish(&mut self) {
        let Some(path) = &self.textfile else { return };
        let written = textfile::write(path, &metrics::render(&self.last_run));
        let error = written.err().map(|error| error.to_string());
        if let Some(error) = error.as_ref().filter(|_| error != self.textfile_told) {
            tracing::warn!(path = %path.display(), %error, "the metrics can't be written");
        }
        self.textfile_told = error;
    }

    /// No run could be made.
    pub fn failed(&mut self, error: String) {
        self.last_run.take_in_error(error, clock::wall_now());
        // Told already: the same disk is full for both.
        if let Err(error) = self.last_run.save(&self.dir) {
            tracing::debug!(%error, "the failure can't be written down");
        }
        self.publish();
    }

    fn tell(&mut self, written: io::Result<()>) {
        let Err(error) = written else { return };
        let text = error.to_string();
        if self.told.as_ref() != Some(&text) {
            tracing::warn!(dir = %self.dir.display(), %error, "notes on this run can't be written; `history` and `doctor` will miss it");
            self.told = Some(text);
        }
    }
}
