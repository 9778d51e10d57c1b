//! The plugin's files, as this binary carries them.

use std::cmp::Ordering;

/// Its name: of its folder, in `plugins.enabled`, and in its routes.
pub const NAME: &str = "gateway-reaper";

/// Its version. A gateway with an older one is not asked to reap.
pub const VERSION: &str = "1.1.0";

/// The folder of its files, under its own.
pub(super) const FOLDER: &str = "dashboard";

/// A file of the plugin.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) content: &'static str,
}

/// The manifest last: a gateway that starts in between finds the plugin whole or not at all.
pub(super) const FILES: [File; 3] = [
    File { name: "index.js", content: include_str!("plugin/index.js") },
    File { name: "plugin_api.py", content: include_str!("plugin/plugin_api.py") },
    File { name: MANIFEST, content: include_str!("plugin/manifest.json") },
];

pub(super) const MANIFEST: &str = "manifest.json";

/// Compares versions such as `1.0.12`; a part that is no number counts as nothing.
pub fn compare_versions(one: &str, other: &str) -> Ordering {
    let parts = |text: &str| -> Vec<u64> { text.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    parts(one).cmp(&parts(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_the_files_state() {
        let of = |name: &str| FILES.iter().find(|file| file.name == name).unwrap().content;
        let manifest: serde_json::Value = serde_json::from_str(of(MANIFEST)).unwrap();
        assert_eq!((manifest["name"].as_str(), manifest["version"].as_str()), (Some(NAME), Some(VERSION)));
        assert!(of("plugin_api.py").contains(&format!("PLUGIN_VERSION = \"{VERSION}\"")));
        assert_eq!(manifest["api"], "plugin_api.py");
        assert_eq!(manifest["entry"], "index.js");
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(compare_versions("1.0.9", "1.0.10"), Ordering::Less);
        assert_eq!(compare_versions("1.0.0", "1.0.0"), Ordering::Equal);
        assert_eq!(compare_versions("2", "1.9.9"), Ordering::Greater);
        assert_eq!(compare_versions("", "1.0.0"), Ordering::Less);
    }
}
