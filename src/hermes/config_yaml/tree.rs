//! A YAML document as a tree that knows where each of its nodes stands in the text.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::NotEdited;

/// A configuration nests three or four levels; this many would only overflow the stack.
const DEEPEST: usize = 100;

/// A node of the document. Two are equal if they say the same, wherever they stand.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Bytes of the text. Of a block collection only the start can be relied on.
    pub(super) span: Range<usize>,
    /// It has an anchor or a tag, or is an alias: what it says, it may say elsewhere, too.
    pub(super) entangled: bool,
    pub(super) content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Scalar { text: String, style: ScalarStyle },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
    Alias(usize),
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.entangled == other.entangled
            && match (&self.content, &other.content) {
                (Content::Scalar { text: a, style: b }, Content::Scalar { text: c, style: d }) => {
                    a == c && b == d
                }
                (Content::Sequence(a), Content::Sequence(b)) => a == b,
                (Content::Mapping(a), Content::Mapping(b)) => a == b,
                (Content::Alias(a), Content::Alias(b)) => a == b,
                _ => false,
            }
    }
}

impl Node {
    /// The text of a scalar, quoted or not.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it ends in a block scalar (`|` or `>`), in which a line break at the very end would be text.
    pub(super) fn ends_in_block_scalar(&self) -> bool {
        match &self.content {
            Content::Scalar { style, .. } => matches!(style, ScalarStyle::Literal | ScalarStyle::Folded),
            Content::Sequence(items) => items.last().is_some_and(Self::ends_in_block_scalar),
            Content::Mapping(entries) => {
                entries.last().is_some_and(|(_, value)| value.ends_in_block_scalar())
            }
            Content::Alias(_) => false,
        }
    }

    /// `null`, `~`, or nothing at all.
    pub(super) fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar { text, style: ScalarStyle::Plain } => {
                !self.entangled && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }
}

/// Reads the one document that the text has; `None` if there is nothing in it.
pub(super) fn read(text: &str) -> Result<Option<Node>, NotEdited> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let offsets = offsets(body, text.len() - body.len());
    let mut reader = Reader { events: Parser::new_from_str(body), offsets };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(document),
            (Event::DocumentStart(_), _) if document.is_some() => return Err(NotEdited::SeveralDocuments),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (event, span) => document = Some(reader.node(event, span, 0)?),
        }
    }
}

/// The byte at which each character begins, and the end, behind what was skipped.
fn offsets(body: &str, skipped: usize) -> Vec<usize> {
    body.char_indices().map(|(at, _)| at).chain([body.len()]).map(|at| skipped + at).collect()
}

struct Reader<'t> {
    events: Parser<'t, saphyr_parser::StrInput<'t>>,
    offsets: Vec<usize>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), NotEdited> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(NotEdited::NotYaml { line: error.marker().line() }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, NotEdited> {
        if depth > DEEPEST {
            return Err(NotEdited::Unsure { line: span.start.line(), what: "nests too deep" });
        }
        let (content, entangled) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (Content::Scalar { text: text.into_owned(), style }, anchor != 0 || tag.is_some())
            }
            Event::Alias(of) => (Content::Alias(of), true),
            Event::SequenceStart(anchor, tag) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                (Content::Sequence(items), anchor != 0 || tag.is_some())
            }
            Event::MappingStart(anchor, tag) => {
                let mut entries = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, _) => break,
                        (event, span) => {
                            let key = self.node(event, span, depth + 1)?;
                            let (event, span) = self.next()?;
                            entries.push((key, self.node(event, span, depth + 1)?));
                        }
                    }
                }
                (Content::Mapping(entries), anchor != 0 || tag.is_some())
            }
            _ => return Err(NotEdited::NotYaml { line: span.start.line() }),
        };
        Ok(Node { span: self.bytes(span), entangled, content })
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        let at = |index: usize| self.offsets.get(index).or(self.offsets.last()).copied().unwrap_or_default();
        at(span.start.index())..at(span.end.index())
    }
}
