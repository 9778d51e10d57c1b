//! What a person sees on a terminal of so many columns: what differs from run to run is exchanged for as many other characters, so that every
//! line is as long as it was and breaks where it did.

use std::fmt::Write;
use std::sync::LazyLock;

use regex_lite::Regex;

use crate::gateway::Gateway;
use crate::place::{Place, Ran, Reaper};

/// The widths that are shown.
pub(crate) const WIDTHS: [usize; 2] = [80, 40];

/// What is shown of one place.
pub(crate) struct Screen<'a> {
    place: &'a Place,
    ports: Vec<u16>,
    shown: String,
}

impl<'a> Screen<'a> {
    pub(crate) fn of(place: &'a Place, gateways: &[&Gateway]) -> Self {
        Self { place, ports: gateways.iter().map(|gateway| gateway.port()).collect(), shown: String::new() }
    }

    /// Shows the command at each width.
    pub(crate) fn show(&mut self, args: &[&str]) -> &mut Self {
        self.show_each(|_| args.iter().map(|arg| (*arg).to_owned()).collect(), |reaper, _| reaper)
    }

    /// The same where the command, or what it is run with, is another one at each width.
    pub(crate) fn show_each(
        &mut self,
        args: impl Fn(usize) -> Vec<String>,
        with: impl Fn(Reaper, usize) -> Reaper,
    ) -> &mut Self {
        for width in WIDTHS {
            let args = args(width);
            let reaper = self.place.reaper(args.iter().map(String::as_str)).env("COLUMNS", width.to_string());
            let ran = with(reaper, width).run();
            self.add(&args.join(" "), width, &ran);
        }
        self
    }

    pub(crate) fn add(&mut self, command: &str, width: usize, ran: &Ran) -> &mut Self {
        let code = ran.code.map_or("killed".to_owned(), |code| code.to_string());
        let _ = writeln!(
            self.shown,
            "$ gateway-reaper {}    # {width} columns, exit {code}",
            self.still(command)
        );
        // What is narrated is a log and not for a terminal alone: its lines are whole.
        let narrated = |line: &&str| !line.starts_with("20");
        for line in ran.out.lines().chain(ran.err.lines().filter(narrated)) {
            let line = self.still(line);
            assert!(
                line.chars().count() <= width,
                "{command}: more than {width} columns: {line:?} in {ran:#?}"
            );
            let _ = writeln!(self.shown, "{line}");
        }
        self.shown.push('\n');
        self
    }

    /// As many characters, and always the same.
    pub(crate) fn still(&self, text: &str) -> String {
        static TIME: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\b\d\d:\d\d:\d\dZ").unwrap()
        });
        let time = |found: &regex_lite::Captures<'_>| {
            found[0].chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>()
        };
        let mut text = TIME.replace_all(text, time).into_owned();
        let folder = self.place.dir().display().to_string();
        text = text.replace(&folder, &format!("/tmp/{:-<1$}", "", folder.len() - "/tmp/".len()));
        for port in &self.ports {
            text = text.replace(&format!(":{port}"), ":12345");
        }
        text
    }

    pub(crate) fn shown(&mut self) -> String {
        std::mem::take(&mut self.shown)
    }
}
