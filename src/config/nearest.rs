//! "Did you mean …?"

use strsim::osa_distance;

/// The known word that is at most a third of its letters away.
pub(super) fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if word.len() > 64 {
        return None;
    }
    let word = normal(word);
    let (distance, near) =
        known.map(|known| (osa_distance(&word, known), known)).min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= near.len()).then_some(near)
}

pub(super) fn normal(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}
