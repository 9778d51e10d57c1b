//! Runs one program to its end: nothing of the reaper's in its environment, nothing of its output beyond a limit, and nothing of it left
//! when its time is over.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::child::SUBCOMMAND;
use super::error::{CommandError, CommandProblem};
use super::last_words::LastWords;
use super::session::end_whole;
use crate::config::CommandLine;
use crate::domain::ids::Pid;
use crate::named_file::{self, Refusal, Trust};

/// What a program gets of the reaper's own environment, whatever is configured.
const ALWAYS: [&str; 3] = ["PATH", "HOME", "LANG"];

/// What a program said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) output: Vec<u8>,
    pub(super) last_words: Option<Box<str>>,
}

/// How a program is run.
#[derive(Debug)]
pub(super) struct Errand<'a> {
    pub(super) command: &'a CommandLine,
    /// Its last argument.
    pub(super) argument: Option<&'a str>,
    /// The variables that it gets of the reaper's own environment, by name.
    pub(super) environment: &'a [String],
    /// Those that it gets besides.
    pub(super) variables: Vec<(&'static str, &'a str)>,
    /// The most that it may print.
    pub(super) limit: usize,
    pub(super) within: Duration,
}

/// Checks that no user who isn't trusted could have written a program, and that it can be run.
pub(crate) fn check(program: &Path) -> Result<(), CommandError> {
    let refused = |problem| CommandError { program: program.into(), problem, last_words: None };
    let file = named_file::open(program, &Trust::program())
        .map_err(|refusal| refused(CommandProblem::Refused(refusal)))?;
    let metadata =
        file.metadata().map_err(|error| refused(CommandProblem::Refused(Refusal::Unreadable(error))))?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    if mode & 0o111 == 0 { Err(refused(CommandProblem::NotExecutable)) } else { Ok(()) }
}

impl Errand<'_> {
    /// Runs it to its end. Exit code 0 and an output within the limit, or an error.
    pub(super) async fn run(&self) -> Result<Said, CommandError> {
        check(&self.command.program)?;
        let passed = self.passed_on();
        let mut last_words = LastWords::default();
        let ended = self.run_to_end(&passed, &mut last_words).await;
        let last_words = last_words.without(passed.iter().map(|(_, value)| value.as_os_str()));
        match ended {
            Ok((output, status)) if status.success() => Ok(Said { output, last_words }),
            Ok((_, status)) => Err(self.failed(CommandProblem::Failed(status), last_words)),
            Err(problem) => Err(self.failed(problem, last_words)),
        }
    }

    fn failed(&self, problem: CommandProblem, last_words: Option<Box<str>>) -> CommandError {
        CommandError { program: self.command.program.clone(), problem, last_words }
    }

    async fn run_to_end(
        &self,
        passed: &[(&OsStr, OsString)],
        last_words: &mut LastWords,
    ) -> Result<(Vec<u8>, ExitStatus), CommandProblem> {
        let mut running = Running::start(self.described(passed))?;
        let Running { child, output, errors, .. } = &mut running;
        let ended = async {
            // To the end of both, which a process that it left behind may keep open; only then is it waited for.
            let (output, ()) =
                tokio::try_join!(whole(output.as_mut(), self.limit), last_words.hear(errors.as_mut()))?;
            let status = child.wait().await.map_err(CommandProblem::Unheard)?;
            Ok((output, status))
        };
        let ended = tokio::time::timeout(self.within, ended).await;
        let ended = ended.unwrap_or(Err(CommandProblem::TimedOut { after: self.within }));
        if ended.is_ok() {
            running.leader = None;
        }
        ended
    }

    fn described(&self, passed: &[(&OsStr, OsString)]) -> Command {
        // The very program that runs now, also after another one was put in its place.
        let mut command = Command::new("/proc/self/exe");
        command.arg(SUBCOMMAND).arg("--").arg(&self.command.program).args(&self.command.arguments);
        command.args(self.argument);
        command.env_clear().envs(passed.iter().map(|(name, value)| (name, value)));
        command.envs(self.variables.iter().copied());
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[expect(clippy::disallowed_methods, reason = "a program gets so much of the reaper's own environment")]
    fn passed_on(&self) -> Vec<(&OsStr, OsString)> {
        let named = self.environment.iter().map(OsStr::new);
        let names = ALWAYS.into_iter().map(OsStr::new).chain(named);
        names.filter_map(|name| Some((name, std::env::var_os(name)?))).collect()
    }
}

/// A program that has not been waited for; ended whole when it is dropped.
#[derive(Debug)]
struct Running {
    child: Child,
    leader: Option<Pid>,
    /// Open until it has ended: a program that can't write any more ends in its own way, and what it started loses its parent.
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
}

impl Running {
    fn start(mut command: Command) -> Result<Self, CommandProblem> {
        let mut child = command.spawn().map_err(CommandProblem::NotStarted)?;
        let leader = child.id().and_then(|pid| Pid::new(pid.into()));
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        Ok(Self { child, leader, output, errors })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            end_whole(leader);
        }
    }
}

async fn whole(from: Option<impl AsyncRead + Unpin>, limit: usize) -> Result<Vec<u8>, CommandProblem> {
    let mut output = Vec::new();
    let Some(from) = from else { return Ok(output) };
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most).read_to_end(&mut output).await.map_err(CommandProblem::Unheard)?;
    if output.len() > limit { Err(CommandProblem::TooLarge { limit }) } else { Ok(output) }
}
