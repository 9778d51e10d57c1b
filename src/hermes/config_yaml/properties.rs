//! Any layout that a person may write: the edit changes the list and nothing else, and the way back leads to the same bytes.

use proptest::prelude::*;

use super::tree::{self, Content, Node};
use super::{disable, enable, is_enabled, revert};

const NAME: &str = "gateway-reaper";

fn comment() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => Just(" # why: [not] {this}"), 1 => Just("   #x")]
}

fn between() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => Just("\n"), 1 => Just("# - a comment\n"), 1 => Just("  \n      # deep: 1\n")]
}

fn plugin() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("web"),
        Just("'quoted'"),
        Just("\"gateway-reaper-2\""),
        Just("ä/ö"),
        Just("a b"),
        Just("true")
    ]
}

/// A list of plugins as the value of a key, line break included.
fn list() -> impl Strategy<Value = String> {
    let block = (1_usize..5, prop::collection::vec((plugin(), comment(), between()), 1..4), comment())
        .prop_map(|(indent, items, comment)| {
            let indent = " ".repeat(indent + 1);
            let items: String = items
                .iter()
                .map(|(item, comment, between)| format!("{indent}- {item}{comment}\n{between}"))
                .collect();
            format!("{comment}\n{items}")
        });
    let flow = (prop::collection::vec(plugin(), 0..4), any::<[bool; 3]>(), comment()).prop_map(
        |(items, [padded, broken, trailing], comment)| {
            let comma = if broken { ",\n      " } else { ", " };
            let trailing = if trailing && !items.is_empty() { "," } else { "" };
            let pad = if padded { " " } else { "" };
            format!(" [{pad}{}{trailing}{pad}]{comment}\n", items.join(comma))
        },
    );
    let null = (prop_oneof![Just(""), Just(" ~"), Just(" null")], comment())
        .prop_map(|(null, comment)| format!("{null}{comment}\n"));
    prop_oneof![3 => block, 3 => flow, 1 => null]
}

fn plugins() -> impl Strategy<Value = String> {
    let key = |name: &'static str| prop_oneof![3 => Just(name.to_owned()), 1 => Just(format!("'{name}'"))];
    let lists =
        (prop::option::of(list()), prop::option::of(list()), key("enabled"), any::<bool>(), between())
            .prop_map(|(enabled, disabled, key, swap, between)| {
                let enabled = enabled.map(|list| format!("  {key}:{list}{between}")).unwrap_or_default();
                let disabled = disabled.map(|list| format!("  disabled:{list}")).unwrap_or_default();
                if swap { disabled + &enabled } else { enabled + &disabled }
            });
    (key("plugins"), comment(), between(), lists)
        .prop_map(|(key, comment, between, lists)| format!("{key}:{comment}\n{between}{lists}"))
}

fn other() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("model:\n  provider: custom # mine\n  default: x\n"),
        Just("text: |\n  plugins:\n    enabled: [no]\n"),
        Just("folded: >-\n  a\n  b\n\n"),
        Just("list:\n- plugins\n- {enabled: []}\n"),
        Just("anchors:\n  a: &a [1]\n  b: *a\n"),
        Just("\"a key\": 'it''s'\n"),
        Just("# plugins:\n#   enabled: [a]\n"),
        Just("ünïcode: \"\\u00e4\"\n"),
    ]
}

prop_compose! {
    fn layout()(
        before in prop::collection::vec(other(), 0..3),
        plugins in prop::option::of(plugins()),
        after in prop::collection::vec(other(), 0..3),
        [windows, marked, cut] in any::<[bool; 3]>(),
    ) -> String {
        let marker = if marked { "---\n" } else { "" };
        let mut text = format!("{marker}{}{}{}", before.concat(), plugins.unwrap_or_default(), after.concat());
        if cut {
            text.truncate(text.trim_end_matches('\n').len());
        }
        if windows { text.replace('\n', "\r\n") } else { text }
    }
}

/// Everything but the two lists.
fn rest(text: &str) -> Vec<(Node, Node)> {
    let Some(Node { content: Content::Mapping(mut entries), .. }) = tree::read(text).unwrap() else {
        return Vec::new();
    };
    entries.retain(|(key, _)| key.text() != Some("plugins"));
    entries
}

/// A YAML list's own lines may be said twice by the random layouts; such a text is refused, as it should be.
fn is_sound(text: &str) -> bool {
    is_enabled(text, NAME).is_ok()
}

proptest! {
    #[test]
    fn install_and_uninstall_are_the_identity(text in layout()) {
        prop_assume!(is_sound(&text));
        let edited = enable(&text, NAME).unwrap();
        prop_assert_eq!(revert(&edited.text, &edited.edits), Some(text));
    }

    #[test]
    fn an_edit_changes_the_list_and_nothing_else(text in layout()) {
        prop_assume!(is_sound(&text));
        let edited = enable(&text, NAME).unwrap();
        prop_assert_eq!(is_enabled(&edited.text, NAME), Ok(true));
        prop_assert_eq!(rest(&edited.text), rest(&text));
        let lines: Vec<&str> = edited.text.lines().collect();
        let comments = text.matches('#').count();
        prop_assert_eq!(edited.text.matches('#').count(), comments);
        prop_assert!(lines.len() <= text.lines().count() + 3);
    }

    #[test]
    fn what_was_enabled_can_be_disabled_without_a_memory_of_it(text in layout()) {
        prop_assume!(is_sound(&text));
        let edited = enable(&text, NAME).unwrap();
        let back = disable(&edited.text, NAME).unwrap();
        prop_assert_eq!(is_enabled(&back.text, NAME), Ok(false));
        prop_assert_eq!(rest(&back.text), rest(&text));
    }

    #[test]
    fn no_text_at_all_makes_it_panic(text in "[-\\[\\]{}:,#&*!|>'\"%@` \\t\\r\\na-c~ä]{0,60}") {
        let _ = enable(&text, NAME);
        let _ = enable(&format!("plugins:\n  enabled:{text}"), NAME);
        let _ = disable(&format!("plugins: {text}\n  enabled: [gateway-reaper]\n"), NAME);
    }
}
