//! `check`: what holds for each gateway, every key with its value and where it comes from. Asks no gateway, changes nothing.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use super::args::Args;
use super::exit::{Exit, Failure};
use super::{environment, output, terminal};
use crate::config::effective::{self, Origin, Settings};
use crate::report::layout;
use crate::report::text::plain;
use crate::sources::clock;

const HEAD: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const WARN: Style = AnsiColor::Yellow.on_default();

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let dir = environment::state_dir(&config)?;
    let settings = effective::of_file(&config.source)?;
    let file = config.source.display().to_string();
    let now = clock::wall_now();
    let over = config.keeps.iter().filter(|keep| keep.veto.is_over(now));
    let notes: Vec<String> =
        over.map(|keep| format!("{} is over and keeps nothing any more", keep.veto.words)).collect();
    let text = if args.json {
        let all: Vec<_> = settings.iter().map(as_json).collect();
        format!(
            "{}\n",
            json!({
                "version": 1, "config": file, "state_dir": dir.display().to_string(), "settings": all, "notes": notes
            })
        )
    } else {
        let notes = notes.iter().map(|note| format!("{WARN}{}{WARN:#}\n", plain(note, 200)));
        render(&file, &dir.display().to_string(), &settings, terminal::width()) + &notes.collect::<String>()
    };
    output::print_text(args, &text)?;
    Ok(Exit::Done)
}

fn render(file: &str, dir: &str, all: &[Settings], width: Option<usize>) -> String {
    // Columns need room: without it a value stands right after its key.
    let (keys, values, gap) = match width {
        Some(..layout::NARROW) => (0, 0, "  "),
        _ => (26, 24, " "),
    };
    let mut text = format!("configuration {file}\nstate         {dir}\n");
    for settings in all {
        match &settings.gateway {
            Some(gateway) => {
                let _ = writeln!(text, "{HEAD}gateway {gateway}{HEAD:#}");
            }
            None if settings.settings.is_empty() => continue,
            None => {
                let _ = writeln!(text, "{HEAD}for all{HEAD:#}");
            }
        }
        for setting in &settings.settings {
            let origin = match setting.origin {
                Origin::Line(line) => format!("line {line}"),
                Origin::Default => "default".to_owned(),
                Origin::Kind => "built into the kind".to_owned(),
            };
            let (key, value) = (&setting.key, &setting.value);
            let _ = writeln!(text, "  {key:<keys$}{gap}{value:<values$}{gap}{QUIET}{origin}{QUIET:#}");
        }
    }
    text
}

fn as_json(settings: &Settings) -> serde_json::Value {
    let keys: Vec<_> = settings
        .settings
        .iter()
        .map(|setting| {
            let (from, line) = match setting.origin {
                Origin::Line(line) => ("file", Some(line)),
                Origin::Default => ("default", None),
                Origin::Kind => ("kind", None),
            };
            json!({ "key": setting.key, "value": setting.value, "from": from, "line": line })
        })
        .collect();
    json!({ "gateway": settings.gateway, "keys": keys })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::effective::Setting;

    #[test]
    fn each_key_is_a_line_with_its_value_and_origin_at_80_and_40_columns() {
        let setting =
            |key: &str, value: &str, origin| Setting { key: key.into(), value: value.into(), origin };
        let all = [
            Settings { gateway: None, settings: vec![setting("audit.keep", "4", Origin::Default)] },
            Settings {
                gateway: Some("dashboard".into()),
                settings: vec![
                    setting("grace", "\"20s\"", Origin::Line(2)),
                    setting("gateway.url", "\"http://127.0.0.1:9119\"", Origin::Line(9)),
                    setting(
                        "gateway.worker.match",
                        r"'\S*python\S* -m tui_gateway\.slash_worker .*?--session-key (?P<session>\S+)'",
                        Origin::Kind,
                    ),
                ],
            },
        ];
        let text = |width| {
            let text = render("/etc/gateway-reaper/reaper.toml", "/var/lib/gateway-reaper", &all, width);
            anstream::adapter::strip_str(&text).to_string()
        };
        let shown = |width| layout::wrap(&text(Some(width)), width);
        for width in [80, 40] {
            assert!(shown(width).lines().all(|line| line.chars().count() <= width));
        }
        insta::assert_snapshot!(format!("{}\n{}\n{}", text(None), shown(80), shown(40)));
    }
}
