//! The kind `command`: a program prints the session table, and another one closes a session, for gateways that speak no HTTP.
//!
//! A program's exit code 0 and a valid document are an answer. Anything else is none: a failed query is never an empty list, by which a
//! reaper of tmux sessions ended nine live agents.

mod child;
mod error;
mod last_words;
mod run;
mod session;

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

pub(crate) use self::child::SUBCOMMAND;
pub use self::child::become_program;
pub use self::error::{CommandError, CommandProblem};
use self::run::Errand;
pub(crate) use self::run::check;
use super::Gateway;
use super::contract::reap_answer::{MAX_BYTES, Said};
use super::contract::table_answer;
use crate::config::CommandGateway;
use crate::domain::table::{CloseAnswer, Listener, Refusal, SessionTable, TableView};
use crate::domain::warrant::CloseOrder;
use crate::text::{excerpt, in_full};

/// Where a program that closes a session finds the run of the gateway in which that was seen.
const INSTANCE: &str = "GATEWAY_REAPER_INSTANCE";
/// Where it finds the `activity` that was judged.
const ACTIVITY: &str = "GATEWAY_REAPER_ACTIVITY";
/// Characters of a program's text that a message shows.
const QUOTED: usize = 160;

/// A gateway that programs speak for.
#[derive(Debug, Clone)]
pub struct ProgramGateway {
    of: CommandGateway,
    timeout: Duration,
    max_table_bytes: usize,
}

impl ProgramGateway {
    /// Checks that no user who isn't trusted could have written either program.
    ///
    /// # Errors
    /// One isn't, or isn't there.
    pub fn open(
        of: &CommandGateway,
        timeout: Duration,
        max_table_bytes: usize,
    ) -> Result<Self, CommandError> {
        for command in [Some(&of.table), of.reap.as_ref()].into_iter().flatten() {
            check(&command.program)?;
        }
        Ok(Self { of: of.clone(), timeout, max_table_bytes })
    }

    async fn table(&self) -> TableView {
        let (command, limit) = (&self.of.table, self.max_table_bytes);
        let errand = Errand {
            command,
            argument: None,
            environment: &self.of.environment,
            variables: Vec::new(),
            limit,
            within: self.timeout,
        };
        let said = match errand.run().await {
            Ok(said) => said,
            Err(error) => return TableView::refused(in_full(&error)),
        };
        match table_answer::parse(&said.output, limit) {
            // Only trusted users can have written the program, so what it prints is trusted.
            Ok(table) => TableView::Current(SessionTable { listener: Listener::Verified, ..table }),
            Err(why) => {
                let words = said.last_words.map(|words| format!(" (its last words: {words})"));
                let program = command.program.display();
                TableView::refused(format!("{program}{}: {why}", words.unwrap_or_default()))
            }
        }
    }

    async fn close(&self, order: &CloseOrder, within: Duration) -> CloseAnswer {
        let Some(command) = &self.of.reap else {
            return CloseAnswer::Failed {
                why: "no program is named by reap: nothing closes its sessions".into(),
            };
        };
        let instance = order.instance.as_ref().map(|instance| (INSTANCE, instance.as_str()));
        let activity = order.activity.as_deref().map(|activity| (ACTIVITY, activity));
        let errand = Errand {
            command,
            argument: Some(order.id.as_str()),
            environment: &self.of.environment,
            variables: instance.into_iter().chain(activity).collect(),
            limit: MAX_BYTES,
            within,
        };
        let said = match errand.run().await {
            Ok(said) => said,
            Err(error) => return CloseAnswer::Failed { why: in_full(&error).into() },
        };
        let answer = Said::read(&said.output);
        match answer.outcome.as_deref() {
            Some("reaped") => CloseAnswer::Reaped,
            Some("gone") => CloseAnswer::Gone,
            Some("kept") => {
                let reason = match answer.reason.as_deref() {
                    Some("instance") => Refusal::OtherRun,
                    Some(reason) => Refusal::Word(excerpt(reason, QUOTED)),
                    None => Refusal::Word("kept".into()),
                };
                CloseAnswer::Kept { reason }
            }
            _ => {
                let program = command.program.display();
                let why = format!(
                    "{program} printed no outcome (\"reaped\", \"kept\" or \"gone\"): nothing is assumed"
                );
                CloseAnswer::Failed { why: why.into() }
            }
        }
    }
}

impl Gateway for ProgramGateway {
    fn read_table(&mut self) -> LocalBoxFuture<'_, TableView> {
        self.table().boxed_local()
    }

    fn reap(&self, order: &CloseOrder, within: Duration) -> LocalBoxFuture<'static, CloseAnswer> {
        let (gateway, order) = (self.clone(), order.clone());
        async move { gateway.close(&order, within).await }.boxed_local()
    }
}
