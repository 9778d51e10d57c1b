//! `hermes status`: which plugin is in a home, and what is left to do.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::args::Args;
use super::super::exit::{Exit, Failure};
use super::super::output;
use crate::hermes::{self, Home, Loaded, PluginState, Running, Status, plugin};

/// Exit 0: nothing is left to do.
pub(super) fn run(args: &Args, home: &Home) -> Result<Exit, Failure> {
    let status = hermes::status(home)?;
    let text = if args.json { format!("{}\n", report(home, &status)) } else { tell(home, &status) };
    output::print_text(args, &text)?;
    Ok(if status.is_complete() { Exit::Done } else { Exit::NotReaped })
}

fn report(home: &Home, status: &Status) -> Value {
    let (installed, version, changed) = match &status.plugin {
        PluginState::NotThere => (false, None, [].as_slice()),
        PluginState::Installed { version, changed } => (true, version.as_deref(), changed.as_slice()),
    };
    let running = status.running.as_ref().map(|running| {
        let entry = |(it, loaded): &(Running, Loaded)| {
            json!({ "pid": it.pid.get(), "command": it.command, "url": it.url,
                    "started_before_plugin": *loaded == Loaded::StartedBefore })
        };
        running.iter().map(entry).collect::<Vec<_>>()
    });
    json!({
        "version": 1, "home": home.path(), "plugin": status.plugin_dir, "installed": installed, "plugin_version": version,
        "own_version": plugin::VERSION, "changed": changed, "enabled": status.enabled.as_ref().ok(),
        "running": running, "complete": status.is_complete(),
    })
}

fn tell(home: &Home, status: &Status) -> String {
    let mut text = String::new();
    let own = plugin::VERSION;
    let dir = status.plugin_dir.display();
    let _ = match &status.plugin {
        PluginState::NotThere => {
            writeln!(text, "no plugin in {}: run `gateway-reaper hermes install`", home.path().display())
        }
        PluginState::Installed { version: None, .. } => writeln!(
            text,
            "plugin of an unknown version, copied by hand: {dir}; this gateway-reaper has {own}: run `gateway-reaper hermes install`"
        ),
        PluginState::Installed { version: Some(version), .. } if version != own => writeln!(
            text,
            "plugin {version} installed: {dir}; this gateway-reaper has {own}: run `gateway-reaper hermes install`"
        ),
        PluginState::Installed { version: Some(version), .. } => {
            writeln!(text, "plugin {version} installed: {dir}")
        }
    };
    if let PluginState::Installed { changed, .. } = &status.plugin {
        for path in changed {
            let _ = writeln!(
                text,
                "not as it was installed: {}; `gateway-reaper hermes install` puts it right and keeps a changed one beside it",
                path.display()
            );
        }
    }
    let config = home.path().join("config.yaml");
    let config = config.display();
    let _ = match &status.enabled {
        Ok(true) => writeln!(text, "{config}: enabled"),
        Ok(false) => {
            writeln!(
                text,
                "{config}: not enabled, which Hermes asks for since 0.19: run `gateway-reaper hermes install`"
            )
        }
        Err(why) => writeln!(text, "{config}: it can't be told whether the plugin is enabled: {why}"),
    };
    let is_there = status.plugin != PluginState::NotThere;
    match &status.running {
        None => text.push_str(
            "which dashboards run isn't recorded in this home (Hermes does since 0.21); what a dashboard has loaded: gateway-reaper status\n",
        ),
        Some(running) if running.is_empty() => text.push_str("no dashboard of this home runs\n"),
        Some(running) => {
            for (it, loaded) in running {
                let _ = write!(text, "{} {} at {} runs", it.command, it.pid, it.url);
                text.push_str(match loaded {
                    Loaded::StartedBefore if is_there => ", since before the plugin was installed: restart it (since 0.22 a new plugin, not a changed one, is loaded without)\n",
                    _ => "\n",
                });
            }
        }
    }
    text
}
