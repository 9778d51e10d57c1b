//! `[audit]`: how large the audit log may grow.

use super::keys;
use super::section::Section;
use crate::state::log::Rotation;

pub(super) fn read(root: &Section<'_>) -> Rotation {
    let mut rotation = Rotation::default();
    let Some(section) = root.section("audit", &keys::AUDIT) else { return rotation };
    section.refuse_unknown_keys();
    let bytes = section.count(
        "max_bytes",
        65_536..=1 << 40,
        "a whole number of bytes from 65536 (64 KiB) to 1099511627776 (1 TiB)",
    );
    if let Some(bytes) = bytes {
        rotation.max_bytes = bytes as u64;
    }
    if let Some(keep) = section.count("keep", 1..=99, "a whole number from 1 to 99") {
        rotation.keep = u32::try_from(keep).unwrap_or(rotation.keep);
    }
    rotation
}
