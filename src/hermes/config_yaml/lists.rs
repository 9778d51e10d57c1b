//! Finding `plugins`, `plugins.enabled` and `plugins.disabled` in the tree, and refusing where there is no telling what they mean.

use super::tree::{Content, Node};
use super::{MOST_BYTES, NotEdited, lines};

/// One of the two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Enabled,
    Disabled,
}

impl List {
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// A key and its value.
pub(super) type Entry = (Node, Node);

/// Where the lists are, as far as they are there.
pub(super) struct Lists<'t> {
    /// The document, if it isn't empty.
    pub(super) root: Option<&'t [Entry]>,
    pub(super) plugins: Option<&'t Entry>,
    enabled: Option<&'t Entry>,
    disabled: Option<&'t Entry>,
}

impl<'t> Lists<'t> {
    pub(super) fn entry(&self, list: List) -> Option<&'t Entry> {
        match list {
            List::Enabled => self.enabled,
            List::Disabled => self.disabled,
        }
    }

    /// None for a list that isn't there, or is `null`.
    pub(super) fn items(&self, list: List) -> &'t [Node] {
        match self.entry(list).map(|(_, value)| &value.content) {
            Some(Content::Sequence(items)) => items,
            _ => &[],
        }
    }

    pub(super) fn names(&self, list: List, name: &str) -> bool {
        self.items(list).iter().any(|item| item.text() == Some(name))
    }
}

pub(super) fn find<'t>(text: &str, document: Option<&'t Node>) -> Result<Lists<'t>, NotEdited> {
    refuse_odd_text(text)?;
    let mut lists = Lists { root: None, plugins: None, enabled: None, disabled: None };
    let Some(root) = document.filter(|root| !root.is_null()) else { return Ok(lists) };
    let entries = mapping(text, root, "is no mapping of settings")?;
    lists.root = Some(entries);
    lists.plugins = single(text, entries, "plugins")?;
    let Some((_, plugins)) = lists.plugins.filter(|(_, value)| !value.is_null()) else { return Ok(lists) };
    let entries = mapping(text, plugins, "has plugins that are no mapping")?;
    for list in [List::Enabled, List::Disabled] {
        let entry = single(text, entries, list.key())?;
        if let Some((_, value)) = entry {
            refuse_other_than_list(text, value)?;
        }
        match list {
            List::Enabled => lists.enabled = entry,
            List::Disabled => lists.disabled = entry,
        }
    }
    Ok(lists)
}

/// YAML 1.1, which Hermes reads, and YAML 1.2, which is read here, differ in what ends a line.
fn refuse_odd_text(text: &str) -> Result<(), NotEdited> {
    if text.len() > MOST_BYTES {
        return Err(NotEdited::TooLarge);
    }
    let lone_return = text.match_indices('\r').map(|(at, _)| at).find(|at| !text[at + 1..].starts_with('\n'));
    let odd = lone_return.or_else(|| text.find(['\u{85}', '\u{2028}', '\u{2029}', '\0']));
    match odd {
        Some(at) => Err(unsure(text, at, "has a character that not every reader of YAML takes for the same")),
        None => Ok(()),
    }
}

fn mapping<'t>(text: &str, node: &'t Node, otherwise: &'static str) -> Result<&'t [Entry], NotEdited> {
    if node.entangled {
        return Err(unsure(text, node.span.start, "has an anchor, an alias or a tag"));
    }
    match &node.content {
        Content::Mapping(entries) => Ok(entries),
        _ => Err(unsure(text, node.span.start, otherwise)),
    }
}

fn single<'t>(text: &str, entries: &'t [Entry], key: &str) -> Result<Option<&'t Entry>, NotEdited> {
    let mut found = None;
    for entry in entries {
        match entry.0.text() {
            Some("<<") => {
                return Err(unsure(text, entry.0.span.start, "merges another mapping into this one"));
            }
            Some(name) if name == key => {
                if entry.0.entangled {
                    return Err(unsure(text, entry.0.span.start, "has an anchor, an alias or a tag"));
                }
                if found.replace(entry).is_some() {
                    return Err(unsure(text, entry.0.span.start, "says the same key a second time"));
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn refuse_other_than_list(text: &str, value: &Node) -> Result<(), NotEdited> {
    if value.is_null() {
        return Ok(());
    }
    if value.entangled {
        return Err(unsure(text, value.span.start, "has an anchor, an alias or a tag"));
    }
    match value.content {
        Content::Sequence(_) => Ok(()),
        _ => Err(unsure(text, value.span.start, "has something other than a list of plugins")),
    }
}

fn unsure(text: &str, at: usize, what: &'static str) -> NotEdited {
    NotEdited::Unsure { line: lines::number(text, at.min(text.len())), what }
}
