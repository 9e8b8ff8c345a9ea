//! What a file may say, what is said of its mistakes, and that what is dumped or saved reads back.

use proptest::prelude::*;

use super::*;

fn known() -> Known {
    let action = |name: &str, keys: &[&str], help| KnownAction {
        name: name.to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        help,
    };
    Known {
        screens: vec![
            ("processes".to_owned(), vec!["pid", "comm", "p99"]),
            ("epolls".to_owned(), vec!["epoll", "items"]),
        ],
        actions: vec![
            action("quit", &["q", "Ctrl-c"], "quit (also Ctrl-c)"),
            action("freeze", &["Space", "\"", "#", "\\"], "keep what is shown"),
        ],
        is_key: |name| name.chars().count() == 1 || ["Space", "Ctrl-c"].contains(&name),
        key_names: "a character or Space",
    }
}

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(text, "config.toml", &known())
}

const FULL: &str = r##"# mine
interval = 2       # slow
theme = "color-blind"
ascii = true
sort = "comm"
mouse = false

[columns]
processes = ["p99", "pid"] # what I look at

[keys]
quit = ["x"]
freeze = []
"##;

#[test]
fn everything_can_be_chosen_and_nothing_must_be() {
    let config = read(FULL).unwrap();
    assert_eq!(config.interval(), Duration::from_secs(2));
    assert_eq!(config.theme, Some(Theme::ColorBlind));
    assert_eq!(
        (config.ascii, config.sort(), config.mouse()),
        (Some(true), "comm", false)
    );
    assert_eq!(config.columns["processes"], ["p99", "pid"]);
    assert_eq!(
        (&config.keys["quit"][..], &config.keys["freeze"][..]),
        (&["x".to_owned()][..], &[][..])
    );
    let none = read("").unwrap();
    assert_eq!(none, Config::default());
    assert_eq!(
        (none.interval().as_secs(), none.sort(), none.mouse()),
        (1, "p99", true)
    );
    assert_eq!(
        read("interval = 0.1").unwrap().interval(),
        Duration::from_millis(100)
    );
}

#[test]
fn a_flag_goes_before_the_file() {
    let flags = Config {
        theme: Some(Theme::Monochrome),
        ..Config::default()
    };
    let both = flags.or(read(FULL).unwrap());
    assert_eq!((both.theme, both.sort()), (Some(Theme::Monochrome), "comm"));
    let quit = [("quit".to_owned(), vec!["z".to_owned()])];
    let own = Config {
        keys: quit.into(),
        ..Config::default()
    };
    let both = own.or(read(FULL).unwrap());
    assert_eq!(
        (both.keys["quit"][0].as_str(), both.keys["freeze"].len()),
        ("z", 0)
    );
}

#[test]
fn mistakes_are_told_with_file_and_line() {
    let told: String = [
        "intervall = 1",
        "# first\n\ninterval = 0",
        "interval = \"1\"",
        "interval = nan",
        "theme = \"dark\"",
        "theme = 1",
        "ascii = 1",
        "mouse = \"on\"",
        "sort = \"max\"",
        "columns = 1",
        "[columns]\nlocks = []",
        "[columns]\nprocesses = []",
        "[columns]\nprocesses = [\"pid\",\n \"rss\"]",
        "[columns]\nepolls = [\"items\", \"items\"]",
        "[columns]\nepolls = [1]",
        "[keys]\nexplode = [\"x\"]",
        "[keys]\nquit = \"x\"",
        "[keys]\nquit = [\"F99\"]",
        "[keys]\nquit = [\"x\"]\nfreeze = [\"x\"]",
        "interval = ",
        "[columns",
        "interval = 1\ninterval = 2",
    ]
    .map(|text| format!("{text:?}\n  {}\n", read(text).unwrap_err()))
    .concat();
    insta::assert_snapshot!("mistakes", told);
}

#[test]
fn what_is_dumped_reads_back() {
    let known = known();
    let dumped = dump(&Config::default(), &known, "No file: /etc/x is not there.");
    insta::assert_snapshot!("dumped", dumped);
    let again = read(&dumped).unwrap();
    assert_eq!(dump(&again, &known, "No file: /etc/x is not there."), dumped);
    assert_eq!(again.keys["freeze"], known.actions[1].keys);
    let chosen = read(FULL).unwrap();
    let again = read(&dump(&chosen, &known, "")).unwrap();
    assert_eq!(again.clone().or(Config::default()), again);
    assert_eq!(
        (&again.theme, &again.columns["processes"], &again.keys),
        (&chosen.theme, &chosen.columns["processes"], &chosen.keys)
    );
}

#[test]
fn every_choice_is_in_the_manual() {
    let manual = include_str!("../../../docs/top.md");
    let unknown = read("unknown = 1").unwrap_err().to_string();
    let (_, names) = unknown.split_once("one of ").unwrap();
    for name in names
        .split(", ")
        .chain(Theme::ALL.iter().map(|theme| theme.name()))
    {
        assert!(manual.contains(&format!("`{name}`")), "docs/top.md lacks {name}");
    }
}

#[test]
fn saving_columns_keeps_everything_else() {
    let saved = with_columns(FULL, "config.toml", "processes", &["comm", "p99"]).unwrap();
    assert_eq!(saved, FULL.replace(r#"["p99", "pid"]"#, r#"["comm", "p99"]"#));
    let more = with_columns(&saved, "config.toml", "epolls", &["items"]).unwrap();
    assert!(
        more.contains("# what I look at") && more.contains("interval = 2       # slow"),
        "{more}"
    );
    assert_eq!(read(&more).unwrap().columns["epolls"], ["items"]);
    let new = with_columns("", "config.toml", "epolls", &["items"]).unwrap();
    assert_eq!(new, "[columns]\nepolls = [\"items\"]\n");
    let inline = with_columns("columns = { epolls = [] }\n", "config.toml", "epolls", &["items"]).unwrap();
    assert_eq!(read(&inline).unwrap().columns["epolls"], ["items"]);
    let refused = with_columns("columns = 1", "config.toml", "epolls", &["items"]).unwrap_err();
    assert!(refused.to_string().contains("nothing was saved"), "{refused}");
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in prop_oneof![".*", "(interval|theme|sort|columns|keys)(\\.[a-z]{1,5})? = [\\[\\]\"a-z0-9,{}= ]{0,20}"]) {
        if let Err(error) = read(&text) {
            prop_assert!(error.line >= 1 && error.line <= text.lines().count().max(1) + 1, "{error}");
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
        _ = with_columns(&text, "", "epolls", &["items"]);
    }
}
