//! Each gateway: does it answer, with what, and is its process seen?

use std::collections::BTreeSet;

use super::Check;
use super::workers::{in_view, itself, matching, signals, strangers, users, workers};
use super::{listener, runs};
use crate::cli::look::look_for_a_report;
use crate::config::token::TokenSource;
use crate::config::{Config, GatewayConfig, GatewayKind};
use crate::domain::ids::Pid;
use crate::report::json::{self, Gateway};
use crate::report::text::{count, plain};
use crate::sources::gateway::command;

pub(super) async fn check(config: &Config, checks: &mut Vec<Check>) {
    tokens(config, checks);
    programs(config, checks);
    let report = match look_for_a_report(config).await {
        Ok(report) => report,
        Err(failure) => {
            let fix = "what it says; until then no run can be made";
            return checks.push(Check::failure("gateway", failure.to_string(), fix));
        }
    };
    let document = json::document(&report);
    let processes = match in_view(&document) {
        Ok(processes) => processes,
        Err(error) => {
            let fix = "mount the /proc of the reaper's own PID namespace";
            return checks.push(Check::failure("processes", crate::text::in_full(&error), fix));
        }
    };
    // Where its table doesn't say which process it is, what listens at its address may be.
    let unknown = document.gateways.iter().filter(|gateway| gateway.pid.is_none());
    let listening = unknown.filter_map(|gateway| settings_of(gateway, config)).flat_map(listener::processes);
    let known = document.gateways.iter().filter_map(|gateway| gateway.pid);
    let gateways: Vec<u32> = known.chain(listening.map(Pid::get)).collect();
    let (mut told, mut known) = (BTreeSet::new(), BTreeSet::new());
    for gateway in &document.gateways {
        let Some(settings) = settings_of(gateway, config) else { continue };
        checks.push(match &settings.kind {
            GatewayKind::JupyterRuntime(_) if settings.name.as_str() == gateway.name => no_servers(gateway),
            kind => table(gateway, kind.as_str()),
        });
        checks.extend(listener::check(settings, gateway));
        if gateway.table == "ok" {
            checks.extend(runs::check(settings).await);
        }
        // All servers of a user have the same workers.
        if !told.insert(&settings.name) {
            continue;
        }
        if matches!(settings.kind, GatewayKind::Processes) {
            continue;
        }
        if let Some(pattern) = &settings.worker_match {
            let found = matching(&processes, pattern);
            workers(gateway, &found, checks);
            itself(settings, gateway, &found, checks);
            // Gateways of one kind have one pattern, and what is said of all that fits it is said once.
            let pids: Vec<Pid> = found.iter().map(|process| process.identity.pid).collect();
            if known.insert(pids) {
                strangers(&processes, &found, &gateways, checks);
                signals(&found, checks);
                users(settings, &found, checks);
            }
        } else {
            checks.push(Check::warning(
                "workers",
                format!("{}: no process is known as its worker, so none is ever signalled", gateway.name),
                "set match under [gateway.worker], or leave all of it to the gateway's own close",
            ));
        }
    }
}

/// What is configured for a gateway of the report: one of its own, or what stands for all servers of a user.
fn settings_of<'a>(gateway: &Gateway<'_>, config: &'a Config) -> Option<&'a GatewayConfig> {
    let stands_for = |settings: &&GatewayConfig| {
        let port = gateway.name.strip_prefix(settings.name.as_str());
        matches!(settings.kind, GatewayKind::JupyterRuntime(_))
            && port.is_some_and(|port| port.starts_with(':'))
    };
    let own = config.gateways.iter().find(|settings| settings.name.as_str() == gateway.name);
    own.or_else(|| config.gateways.iter().find(stands_for))
}

/// What stands for all servers of a user is there only if there are none, or if not all of them could be found.
fn no_servers(gateway: &Gateway<'_>) -> Check {
    if gateway.table != "ok" {
        return table(gateway, "jupyter");
    }
    Check::warning(
        "gateway",
        format!("{} (jupyter): no server of that user runs now", plain(gateway.name, 64)),
        "nothing, if that is so; else set runtime_dir to the folder of its jpserver-*.json, or name the server by url",
    )
}

fn tokens(config: &Config, checks: &mut Vec<Check>) {
    for gateway in &config.gateways {
        let Some(endpoint) = gateway.kind.endpoint() else { continue };
        let place = match &endpoint.token {
            TokenSource::None => continue,
            TokenSource::Env(name) => format!("from ${name}"),
            TokenSource::File(path) => format!("from {}", path.display()),
        };
        checks.push(match endpoint.token.read() {
            Ok(_) => Check::ok("token", format!("{}: {place}", gateway.name)),
            Err(error) => Check::failure(
                "token",
                format!("{}: {}", gateway.name, crate::text::in_full(&error)),
                "give the reaper the gateway's token there, readable by its user alone",
            ),
        });
    }
}

fn programs(config: &Config, checks: &mut Vec<Check>) {
    for gateway in &config.gateways {
        let GatewayKind::Command(of) = &gateway.kind else { continue };
        for command in [Some(&of.table), of.reap.as_ref()].into_iter().flatten() {
            let program = command.program.display();
            checks.push(match command::check(&command.program) {
                Ok(()) => Check::ok("program", format!("{}: {program}", gateway.name)),
                Err(error) => Check::failure(
                    "program",
                    format!("{}: {}", gateway.name, crate::text::in_full(&error)),
                    "put a program there that only its owner can write, and that is yours or root's",
                ),
            });
        }
        if of.reap.is_none() {
            checks.push(Check::warning(
                "program",
                format!("{}: no program closes its sessions, so they are only told of", gateway.name),
                "name one by reap, if its sessions are to be reaped",
            ));
        }
    }
}

fn table(gateway: &Gateway<'_>, kind: &str) -> Check {
    let name = plain(gateway.name, 64);
    let sessions = gateway.subjects.iter().filter(|entry| entry.kind == "session").count();
    if kind == "processes" {
        let found = count(gateway.subjects.len(), "process").replace("processs", "processes");
        return Check::ok("gateway", format!("{name} ({kind}) has no gateway to ask; {found} seen"));
    }
    match (gateway.table, gateway.pid) {
        ("ok", Some(pid)) => {
            let sessions = count(sessions, "session");
            let said = |what: &str, said: Option<&str>| {
                said.map(|said| format!(", {what} {}", plain(said, 40))).unwrap_or_default()
            };
            let (release, plugin) = (said("release", gateway.release), said("plugin", gateway.plugin));
            let answers = format!("{name} ({kind}) answers: {sessions}, process {pid}{release}{plugin}");
            match gateway.error {
                None => Check::ok("gateway", answers),
                Some(error) => Check::failure(
                    "gateway",
                    format!("{answers}, but {}", plain(error, 300)),
                    "run in the gateway's PID namespace (in compose: pid: \"service:NAME\"), or correct [gateway.process]; \
                     until then none of its workers is signalled",
                ),
            }
        }
        ("ok", None) => Check::warning(
            "gateway",
            format!(
                "{name} ({kind}) answers: {}, but its process isn't seen from here: its table names none, or it is in another \
                 PID namespace; no worker without a session is reaped",
                count(sessions, "session")
            ),
            "run in the gateway's PID namespace (in compose: pid: \"service:NAME\"), or set [gateway.process]",
        ),
        ("unreachable", _) => Check::failure(
            "gateway",
            format!("{name} ({kind}): {}", plain(gateway.error.unwrap_or("no answer"), 300)),
            "start the gateway, or correct its url: where nothing listens it counts as gone, and workers that init has adopted are ended after worker_grace",
        ),
        (_, _) => Check::failure(
            "gateway",
            format!("{name} ({kind}): {}", plain(gateway.error.unwrap_or("its table is refused"), 300)),
            "what it says; nothing that depends on this table is reaped until then",
        ),
    }
}
