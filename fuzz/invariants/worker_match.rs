//! `worker.match` against an argv: tried from the first character on, whatever the pattern, and the key is what the group holds.

use gateway_reaper::domain::policy::WorkerMatch;

/// Pattern and argv, apart by a line break.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (pattern, argv) = text.split_once('\n').unwrap_or((&text, "worker --session-key k"));
    if pattern.len() > 256 || argv.len() > 1024 {
        return;
    }
    let bare = regex_lite::Regex::new(pattern);
    let worker = match WorkerMatch::new(pattern) {
        Ok(worker) => worker,
        Err(why) => {
            assert!(!why.is_empty());
            return assert!(bare.is_err(), "{pattern:?} is a regular expression, and refused: {why}");
        }
    };
    // The leftmost match of the bare pattern begins at the first character if and only if there is one that does.
    let found = bare
        .ok()
        .and_then(|bare| bare.captures(argv).filter(|found| found.get(0).is_some_and(|it| it.start() == 0)));
    let expected = found.as_ref().map(|found| found.name("session").map(|group| group.as_str()));
    assert_eq!(worker.matches(argv).map(|matched| matched.key), expected, "{pattern:?} on {argv:?}");
}
