//! How a demo gateway is to be.

use std::time::Duration;

use crate::demo::argv::name_of;
use crate::demo::protocol::CloseManner;

/// `demo-gateway …`
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Fields to leave out of the table: of a row (`worker`), or of the table itself (`version`, `gateway.pid`, `gateway.instance`).
    #[arg(long, value_delimiter = ',', value_name = "FIELD,…")]
    pub without: Vec<String>,
    /// How the workers of closed sessions are ended, where a session doesn't say.
    #[arg(long, value_enum, default_value = "ends")]
    pub close: CloseManner,
    /// How long after a session has been closed its worker is ended.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s")]
    pub close_takes: Duration,
    /// The environment variable that holds the bearer token to ask for.
    #[arg(long, value_name = "NAME")]
    pub token_env: Option<String>,
    /// What an orderly end of the gateway (SIGTERM, or the end of its lifeline) means for its workers.
    #[arg(long, value_enum, default_value = "take-workers")]
    pub at_end: AtEnd,
    /// What keeps the gateway and all its workers alive.
    #[arg(long, value_enum, default_value = "stdin")]
    pub lifeline: Lifeline,
    /// What becomes of workers that have exited.
    #[arg(long, value_enum, default_value = "collect")]
    pub exited: Exited,
    /// Answer `POST /admin`: for tests. No release has it.
    #[cfg(debug_assertions)]
    #[arg(long)]
    pub admin: bool,
    /// How long workers live on at most without a gateway.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "2m")]
    pub max_lifetime: Duration,
}

/// What an orderly end of the gateway means for its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AtEnd {
    /// They are killed, families and orphans included.
    TakeWorkers,
    /// They are left behind; their stdin ends.
    LeaveWorkers,
}

/// What keeps the gateway and all its workers alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lifeline {
    /// Stdin, a pipe: when its other end closes, all end, whatever else they were told.
    Stdin,
    /// Nothing: for a gateway that is started by hand.
    None,
}

/// What becomes of workers that have exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Exited {
    /// The gateway waits for them.
    Collect,
    /// The gateway doesn't, and they stay zombies.
    StayZombies,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            without: Vec::new(),
            close: CloseManner::Ends,
            close_takes: Duration::ZERO,
            token_env: None,
            at_end: AtEnd::TakeWorkers,
            lifeline: Lifeline::Stdin,
            exited: Exited::Collect,
            #[cfg(debug_assertions)]
            admin: false,
            max_lifetime: Duration::from_secs(120),
        }
    }
}

impl Options {
    /// The arguments that parse to this again.
    pub(in crate::demo) fn argv(&self) -> Vec<String> {
        let mut argv = Vec::new();
        let mut put = |name: &str, value: String| argv.extend([name.to_owned(), value]);
        if !self.without.is_empty() {
            put("--without", self.without.join(","));
        }
        put("--close", name_of(self.close));
        put("--close-takes", humantime::format_duration(self.close_takes).to_string());
        if let Some(name) = &self.token_env {
            put("--token-env", name.clone());
        }
        put("--at-end", name_of(self.at_end));
        put("--lifeline", name_of(self.lifeline));
        put("--exited", name_of(self.exited));
        put("--max-lifetime", humantime::format_duration(self.max_lifetime).to_string());
        #[cfg(debug_assertions)]
        if self.admin {
            argv.push("--admin".to_owned());
        }
        argv
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(argv: Vec<String>) -> Options {
        Line::try_parse_from(std::iter::once("demo-gateway".to_owned()).chain(argv)).unwrap().options
    }

    #[test]
    fn no_arguments_mean_the_default() {
        assert_eq!(parse(Vec::new()).argv(), Options::default().argv());
    }

    #[test]
    fn what_is_written_reads_back() {
        let options = Options {
            without: vec!["worker".into(), "gateway.pid".into()],
            close: CloseManner::Lazy,
            close_takes: Duration::from_millis(250),
            token_env: Some("DEMO_TOKEN".into()),
            at_end: AtEnd::LeaveWorkers,
            lifeline: Lifeline::None,
            exited: Exited::StayZombies,
            #[cfg(debug_assertions)]
            admin: true,
            max_lifetime: Duration::from_secs(30),
        };
        let read = parse(options.argv());
        assert_eq!(format!("{read:?}"), format!("{options:?}"));
    }
}
