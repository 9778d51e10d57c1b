//! The TOML itself: a tree with spans, or the places where it is broken.

use toml::Spanned;
use toml::de::DeTable;

use super::problems::Problems;
use super::value::quoted;

/// Parses a text. `None`: it is not TOML, and the problems say where; what a recovering parser makes of the rest is not worth judging.
pub(super) fn parse<'t>(text: &'t str, problems: &Problems<'_>) -> Option<Spanned<DeTable<'t>>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(tree);
    }
    for error in errors {
        let span = error.span().unwrap_or_default();
        let remedy = match error.message() {
            "duplicate key" => {
                let key = text.get(span.clone()).map(quoted).unwrap_or_default();
                format!(" {key}; it stands further up already")
            }
            // Patterns are full of backslashes, which mean something else between double quotes.
            message if message.starts_with("missing escaped value") => {
                "; write what has backslashes between single quotes".to_owned()
            }
            _ => String::new(),
        };
        problems.add_syntax(span.start, format!("not valid TOML: {}{remedy}", error.message()));
    }
    None
}
