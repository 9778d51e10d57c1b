//! Ways to take a name out of one of the lists. A list that becomes empty stays, as `[]`.

use super::add::is_at;
use super::edit::Edit;
use super::lists::{self, Entry, List};
use super::tree::{self, Node};
use super::verify::{self, Goal};
use super::{Edited, NotEdited, lines};

pub(super) fn from(text: &str, list: List, name: &str) -> Result<Edited, NotEdited> {
    let document = tree::read(text)?;
    let lists = lists::find(text, document.as_ref())?;
    let Some(entry) = lists.entry(list).filter(|_| lists.names(list, name)) else {
        return Ok(Edited { text: text.to_owned(), edits: Vec::new() });
    };
    let items = lists.items(list);
    let candidates = if is_at(text, &entry.1, '[') {
        vec![from_flow(text, items, name)]
    } else {
        vec![from_block(text, entry, items, name)]
    };
    verify::first(text, candidates, list, name, Goal::Out)
}

/// Each with the comma before it, the first with the one behind it.
fn from_flow(text: &str, items: &[Node], name: &str) -> Option<Vec<Edit>> {
    let mut edits = Vec::new();
    // From the last one on, so that no edit moves the place of another.
    for (at, item) in items.iter().enumerate().rev().filter(|(_, item)| item.text() == Some(name)) {
        let range = match (at.checked_sub(1).map(|before| &items[before]), items.get(at + 1)) {
            (Some(before), _) => before.span.end..item.span.end,
            (None, Some(after)) => item.span.start..after.span.start,
            (None, None) => item.span.clone(),
        };
        edits.push(Edit::replace(text, range, "")?);
    }
    Some(edits)
}

/// Whole lines.
fn from_block(text: &str, (key, _): &Entry, items: &[Node], name: &str) -> Option<Vec<Edit>> {
    let mut edits = Vec::new();
    let ours = || items.iter().rev().filter(|item| item.text() == Some(name));
    for item in ours() {
        let start = lines::start(text, item.span.start);
        let dash = text[start..item.span.start].trim();
        if dash != "-" {
            return None;
        }
        let end = lines::next(text, item.span.end);
        // The last line may have no line break behind it; then the one before it goes.
        let range = if end == text.len() && !text.ends_with('\n') {
            let start = start.checked_sub(1)?;
            if text[..start].ends_with('\r') { start - 1..end } else { start..end }
        } else {
            start..end
        };
        edits.push(Edit::replace(text, range, "")?);
    }
    if ours().count() == items.len() {
        let colon = key.span.end + text[key.span.end..].find(':')?;
        edits.push(Edit::insert(colon + 1, " []"));
    }
    Some(edits)
}
