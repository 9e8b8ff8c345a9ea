//! What queries find, what they say when they are wrong, and that nothing typed breaks them.

use proptest::prelude::*;

use super::*;
use crate::fields::FIELDS;
use crate::model::entry::EpollRef;
use crate::model::snapshot::{Counter, EXCLUSIVE};
use crate::model::snapshot::{EpollId, Metric};

fn parse(text: &str) -> Result<Query, QueryError> {
    Query::parse(text, FIELDS.iter().map(Asked::from))
}

/// nginx, epoll 185:8, 1000 waits a second, p99 of 2047 ns, 3 of 4 wakeups for nothing.
fn entry() -> Entry {
    let mut entry = Entry {
        name: "Nginx: worker".to_owned(),
        span_ns: 1_000_000_000,
        flags: Some(EXCLUSIVE),
        ..Entry::default()
    };
    entry.key.pid = 185;
    entry.key.epoll = Some(EpollRef {
        id: Some(EpollId {
            address: 1,
            born_ns: 0,
        }),
        epfd: Some(8),
    });
    for (counter, count) in [
        (Counter::Waits, 1000),
        (Counter::WakeupsSource, 4),
        (Counter::EmptyWakeups, 3),
    ] {
        entry.counters[counter as usize] = Some(count);
    }
    let shape = std::sync::Arc::from([0, 1024, 2048]);
    let values = crate::model::histogram::Histogram::new(shape, vec![(1, 9)], 0);
    entry.metrics[Metric::Wakeup as usize] = Some(values);
    entry
}

#[test]
fn what_is_found() {
    let entry = entry();
    for text in [
        "",
        "   ",
        "nginx",
        "NGINX worker",
        "18",
        "185:8",
        "comm:GINX",
        "pid:185",
        "comm=\"nginx: worker\"",
        "\"nginx: w\"",
        "!redis",
        "p99>1us",
        "P99 >= 2047ns p99<=0.002047ms",
        "p99 < 1s",
        "p99>1µs",
        "waits/s>=1k",
        "WAITS_PER_S:1000",
        "waits=1K waits<1M waits!=7",
        "empty>50%",
        "EMPTY%==75%",
        "empty>0",
        "flags:exclusive",
        "flags:EXCL flags:ex",
        "!flags:et",
        "!p99>1ms",
        "epoll:185:8",
    ] {
        assert!(parse(text).unwrap().matches(&entry), "{text}");
    }
    for text in [
        "nginx redis",
        "!nginx",
        "pid:18",
        "pid!=185",
        "comm=nginx",
        "p99>1ms",
        "!p99>1us",
        "waits>1k",
        "empty<75%",
        "flags:oneshot",
        "flags=LT",
        "185:9",
    ] {
        assert!(!parse(text).unwrap().matches(&entry), "{text}");
    }
}

#[test]
fn what_cannot_be_known_matches_nothing() {
    let entry = Entry {
        counters: [None; Counter::COUNT],
        ..Entry::default()
    };
    for text in [
        "p99>1ms",
        "!p99>1ms",
        "p99<1ms",
        "p99!=0",
        "waits/s:0",
        "!flags:et",
        "empty<1%",
    ] {
        assert!(!parse(text).unwrap().matches(&entry), "{text}");
    }
    assert!(parse("!nginx pid:0").unwrap().matches(&entry));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let told: String = [
        "p90>1ms",
        "nginx qqq:7",
        "comm:nginx p99>1",
        "p99>1xs",
        "p99>1%",
        "p99>",
        "comm:",
        "p99 > ",
        "empty>0.5",
        "waits/s>fast",
        "waits>1ms",
        "waits>1.2.3",
        "comm>nginx",
        "flags!=et",
        ">1ms",
        ":x",
        "!",
        "! nginx",
        "comm:\"tokio",
        "\"",
        "localhost:80",
        "x\u{1b}[31m:a\u{7}",
        "zażółć gęślą:jaźń",
    ]
    .map(|text| {
        let error = parse(text).unwrap_err();
        let mark = " ".repeat(error.at) + &"^".repeat(error.length.max(1));
        format!(
            "{}\n{mark} {error}\n",
            text.escape_default().to_string().replace("\\\"", "\"")
        )
    })
    .concat();
    insta::assert_snapshot!("mistakes", told);
}

#[test]
fn a_column_of_any_kind_takes_the_unit_of_its_values() {
    let any = Asked {
        id: "p99",
        title: "P99",
        kind: Kind::Any,
    };
    let found = |text: &str| Query::parse(text, [any]).unwrap().matches(&entry());
    assert!(found("p99>1us") && found("p99>0") && !found("p99>1ms"));
    assert!(
        !found("p99>1") && !found("p99>1%"),
        "a time is no number and no share"
    );
    let error = Query::parse("p99>x", [any]).unwrap_err();
    assert_eq!(error.to_string(), "\"x\" is no number, as in 10, 1k, 1ms or 50%");
}

#[test]
fn every_example_is_right_and_every_field_can_be_asked_for() {
    let manual = include_str!("../../../../../docs/top.md");
    for (query, shows) in EXAMPLES {
        assert!(!parse(query).unwrap().is_empty(), "{query}");
        let row = format!("| `{query}` | {shows} |\n");
        assert!(manual.contains(&row), "docs/top.md lacks {row}");
    }
    for field in FIELDS {
        let (id, title) = (field.id, field.title);
        let value = match Asked::from(field).kind {
            Kind::Words => ":word",
            Kind::Time => ">1.5ms",
            Kind::Share => ">1.5%",
            Kind::Number | Kind::Any => ">1.5k",
        };
        let by_id = parse(&format!("{id}{value}")).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(parse(&format!("{title}{value}")).unwrap(), by_id, "{title}");
    }
}

#[test]
fn the_kind_of_every_value_is_that_of_its_unit() {
    let entry = entry();
    for field in FIELDS {
        let fits = match (Kind::of_unit(field.unit), field.value(&entry)) {
            (_, Value::Absent) => true,
            (kind, Value::Text(_) | Value::Ranked(..)) => kind == Kind::Words,
            (kind, Value::Nanos(_)) => kind == Kind::Time,
            (kind, Value::Share(_) | Value::FineShare(_)) => kind == Kind::Share,
            (kind, Value::Count(_)) => matches!(kind, Kind::Number | Kind::Time),
            (kind, Value::Rate(_) | Value::Ratio(_)) => kind == Kind::Number,
        };
        assert!(fits, "{}: {}", field.id, field.unit);
    }
}

/// Queries that come near to a right one more often than plain noise does.
fn typed() -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        "p99", "comm", "flags", "waits/s", "empty", ">", ">=", "<", "=", "!=", "!", ":", "1", "ms", "%", "k",
        " ", "\"", ".", "ex", "界", "\u{301}", "\u{1b}",
    ];
    let near = prop::collection::vec(prop::sample::select(PARTS), 0..12).prop_map(|parts| parts.concat());
    prop_oneof![near, ".*"]
}

proptest! {
    #[test]
    fn nothing_typed_breaks_it(text in typed()) {
        match parse(&text) {
            Ok(query) => _ = query.matches(&entry()),
            Err(error) => {
                let all = text.chars().count();
                prop_assert!(error.at + error.length <= all, "{error:?}");
                let told = error.to_string();
                prop_assert!(!told.is_empty() && !told.chars().any(char::is_control), "{told:?}");
            }
        }
    }
}
