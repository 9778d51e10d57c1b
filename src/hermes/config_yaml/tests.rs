//! Layouts that people have, before and after.

use super::{disable, enable, is_enabled, revert};

const NAME: &str = "gateway-reaper";

/// Enables it, says what came of it, and proves that the way back leads to the same bytes.
fn enabled(before: &str) -> String {
    let edited = enable(before, NAME).unwrap_or_else(|why| panic!("{before:?}: {why}"));
    assert_eq!(is_enabled(&edited.text, NAME), Ok(true), "{:?}", edited.text);
    assert_eq!(revert(&edited.text, &edited.edits).as_deref(), Some(before));
    assert!(enable(&edited.text, NAME).unwrap().edits.is_empty(), "a second time changes nothing");
    edited.text
}

fn disabled(before: &str) -> String {
    let edited = disable(before, NAME).unwrap_or_else(|why| panic!("{before:?}: {why}"));
    assert_eq!(is_enabled(&edited.text, NAME), Ok(false), "{:?}", edited.text);
    edited.text
}

fn refused(text: &str) -> String {
    enable(text, NAME).unwrap_err().to_string()
}

#[test]
fn a_file_without_plugins_gets_them_at_its_end() {
    let block = "plugins:\n  enabled:\n    - gateway-reaper\n";
    assert_eq!(enabled(""), block);
    assert_eq!(enabled("# mine\n"), format!("# mine\n{block}"));
    assert_eq!(enabled("---\n"), format!("---\n{block}"));
    assert_eq!(enabled("model: x # why\n\n# end\n"), format!("model: x # why\n\n# end\n{block}"));
    assert_eq!(enabled("\u{feff}a: 1\n"), format!("\u{feff}a: 1\n{block}"));
    assert_eq!(
        enabled("  a: 1\n  b: 2\n"),
        "  a: 1\n  b: 2\n  plugins:\n    enabled:\n      - gateway-reaper\n"
    );
}

#[test]
fn a_missing_final_newline_stays_missing() {
    assert_eq!(enabled("a: 1"), "a: 1\nplugins:\n  enabled:\n    - gateway-reaper");
    assert_eq!(enabled("plugins:\n  enabled:\n  - web"), "plugins:\n  enabled:\n  - web\n  - gateway-reaper");
}

#[test]
fn windows_line_ends_stay_and_are_used() {
    assert_eq!(enabled("a: 1\r\n"), "a: 1\r\nplugins:\r\n  enabled:\r\n    - gateway-reaper\r\n");
    assert_eq!(
        enabled("plugins:\r\n  enabled: # these\r\n  - web # a\r\nb: 1\r\n"),
        "plugins:\r\n  enabled: # these\r\n  - web # a\r\n  - gateway-reaper\r\nb: 1\r\n"
    );
}

#[test]
fn a_block_scalar_at_the_end_keeps_its_last_line() {
    assert_eq!(enabled("a: |+\n  text\n\n"), "a: |+\n  text\n\nplugins:\n  enabled:\n    - gateway-reaper\n");
    // At the end it would give the text a line break that it doesn't have.
    assert_eq!(enabled("a: |+\n  text"), "plugins:\n  enabled:\n    - gateway-reaper\na: |+\n  text");
    assert_eq!(enabled("a: 1\n...\n"), "plugins:\n  enabled:\n    - gateway-reaper\na: 1\n...\n");
}

#[test]
fn plugins_without_enabled_get_it_first() {
    assert_eq!(
        enabled("plugins:\n    # mine\n    disabled: [web]\nx: 1\n"),
        "plugins:\n    # mine\n    enabled:\n      - gateway-reaper\n    disabled: [web]\nx: 1\n"
    );
    assert_eq!(enabled("plugins: {}\n"), "plugins: {enabled: [gateway-reaper]}\n");
    assert_eq!(
        enabled("plugins: { disabled: [a] }\n"),
        "plugins: {enabled: [gateway-reaper],  disabled: [a] }\n"
    );
    assert_eq!(
        enabled("plugins: # none yet\nx: 1\n"),
        "plugins: # none yet\n  enabled:\n    - gateway-reaper\nx: 1\n"
    );
    assert_eq!(enabled("plugins: ~\n"), "plugins: {enabled: [gateway-reaper]}\n");
    assert_eq!(enabled("plugins:"), "plugins:\n  enabled:\n    - gateway-reaper");
}

#[test]
fn a_list_keeps_its_style() {
    assert_eq!(enabled("plugins:\n  enabled: []\n"), "plugins:\n  enabled: [gateway-reaper]\n");
    assert_eq!(
        enabled("plugins:\n  enabled: [a, 'b'] # c\n"),
        "plugins:\n  enabled: [a, 'b', gateway-reaper] # c\n"
    );
    assert_eq!(
        enabled("plugins:\n  enabled: [ a,\n    b,\n  ]\n"),
        "plugins:\n  enabled: [ a,\n    b, gateway-reaper,\n  ]\n"
    );
    assert_eq!(
        enabled("plugins: {enabled: [ä], disabled: []}\n"),
        "plugins: {enabled: [ä, gateway-reaper], disabled: []}\n"
    );
    assert_eq!(
        enabled("plugins:\n  enabled:\n      # the web\n      - web   # yes\n\n      # not this: x\nb: 1\n"),
        "plugins:\n  enabled:\n      # the web\n      - web   # yes\n      - gateway-reaper\n\n      # not this: x\nb: 1\n"
    );
    assert_eq!(
        enabled("plugins:\n  enabled:\n  disabled:\n  - x\n"),
        "plugins:\n  enabled:\n    - gateway-reaper\n  disabled:\n  - x\n"
    );
    assert_eq!(enabled("plugins:\n  enabled: null # c\n"), "plugins:\n  enabled: [gateway-reaper] # c\n");
    assert_eq!(
        enabled("\"plugins\":\n  'enabled':\n  - a\n"),
        "\"plugins\":\n  'enabled':\n  - a\n  - gateway-reaper\n"
    );
}

#[test]
fn a_name_that_is_there_already_changes_nothing() {
    for text in
        ["plugins:\n  enabled: ['gateway-reaper']\n", "plugins:\n  enabled:\n  - \"gateway-reaper\"\n"]
    {
        assert_eq!(enabled(text), text);
    }
}

#[test]
fn a_disabled_plugin_is_taken_off_that_list() {
    assert_eq!(
        enabled("plugins:\n  enabled: []\n  disabled: [a, gateway-reaper, b]\n"),
        "plugins:\n  enabled: [gateway-reaper]\n  disabled: [a, b]\n"
    );
    assert_eq!(
        enabled("plugins:\n  disabled:\n  - gateway-reaper\n  enabled:\n  - a\n"),
        "plugins:\n  disabled: []\n  enabled:\n  - a\n  - gateway-reaper\n"
    );
}

#[test]
fn a_removal_takes_the_one_line_or_the_one_word() {
    assert_eq!(disabled("plugins:\n  enabled: [gateway-reaper]\n"), "plugins:\n  enabled: []\n");
    assert_eq!(disabled("plugins:\n  enabled: [gateway-reaper, a]\n"), "plugins:\n  enabled: [a]\n");
    assert_eq!(
        disabled("plugins:\n  enabled:\n  - a\n  - gateway-reaper\n  # x\n  - b\n"),
        "plugins:\n  enabled:\n  - a\n  # x\n  - b\n"
    );
    assert_eq!(disabled("plugins:\n  enabled:\n  - a\n  - gateway-reaper"), "plugins:\n  enabled:\n  - a");
    assert_eq!(
        disabled("plugins:\r\n  enabled:\r\n  - gateway-reaper\r\nz: 1\r\n"),
        "plugins:\r\n  enabled: []\r\nz: 1\r\n"
    );
    assert_eq!(disabled("a: 1\n"), "a: 1\n");
}

#[test]
fn what_is_not_certain_is_left_to_the_person() {
    for (text, why) in [
        ("plugins: &p\n  enabled: [a]\nq: *p\n", "line 1 has an anchor, an alias or a tag"),
        ("plugins:\n  enabled: &l [a]\n", "line 2 has an anchor, an alias or a tag"),
        ("p: &p {}\nplugins: *p\n", "line 2 has an anchor, an alias or a tag"),
        ("base: &b {x: 1}\nplugins:\n  <<: *b\n", "line 3 merges another mapping into this one"),
        ("plugins: {}\nplugins: {}\n", "line 2 says the same key a second time"),
        ("plugins:\n  enabled: all\n", "line 2 has something other than a list of plugins"),
        ("plugins: [a]\n", "line 1 has plugins that are no mapping"),
        ("- a\n", "line 1 is no mapping of settings"),
        ("a: 1\n---\nb: 1\n", "it holds more than one YAML document"),
        ("a: [1\nb: 2\n", "line 2 is not YAML"),
        ("a: 1\rb: 2\r", "line 1 has a character that not every reader of YAML takes for the same"),
        ("{a: 1}\n", "no edit was found that is certain to change the list of plugins and nothing else"),
    ] {
        assert_eq!(refused(text), why, "{text:?}");
    }
    assert!(enable(&"[".repeat(5000), NAME).is_err());
}

#[test]
fn a_way_back_over_other_changes_is_no_way_back() {
    let edited = enable("plugins:\n  enabled:\n  - a\n", NAME).unwrap();
    let later = format!("# new\n{}", edited.text);
    assert_eq!(revert(&later, &edited.edits), None);
    let behind = format!("{}z: 1\n", edited.text);
    assert_eq!(revert(&behind, &edited.edits).unwrap(), "plugins:\n  enabled:\n  - a\nz: 1\n");
}
