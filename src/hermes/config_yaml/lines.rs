//! Lines of a text, by the bytes where they begin and end.

/// The line break that the text uses.
pub(super) fn line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Where the line begins in which `at` is.
pub(super) fn start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |at| at + 1)
}

/// Where the line ends in which `at` is, before its line break.
pub(super) fn end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |offset| at + offset);
    if text[at..end].ends_with('\r') { end - 1 } else { end }
}

/// Where the next line begins; the end of the text in the last one.
pub(super) fn next(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |offset| at + offset + 1)
}

/// The number of the line, from 1.
pub(super) fn number(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The spaces before `at`, if there is nothing else before it on its line.
pub(super) fn indent(text: &str, at: usize) -> Option<&str> {
    let before = &text[start(text, at)..at];
    let before = before.strip_prefix('\u{feff}').unwrap_or(before);
    before.bytes().all(|byte| byte == b' ').then_some(before)
}
