//! Ways to put a name into `plugins.enabled`, in the style that is there.

use super::edit::Edit;
use super::lists::{self, Entry, List, Lists};
use super::tree::{self, Content, Node};
use super::verify::{self, Goal};
use super::{Edited, NotEdited, lines};

type Candidate = Option<Vec<Edit>>;

pub(super) fn to_enabled(text: &str, name: &str) -> Result<Edited, NotEdited> {
    let document = tree::read(text)?;
    let lists = lists::find(text, document.as_ref())?;
    if lists.names(List::Enabled, name) {
        return Ok(Edited { text: text.to_owned(), edits: Vec::new() });
    }
    let candidates = match (lists.plugins, lists.entry(List::Enabled)) {
        (None, _) => new_plugins(text, &lists, name),
        (Some(plugins), None) => new_list(text, plugins, name),
        (Some(_), Some(enabled)) => longer_list(text, enabled, name),
    };
    verify::first(text, candidates, List::Enabled, name, Goal::In)
}

/// There is no `plugins` yet: at the end, as a person would, else at the beginning.
fn new_plugins(text: &str, lists: &Lists<'_>, name: &str) -> Vec<Candidate> {
    let eol = lines::line_break(text);
    let first = lists.root.and_then(|root| root.first()).map(|(key, _)| key.span.start);
    let indent = first.map_or(Some(""), |at| lines::indent(text, at));
    let block = |indent: &str| format!("{indent}plugins:{eol}{indent}  enabled:{eol}{indent}    - {name}");
    let last = lists.root.and_then(|root| root.last()).map(|(_, value)| value);
    let at_end = |indent| {
        let block = block(indent);
        if text.is_empty() || text.ends_with('\n') || text == "\u{feff}" {
            return Some(vec![Edit::insert(text.len(), block + eol)]);
        }
        let is_free = !last.is_some_and(Node::ends_in_block_scalar);
        is_free.then(|| vec![Edit::insert(text.len(), eol.to_owned() + &block)])
    };
    let at_start = |indent: &str| Some(vec![Edit::insert(first? - indent.len(), block(indent) + eol)]);
    vec![indent.and_then(at_end), indent.and_then(at_start)]
}

/// `plugins` has no `enabled` yet.
fn new_list(text: &str, (key, plugins): &Entry, name: &str) -> Vec<Candidate> {
    let eol = lines::line_break(text);
    if plugins.is_null() {
        let under = |indent: &str| format!("{eol}{indent}  enabled:{eol}{indent}    - {name}");
        return instead_of_null(text, key, plugins, under, &format!("{{enabled: [{name}]}}"));
    }
    let Content::Mapping(entries) = &plugins.content else { return Vec::new() };
    if is_at(text, plugins, '{') {
        let comma = if entries.is_empty() { "" } else { ", " };
        return vec![Some(vec![Edit::insert(plugins.span.start + 1, format!("enabled: [{name}]{comma}"))])];
    }
    let first = entries.first().map(|(key, _)| key.span.start);
    let before_first = |at: usize| {
        let indent = lines::indent(text, at)?;
        let block = format!("{indent}enabled:{eol}{indent}  - {name}{eol}");
        Some(vec![Edit::insert(at - indent.len(), block)])
    };
    vec![first.and_then(before_first)]
}

/// `enabled` is there, with or without a list.
fn longer_list(text: &str, (key, enabled): &Entry, name: &str) -> Vec<Candidate> {
    let eol = lines::line_break(text);
    let Content::Sequence(items) = &enabled.content else {
        let under = |indent: &str| format!("{eol}{indent}  - {name}");
        return instead_of_null(text, key, enabled, under, &format!("[{name}]"));
    };
    if is_at(text, enabled, '[') {
        return vec![match items.last() {
            None => Some(vec![Edit::insert(enabled.span.start + 1, name)]),
            Some(last) => Some(vec![Edit::insert(last.span.end, format!(", {name}"))]),
        }];
    }
    let dash = |item: &Node| {
        let start = lines::start(text, item.span.start);
        let line = &text[start..];
        let indent = &line[..line.len() - line.trim_start_matches(' ').len()];
        line[indent.len()..].starts_with('-').then_some((start, indent))
    };
    let after_last = items.last().filter(|last| !last.ends_in_block_scalar()).and_then(|last| {
        let (_, indent) = dash(last)?;
        Some(vec![Edit::insert(lines::end(text, last.span.end), format!("{eol}{indent}- {name}"))])
    });
    let before_first = items.first().and_then(|first| {
        let (start, indent) = dash(first)?;
        Some(vec![Edit::insert(start, format!("{indent}- {name}{eol}"))])
    });
    vec![after_last, before_first]
}

/// Under the key where there is nothing, else in place of the word that says nothing.
fn instead_of_null(
    text: &str,
    key: &Node,
    null: &Node,
    under: impl Fn(&str) -> String,
    inline: &str,
) -> Vec<Candidate> {
    if !null.span.is_empty() {
        return vec![Edit::replace(text, null.span.clone(), inline).map(|edit| vec![edit])];
    }
    let below = lines::indent(text, key.span.start)
        .map(|indent| vec![Edit::insert(lines::end(text, key.span.end), under(indent))]);
    let colon = text[key.span.end..].find(':').map(|offset| key.span.end + offset + 1);
    let beside = colon.map(|at| vec![Edit::insert(at, format!(" {inline}"))]);
    vec![below, beside]
}

pub(super) fn is_at(text: &str, node: &Node, bracket: char) -> bool {
    text[node.span.start..].starts_with(bracket)
}
