//! Lines that fit a terminal: what is too long goes on below its own column.

/// Below this many columns a report says less.
pub(crate) const NARROW: usize = 60;

/// Breaks every line that is wider than the terminal between its words. What goes on stands below the column that it belongs to.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        if columns(line) <= width {
            out.push_str(line);
        } else {
            wrap_line(&mut out, line, width.max(1));
        }
        out.push_str(end);
    }
    out
}

fn wrap_line(out: &mut String, line: &str, width: usize) {
    let indent = hanging(line, width);
    // Of the row that is being written: its columns, and whether it has a word already.
    let (mut used, mut is_begun) = (0, false);
    let mut rest = line;
    while !rest.is_empty() {
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        let end = rest[spaces..].find(' ').map_or(rest.len(), |end| spaces + end);
        let (gap, mut word) = (&rest[..spaces], &rest[spaces..end]);
        rest = &rest[end..];
        // A path or an address is whole where less of an indent makes room for it.
        let room = width.saturating_sub(columns(word)).max(2);
        if is_begun && used + spaces + columns(word) > width {
            used = indent.min(room);
            begin_row(out, used);
        } else {
            let most = if is_begun { width / 2 } else { room.min(width / 2) };
            let gap = &gap[..spaces.min(most)];
            out.push_str(gap);
            used += gap.len();
        }
        // A word that no row has room for: an address, a path.
        while columns(word) > width.saturating_sub(used).max(1) {
            let at = byte_after(word, width.saturating_sub(used).max(1));
            out.push_str(&word[..at]);
            word = &word[at..];
            begin_row(out, indent);
            used = indent;
        }
        out.push_str(word);
        used += columns(word);
        is_begun = true;
    }
}

fn begin_row(out: &mut String, indent: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Where the last column begins that is in the first half of the line; a column is what follows two spaces or more.
fn hanging(line: &str, width: usize) -> usize {
    let shown = shown(line);
    let mut at = shown.iter().take_while(|c| **c == ' ').count();
    let mut hanging = at + 2;
    while at + 1 < shown.len() {
        if shown[at] == ' ' && shown[at + 1] == ' ' {
            let end = shown[at..].iter().position(|c| *c != ' ').map_or(shown.len(), |more| at + more);
            if end > width / 2 {
                break;
            }
            hanging = end;
            at = end;
        } else {
            at += 1;
        }
    }
    hanging.min(width / 2)
}

/// Cuts a text without colours to so many columns.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// How many columns a text takes; colours take none.
pub(crate) fn columns(text: &str) -> usize {
    if text.is_ascii() && !text.contains('\x1b') { text.len() } else { shown(text).len() }
}

fn shown(text: &str) -> Vec<char> {
    anstream::adapter::strip_str(text).to_string().chars().collect()
}

/// The end of so many columns, without a part of a colour.
fn byte_after(text: &str, count: usize) -> usize {
    let mut taken = 0;
    let mut in_colour = false;
    for (at, c) in text.char_indices() {
        match (in_colour, c) {
            (true, 'm') => in_colour = false,
            (true, _) => {}
            (false, '\x1b') => in_colour = true,
            (false, _) if taken == count => return at,
            (false, _) => taken += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_long_goes_on_below_its_column() {
        let text = "✓ config      /etc/reaper.toml\n  keep     session a  held by its gateway: delegation, approval\n";
        assert_eq!(
            wrap(text, 40),
            "✓ config      /etc/reaper.toml\n\
             \x20 keep     session a  held by its\n\
             \x20          gateway: delegation, approval\n"
        );
        assert_eq!(wrap("a\nb\n", 1), "a\nb\n");
        let path = "/etc/gateway-reaper/reaper.toml";
        assert_eq!(wrap(&format!("✓ config      {path}"), 34), format!("✓ config\n   {path}"));
        assert_eq!(wrap(&format!("          {path}]"), 34), format!("  {path}]"));
    }

    #[test]
    fn colours_take_no_room_and_are_not_cut() {
        let text = "\x1b[1mabcdef\x1b[0m ghi";
        assert_eq!(wrap(text, 10), text);
        assert_eq!(columns(text), 10);
        assert_eq!(wrap("\x1b[1mabcdefgh\x1b[0m", 4), "\x1b[1mabcd\n  ef\n  gh\x1b[0m");
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_no_word_is_lost(text in "([a-z]{1,30}| {1,4}|é|\n){0,40}", width in 4_usize..90) {
            let wrapped = wrap(&text, width);
            for line in wrapped.lines() {
                prop_assert!(columns(line.trim_end_matches(' ')) <= width, "{:?}", line);
            }
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&wrapped), letters(&text));
        }
    }
}
