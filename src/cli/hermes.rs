//! `hermes install` and `hermes uninstall`: says what was done, what is left to do, and how to see that it works.

use std::fmt::Write as _;

use serde_json::json;

mod status;

use super::args::{Args, HermesCommand, HomeArgs};
use super::exit::{Exit, Failure};
use super::{environment, output};
use crate::hermes::{
    self, ByHand, ConfigChange, ConfigRemoval, Home, Installed, Named, PluginChange, Uninstalled,
    config_yaml, plugin,
};

pub(super) fn run(args: &Args, command: &HermesCommand) -> Result<Exit, Failure> {
    match command {
        HermesCommand::Install(home) => install(args, home),
        HermesCommand::Uninstall(home) => uninstall(args, home),
        HermesCommand::Status(home) => status::run(args, &open(home)?.0),
    }
}

fn open(args: &HomeArgs) -> Result<(Home, Named), Failure> {
    let (path, named) = environment::hermes_home(args.home.as_deref())?;
    Ok((Home::open(&path, rustix::process::geteuid().as_raw())?, named))
}

fn install(args: &Args, home_args: &HomeArgs) -> Result<Exit, Failure> {
    let (home, named) = open(home_args)?;
    let installed = hermes::install(&home)?;
    let by_hand = match &installed.config {
        ConfigChange::ByHand(why) => Some(why),
        _ => None,
    };
    if args.json {
        let (plugin, config) = install_words(&installed);
        let report = json!({
            "version": 1, "home": home.path(), "plugin_version": plugin::VERSION, "plugin": plugin, "config": config,
            "detail": by_hand.map(ToString::to_string), "kept": installed.kept, "restart": needs_restart(&installed),
        });
        output::print_raw(&format!("{report}\n"))?;
    } else {
        output::print_text(args, &tell_installed(&home, &installed))?;
    }
    if let Some(why) = by_hand {
        tell_lines(&home, why, "add these lines to it, or to the lists that are there:");
        return Ok(Exit::Usage);
    }
    if named == Named::ByDefault
        && let Some(profile) = home.other_profile()
    {
        anstream::eprintln!(
            "note: Hermes uses the profile {0} by itself; if that is the one whose dashboard you run, install there, too: \
             gateway-reaper hermes install --home {0}",
            profile.display()
        );
    }
    Ok(Exit::Done)
}

fn install_words(installed: &Installed) -> (&'static str, &'static str) {
    let plugin = match installed.plugin {
        PluginChange::New => "installed",
        PluginChange::UpgradedFrom(_) => "upgraded",
        PluginChange::Repaired => "repaired",
        PluginChange::UpToDate => "up-to-date",
    };
    let config = match installed.config {
        ConfigChange::Created => "created",
        ConfigChange::Added => "added",
        ConfigChange::UpToDate => "up-to-date",
        ConfigChange::ByHand(_) => "by-hand",
    };
    (plugin, config)
}

fn needs_restart(installed: &Installed) -> bool {
    installed.plugin != PluginChange::UpToDate || installed.config != ConfigChange::UpToDate
}

fn tell_installed(home: &Home, installed: &Installed) -> String {
    let mut text = String::new();
    let (dir, version) = (installed.plugin_dir.display(), plugin::VERSION);
    let _ = match &installed.plugin {
        PluginChange::New => writeln!(text, "plugin {version} installed: {dir}"),
        PluginChange::UpgradedFrom(before) => writeln!(text, "plugin {before} upgraded to {version}: {dir}"),
        PluginChange::Repaired => writeln!(text, "plugin {version} put right: {dir}"),
        PluginChange::UpToDate => writeln!(text, "plugin {version} already installed, up to date: {dir}"),
    };
    for kept in &installed.kept {
        let _ = writeln!(text, "a file that was changed there is kept: {}", kept.display());
    }
    let config = home.path().join("config.yaml");
    let config = config.display();
    let _ = match &installed.config {
        ConfigChange::Created => writeln!(text, "{config} made: it enables the plugin, and nothing else"),
        ConfigChange::Added => {
            writeln!(text, "{config}: plugin enabled; every other byte is as it was")
        }
        ConfigChange::UpToDate => writeln!(text, "{config}: enabled already"),
        ConfigChange::ByHand(_) => Ok(()),
    };
    if needs_restart(installed) {
        text.push_str("now restart the gateway (hermes dashboard): it looks for plugins when it starts\n");
    }
    text.push_str("to see that it works: gateway-reaper status\n");
    text
}

fn tell_lines(home: &Home, why: &ByHand, what: &str) {
    let config = home.path().join("config.yaml");
    anstream::eprint!(
        "gateway-reaper: {} was left as it is: {why}\n{what}\n{}",
        config.display(),
        config_yaml::lines(plugin::NAME)
    );
}

fn uninstall(args: &Args, home_args: &HomeArgs) -> Result<Exit, Failure> {
    let (home, _) = open(home_args)?;
    let uninstalled = hermes::uninstall(&home)?;
    let by_hand = match &uninstalled.config {
        ConfigRemoval::ByHand(why) => Some(why),
        _ => None,
    };
    if args.json {
        let config = match uninstalled.config {
            ConfigRemoval::AsBefore => "as-before",
            ConfigRemoval::TakenOut => "taken-out",
            ConfigRemoval::Removed => "removed",
            ConfigRemoval::NotThere => "not-there",
            ConfigRemoval::ByHand(_) => "by-hand",
        };
        let plugin = if uninstalled.was_there { "removed" } else { "not-there" };
        let report = json!({
            "version": 1, "home": home.path(), "plugin": plugin, "config": config,
            "detail": by_hand.map(ToString::to_string), "left": uninstalled.left, "restart": uninstalled.was_there,
        });
        output::print_raw(&format!("{report}\n"))?;
    } else {
        output::print_text(args, &tell_uninstalled(&home, &uninstalled))?;
    }
    if let Some(why) = by_hand {
        tell_lines(&home, why, "take this name out of it:");
        return Ok(Exit::Usage);
    }
    Ok(Exit::Done)
}

fn tell_uninstalled(home: &Home, uninstalled: &Uninstalled) -> String {
    let mut text = String::new();
    let dir = uninstalled.plugin_dir.display();
    let _ = match uninstalled.was_there {
        true => writeln!(text, "plugin removed: {dir}"),
        false => writeln!(text, "no plugin there: {dir}"),
    };
    for left in &uninstalled.left {
        let _ = writeln!(text, "left there: {}", left.display());
    }
    let config = home.path().join("config.yaml");
    let config = config.display();
    let _ = match uninstalled.config {
        ConfigRemoval::AsBefore => writeln!(text, "{config}: as it was before, to the byte"),
        ConfigRemoval::TakenOut => {
            writeln!(text, "{config}: plugin taken out; every other line stays as it is now")
        }
        ConfigRemoval::Removed => writeln!(text, "{config} removed: it was made for the plugin"),
        ConfigRemoval::NotThere | ConfigRemoval::ByHand(_) => Ok(()),
    };
    if uninstalled.was_there {
        text.push_str("now restart the gateway (hermes dashboard): until then it has the plugin in memory\n");
    }
    text
}
