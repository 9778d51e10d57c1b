//! The command line: data on stdout, narration on stderr, one exit code.

mod adopted;
mod args;
mod check;
mod demo;
mod descriptors;
mod doctor;
mod environment;
mod exit;
mod explain;
mod hermes;
mod history;
mod hold;
mod journal;
mod leftovers;
mod look;
mod memory;
mod metrics;
mod narration;
mod once;
mod output;
mod packaging;
mod service;
mod signals;
mod status;
mod terminal;
mod top;
mod watch;

use std::process::ExitCode;

use clap::FromArgMatches;

use args::{Args, Command};
use exit::{Exit, Failure};

use crate::demo::{gateway, worker};
use crate::report::layout;
use crate::sources::gateway::command;

/// The command line itself, for what is generated from it: the manual page and the completions of a package.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// Runs the command that the arguments ask for.
pub fn main() -> ExitCode {
    let args = match parse() {
        Ok(args) => args,
        Err(error) if !error.use_stderr() => {
            exit::tell_usage(&error);
            return Exit::Done.into();
        }
        // What was asked for can't be told, but in which form can.
        Err(error) if std::env::args_os().any(|word| word == "--json") => {
            let error = Failure::Asked(error.render().to_string().trim_end().to_owned());
            error.tell_as_json();
            return Exit::Usage.into();
        }
        Err(error) => {
            exit::tell_usage(&error);
            return Exit::Usage.into();
        }
    };
    narration::begin(args.verbosity());
    exit::tell_panics(top::restore);
    let (json, quiet) = (args.json, args.quiet);
    match run(args) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let exit = failure.exit();
            // Where another run is at work there is nothing that cron has to send a mail about.
            if !(quiet && exit == Exit::Busy) {
                failure.tell_in(json);
            }
            exit.into()
        }
    }
}

/// Help is as wide as the terminal, and never wider than a page.
fn parse() -> Result<Args, clap::Error> {
    let width = terminal::width().map_or(PAGE, |width| width.clamp(PAGE / 4, PAGE));
    let command = command()
        .term_width(width)
        .after_help(layout::wrap(args::EXAMPLES, width))
        .after_long_help(layout::wrap(args::LONG_HELP, width));
    let matches = command.try_get_matches()?;
    Args::from_arg_matches(&matches)
}

const PAGE: usize = 80;

fn run(args: Args) -> Result<Exit, Failure> {
    // A worker has no runtime: there may be many of them, and each is weighed.
    if let Command::DemoWorker(options) = &args.command {
        return worker::run(options).map(|()| Exit::Done).map_err(Failure::demo);
    }
    if let Command::ProgramChild { words } = &args.command {
        return Err(Failure::System("the program can't be started", command::become_program(words)));
    }
    if let Command::DefaultConfig = &args.command {
        return output::print_raw(crate::config::DEFAULT).map(|()| Exit::Done);
    }
    if let Command::Hermes(command) = &args.command {
        return hermes::run(&args, command);
    }
    #[cfg(debug_assertions)]
    if let Command::DemoPanic = &args.command {
        #[expect(clippy::panic, reason = "it is what is asked for")]
        {
            panic!("a demonstration");
        }
    }
    match &args.command {
        Command::Check => return check::run(&args),
        Command::History(wanted) => return history::run(&args, wanted),
        Command::Completions { shell } => return packaging::completions(*shell),
        Command::Man => return packaging::man(),
        Command::Metrics => return metrics::run(&args),
        Command::Pause { span } => return hold::pause(&args, *span),
        Command::Release(wanted) => return hold::release(&args, wanted),
        Command::Resume => return hold::resume(&args),
        _ => {}
    }
    descriptors::provide()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(|error| Failure::System("the runtime can't be started", error))?;
    let exit = runtime.block_on(async {
        match &args.command {
            Command::Once(once) => once::run(&args, once).await,
            Command::Watch(watch) => watch::run(&args, watch).await,
            Command::Status(wanted) => status::run(&args, wanted).await,
            Command::Top => top::run(&args).await,
            Command::Doctor => doctor::run(&args).await,
            Command::Hold(wanted) => hold::hold(&args, wanted).await,
            Command::Explain(wanted) => explain::run(&args, wanted).await,
            Command::Demo { jupyter: false } => demo::run().await,
            Command::Demo { jupyter: true } => demo::run_on_jupyter().await,
            Command::DemoGateway(options) => {
                gateway::run(options.clone()).await.map(|()| Exit::Done).map_err(Failure::demo)
            }
            // Answered above, without a runtime.
            Command::Check
            | Command::ProgramChild { .. }
            | Command::Completions { .. }
            | Command::DefaultConfig
            | Command::DemoWorker(_)
            | Command::Hermes(_)
            | Command::History(_)
            | Command::Man
            | Command::Metrics
            | Command::Pause { .. }
            | Command::Release { .. }
            | Command::Resume => Ok(Exit::Done),
            #[cfg(debug_assertions)]
            Command::DemoPanic => Ok(Exit::Done),
        }
    });
    // A name that is still being looked up must not hold the exit up.
    runtime.shutdown_background();
    exit
}
