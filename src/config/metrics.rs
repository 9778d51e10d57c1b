//! `[metrics]`: where Prometheus finds them.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::keys;
use super::section::Section;
use super::value::quoted;

/// Where the metrics go. Nowhere by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// A file for node_exporter's textfile collector, replaced after every run.
    pub textfile: Option<PathBuf>,
    /// An address at which `watch` answers.
    pub listen: Option<SocketAddr>,
}

pub(super) fn read(root: &Section<'_>) -> Metrics {
    let Some(section) = root.section("metrics", &keys::METRICS) else { return Metrics::default() };
    section.refuse_unknown_keys();
    let textfile = section.path("textfile").filter(|path| {
        // The collector reads nothing else.
        let fits = path.extension().is_some_and(|extension| extension == "prom");
        if !fits {
            section
                .refuse("textfile", "expected a file whose name ends in .prom; node_exporter reads no other");
        }
        fits
    });
    Metrics { textfile, listen: listen(&section) }
}

fn listen(section: &Section<'_>) -> Option<SocketAddr> {
    const EXPECTED: &str = "an address with a port in quotes, such as \"127.0.0.1:9841\"";
    let text = section.text("listen", EXPECTED)?;
    text.parse().ok().or_else(|| section.mismatch("listen", EXPECTED, &quoted(text)))
}
