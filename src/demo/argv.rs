//! Writing arguments that clap reads back.

use clap::ValueEnum;

/// How clap writes a value.
pub(in crate::demo) fn name_of(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|possible| possible.get_name().to_owned()).unwrap_or_default()
}
