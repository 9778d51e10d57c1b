//! Every key with the value that holds and where it comes from, for `check`. Made from the text itself, so that a new key
//! is shown without a change here.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problems::Problems;
use super::{ConfigError, DEFAULT, Located, keys, kinds, syntax};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This line of the file.
    Line(usize),
    /// The program; the file says nothing.
    Default,
    /// The kind of the gateway; the file says nothing.
    Kind,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key, with the tables above it but for the gateway's own.
    pub key: String,
    /// Its value, as the file would write it.
    pub value: String,
    /// Where that comes from.
    pub origin: Origin,
}

/// The settings of one gateway, or those of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The gateway; `None`: what holds for all.
    pub gateway: Option<String>,
    /// In the order of the reference.
    pub settings: Vec<Setting>,
}

/// Every key of a file that was read without a mistake.
///
/// # Errors
/// It can't be read any more.
pub fn of_file(path: &Path) -> Result<Vec<Settings>, ConfigError> {
    Ok(effective(&super::read::text(&Located::named(path))?, path))
}

/// Every key of a text that was read without a mistake.
pub fn effective(text: &str, file: &Path) -> Vec<Settings> {
    let problems = Problems::new(text, file);
    let Some(tree) = syntax::parse(text, &problems) else { return Vec::new() };
    let root = tree.get_ref();
    let reader = Reader { text, problems: &problems };
    let policy = table_of(root, "policy");
    let mut general = Vec::new();
    for (name, entry) in sorted(root) {
        if let (DeValue::Table(table), false) = (entry.get_ref(), name == "policy") {
            reader.add_all(table, &format!("{name}."), &mut general);
        }
    }
    for (table, key) in [("audit", "max_bytes"), ("audit", "keep")] {
        let name = format!("{table}.{key}");
        if general.iter().all(|setting| setting.key != name) {
            general.extend(default_of(&format!("[{table}]"), key).map(|value| Setting {
                key: name,
                value,
                origin: Origin::Default,
            }));
        }
    }
    let keeps = root.get("keep").and_then(|keeps| keeps.get_ref().as_array());
    for (number, keep) in (1..).zip(keeps.into_iter().flatten()) {
        if let DeValue::Table(table) = keep.get_ref() {
            reader.add_all(table, &format!("keep[{number}]."), &mut general);
        }
    }
    let mut all = vec![Settings { gateway: None, settings: general }];
    let gateways = root.get("gateway").and_then(|gateways| gateways.get_ref().as_array());
    for gateway in gateways.into_iter().flatten() {
        if let DeValue::Table(table) = gateway.get_ref() {
            all.push(reader.gateway(table, policy));
        }
    }
    all
}

struct Reader<'a> {
    text: &'a str,
    problems: &'a Problems<'a>,
}

impl Reader<'_> {
    fn gateway(&self, table: &DeTable<'_>, policy: Option<&DeTable<'_>>) -> Settings {
        let name = table.get("name").and_then(|name| name.get_ref().as_str()).unwrap_or_default();
        let mut settings = Vec::new();
        self.add_all(table, "", &mut settings);
        for key in ["timeout", "max_table_bytes"] {
            if table.get(key).is_none() {
                settings.extend(default_of("[[gateway]]", key).map(|value| defaulted(key, value)));
            }
        }
        let kind = table.get("kind").and_then(|kind| kind.get_ref().as_str()).unwrap_or_default();
        for key in keys::POLICY_KEYS.iter().filter(|key| table.get(**key).is_none()) {
            let built_in = kinds::built_in_policy(kind).iter().find(|(of_kind, _)| of_kind == key);
            match (policy.and_then(|policy| policy.get(*key)), built_in) {
                (Some(value), _) => settings.push(self.setting((*key).to_owned(), value)),
                (None, Some((_, value))) => {
                    let (key, value) = ((*key).to_owned(), (*value).to_owned());
                    settings.push(Setting { key, value, origin: Origin::Kind });
                }
                (None, None) => {
                    settings.extend(default_of("[policy]", key).map(|value| defaulted(key, value)))
                }
            }
        }
        let is_matched = settings.iter().any(|setting| setting.key == "worker.match");
        if let (false, Some(pattern)) = (is_matched, kinds::built_in_match(kind)) {
            let (key, value) = ("worker.match".to_owned(), format!("'{pattern}'"));
            settings.push(Setting { key, value, origin: Origin::Kind });
        }
        Settings { gateway: Some(name.to_owned()), settings }
    }

    /// Everything that a table says, and the tables in it.
    fn add_all(&self, table: &DeTable<'_>, above: &str, settings: &mut Vec<Setting>) {
        for (key, value) in sorted(table) {
            let path = format!("{above}{key}");
            match value.get_ref() {
                DeValue::Table(below) => self.add_all(below, &format!("{path}."), settings),
                _ => settings.push(self.setting(path, value)),
            }
        }
    }

    fn setting(&self, key: String, value: &Spanned<DeValue<'_>>) -> Setting {
        let span = value.span();
        let origin = Origin::Line(self.problems.line(span.start));
        Setting { key, value: self.text.get(span).unwrap_or_default().to_owned(), origin }
    }
}

fn defaulted(key: &str, value: String) -> Setting {
    Setting { key: key.to_owned(), value, origin: Origin::Default }
}

fn table_of<'a, 't>(root: &'a DeTable<'t>, key: &str) -> Option<&'a DeTable<'t>> {
    match root.get(key)?.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// The entries of a table in the order of the text.
fn sorted<'a, 't>(table: &'a DeTable<'t>) -> Vec<(&'a str, &'a Spanned<DeValue<'t>>)> {
    let mut entries: Vec<_> =
        table.iter().map(|(key, value)| (key.span().start, key.get_ref().as_ref(), value)).collect();
    entries.sort_by_key(|(start, ..)| *start);
    entries.into_iter().map(|(_, key, value)| (key, value)).collect()
}

/// The value that holds without a key: the annotated default states it, commented out or not.
fn default_of(header: &str, key: &str) -> Option<String> {
    let mut is_there = false;
    for line in DEFAULT.lines() {
        if line.starts_with('[') || line.starts_with("#[") {
            is_there = line == header;
        }
        if let Some((name, value)) = line.trim_start_matches('#').split_once(" = ")
            && is_there
            && name == key
        {
            return Some(value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        effective(text, Path::new("reaper.toml"))
            .into_iter()
            .flat_map(|settings| {
                let gateway = settings.gateway.unwrap_or_else(|| "all".into());
                settings.settings.into_iter().map(move |setting| {
                    format!("{gateway}: {} = {} {:?}", setting.key, setting.value, setting.origin)
                })
            })
            .collect()
    }

    #[test]
    fn each_key_has_the_value_that_holds_and_where_it_comes_from() {
        let text = "[policy]\ngrace = \"1m\"\nmax_reaps = 7\n[[gateway]]\nname = \"a\"\nkind = \"hermes\"\n\
                    url = \"http://127.0.0.1:1\"\ngrace = \"2m\"\n[gateway.worker]\nuser = \"x\"\n";
        let shown = shown(text);
        for expected in [
            "all: audit.keep = 4 Default",
            "a: grace = \"2m\" Line(8)",
            "a: max_reaps = 7 Line(3)",
            "a: term_timeout = \"5s\" Default",
            "a: timeout = \"5s\" Default",
            "a: worker.user = \"x\" Line(10)",
        ] {
            assert!(shown.iter().any(|line| line == expected), "{expected} in {shown:#?}");
        }
        assert!(shown.iter().any(|line| line.starts_with("a: worker.match = ") && line.ends_with("Kind")));
    }

    #[test]
    fn every_key_of_the_policy_has_a_default_that_the_reference_states() {
        for key in keys::POLICY_KEYS {
            assert!(default_of("[policy]", key).is_some(), "{key}");
        }
        for key in ["timeout", "max_table_bytes"] {
            assert!(default_of("[[gateway]]", key).is_some(), "{key}");
        }
    }
}
