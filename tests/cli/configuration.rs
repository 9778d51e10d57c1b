//! Which configuration is read, and what is said of a bad one. Nothing runs then, and nothing is left behind.

use crate::gateway::Gateway;
use crate::place::{Place, Ran};
use crate::told::Names;

/// The configurations differ by the names of their gateways.
fn gateways(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    report["gateways"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gateway| gateway["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_first_configuration_in_the_order_of_the_interface_is_the_only_one_read() {
    let gateway = Gateway::start();
    let place = Place::new();
    place.write("option.toml", gateway.section("option"));
    place.write("variable.toml", gateway.section("variable"));
    place.write("reaper.toml", gateway.section("here"));
    place.write("xdg/gateway-reaper/reaper.toml", gateway.section("xdg"));
    place.write("home/.config/gateway-reaper/reaper.toml", gateway.section("home"));
    let status = || {
        place
            .reaper(["status", "--json"])
            .env("GATEWAY_REAPER_CONFIG", "variable.toml")
            .env("XDG_CONFIG_HOME", place.path("xdg"))
    };
    let mut with_option = status();
    with_option.command.args(["--config", "option.toml"]);
    assert_eq!(gateways(&with_option.run()), ["option"]);
    assert_eq!(gateways(&status().run()), ["variable"]);
    assert_eq!(gateways(&status().env("GATEWAY_REAPER_CONFIG", "").run()), ["here"]);
    std::fs::remove_file(place.path("reaper.toml")).unwrap();
    assert_eq!(gateways(&status().without("GATEWAY_REAPER_CONFIG").run()), ["xdg"]);
    assert_eq!(
        gateways(&status().without("GATEWAY_REAPER_CONFIG").without("XDG_CONFIG_HOME").run()),
        ["home"]
    );
}

#[test]
fn no_configuration_at_all_says_where_it_was_looked_for() {
    let place = Place::new();
    let ran = place.once([]);
    insta::assert_snapshot!(Names::of(&place).all(&ran));
    assert!(!place.path("state").exists());
    let homeless = place.reaper(["once"]).without("HOME").without("STATE_DIRECTORY").run();
    assert_eq!(homeless.code, Some(2));
    assert!(!homeless.err.contains("home"), "{}", homeless.err);
}

#[test]
fn every_mistake_in_a_configuration_is_said_with_its_file_line_and_remedy() {
    let mut said = String::new();
    let gateway = "[[gateway]]\nname = \"a\"\nkind = \"http\"\nurl = \"http://127.0.0.1:1/t\"\n";
    let cases = [
        ("nothing in it", String::new()),
        ("no gateway", "[policy]\ngrace = \"1s\"\n".into()),
        ("a typo", format!("[policy]\ngrase = \"1s\"\n{gateway}")),
        ("a typo in a section", format!("[polcy]\ngrace = \"1s\"\n{gateway}")),
        ("a duration without a unit", format!("[policy]\ngrace = 20\n{gateway}")),
        ("a negative duration", format!("[policy]\ngrace = \"-1s\"\n{gateway}")),
        ("two gateways of one name", format!("{gateway}{gateway}")),
        ("no url", "[[gateway]]\nname = \"a\"\nkind = \"http\"\n".into()),
        ("no name", "[[gateway]]\nkind = \"http\"\nurl = \"http://127.0.0.1:1/t\"\n".into()),
        ("an unknown kind", gateway.replace("http\"\nurl", "htp\"\nurl")),
        ("https", gateway.replace("http://", "https://")),
        ("a password in the url", gateway.replace("127.", "me:secret@127.")),
        ("two tokens", format!("{gateway}token_env = \"A\"\ntoken_file = \"b\"\n")),
        ("a token in the file", format!("{gateway}token = \"hunter2\"\n")),
        ("a bad pattern", format!("{gateway}[gateway.worker]\nmatch = '('\n")),
        ("a pattern that matches everything", format!("{gateway}[gateway.worker]\nmatch = ''\n")),
        (
            "a user that isn't there",
            format!("{gateway}[gateway.worker]\nmatch = 'x'\nuser = \"nobody-of-this-name\"\n"),
        ),
        ("an unset token variable", format!("{gateway}token_env = \"NO_SUCH_VARIABLE\"\n")),
        ("a missing token file", format!("{gateway}token_file = \"no-such-file\"\n")),
        ("no quota", format!("[policy]\nmax_reaps = 0\n{gateway}")),
        ("a small table", format!("{gateway}max_table_bytes = 1\n")),
        ("broken syntax", format!("{gateway}[gateway\n")),
        ("several at once", "[policy]\ngrace = 1\nmax_reaps = -1\n[[gateway]]\nname = \"\"\n".into()),
    ];
    for (what, text) in cases {
        let place = Place::with(&text);
        let ran = place.once([]);
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{what}: {ran:?}");
        assert!(!place.path("state").exists(), "{what}: nothing may run");
        for secret in ["hunter2", "me:secret"] {
            assert!(!ran.err.contains(secret), "{what}: {ran:?}");
        }
        said += &format!("# {what}\n{}\n", Names::of(&place).plain(&ran.err));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_configuration_that_is_no_text_or_no_file_is_said_so() {
    let place = Place::with("name = \"\u{fffd}\"");
    place.write("latin1.toml", b"[policy]\n# caf\xe9\n");
    std::fs::create_dir(place.path("dir.toml")).unwrap();
    std::os::unix::fs::symlink("nowhere", place.path("dangling.toml")).unwrap();
    place.write("large.toml", vec![b'#'; 2 << 20]);
    let mut said = String::new();
    for name in ["latin1.toml", "dir.toml", "dangling.toml", "large.toml", "/dev/null"] {
        let ran = place.once(["--config", name]);
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{name}: {ran:?}");
        said += &Names::of(&place).plain(&ran.err);
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_relative_path_starts_at_the_folder_of_the_file() {
    let gateway = Gateway::start();
    gateway.ask_for("from-the-file");
    let place = Place::new();
    place.write(
        "etc/reaper.toml",
        format!("[state]\ndir = \"memory\"\n{}token_file = \"token\"\n", gateway.section("a")),
    );
    place.write("etc/token", "from-the-file\n");
    let ran = place.once(["--config", "etc/reaper.toml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(place.path("etc/memory/ledger.json").exists());
}
