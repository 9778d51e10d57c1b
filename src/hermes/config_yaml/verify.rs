//! Whether an edited text says what the old one said, the one list apart.

use super::edit::Edit;
use super::lists::{self, List};
use super::tree::{self, Content, Node};
use super::{Edited, NotEdited};

/// Whether the name is to be in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    In,
    Out,
}

/// The first of the candidates that is certain to do just what it should.
pub(super) fn first(
    text: &str,
    candidates: Vec<Option<Vec<Edit>>>,
    list: List,
    name: &str,
    goal: Goal,
) -> Result<Edited, NotEdited> {
    for edits in candidates.into_iter().flatten() {
        let edited = edits.iter().try_fold(text.to_owned(), |text, edit| edit.apply(&text));
        let Some(edited) = edited else { continue };
        if does_just_that(text, &edited, list, name, goal) {
            return Ok(Edited { text: edited, edits });
        }
    }
    Err(NotEdited::NoEdit)
}

fn does_just_that(before: &str, after: &str, list: List, name: &str, goal: Goal) -> bool {
    let (Some(before), Some(after)) = (Said::read(before, name), Said::read(after, name)) else {
        return false;
    };
    let (other, is_in) = match list {
        List::Enabled => (before.is_disabled == after.is_disabled, after.is_enabled),
        List::Disabled => (before.is_enabled == after.is_enabled, after.is_disabled),
    };
    other && is_in == (goal == Goal::In) && before.rest == after.rest && before.others == after.others
}

/// A configuration, taken apart: whether it names the plugin, the other plugins of both lists, and the rest.
struct Said {
    is_enabled: bool,
    is_disabled: bool,
    others: [Vec<Node>; 2],
    rest: Vec<(Node, Node)>,
}

impl Said {
    fn read(text: &str, name: &str) -> Option<Self> {
        let document = tree::read(text).ok()?;
        let lists = lists::find(text, document.as_ref()).ok()?;
        let others = [List::Enabled, List::Disabled].map(|list| {
            lists.items(list).iter().filter(|item| item.text() != Some(name)).cloned().collect::<Vec<_>>()
        });
        let is_enabled = lists.names(List::Enabled, name);
        let is_disabled = lists.names(List::Disabled, name);
        let mut rest = lists.root.unwrap_or_default().to_vec();
        if let Some((_, plugins)) = rest.iter_mut().find(|(key, _)| key.text() == Some("plugins"))
            && let Content::Mapping(entries) = &mut plugins.content
        {
            entries.retain(|(key, _)| !matches!(key.text(), Some("enabled" | "disabled")));
        }
        // `plugins` without anything in it says nothing.
        rest.retain(|(key, value)| {
            let empty =
                value.is_null() || matches!(&value.content, Content::Mapping(entries) if entries.is_empty());
            key.text() != Some("plugins") || !empty
        });
        Some(Self { is_enabled, is_disabled, others, rest })
    }
}
