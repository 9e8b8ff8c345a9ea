//! Every workload for real, with few operations, held against its own counts.

use std::io::Cursor;
use std::time::Duration;

use clap::Parser;
use nix::errno::Errno;
use serde_json::Value;

use super::catalog::{Load, WORKLOADS, Wakeups, Workload};
use super::stage::Cast;
use super::threads::Crew;
use super::turns::Tally;
use super::{CostArgs, WARM_UP, check, perform, run};

const ROUNDS: u32 = 3;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: CostArgs,
}

fn parsed(options: &str) -> Result<CostArgs, clap::Error> {
    let words = std::iter::once("cost").chain(options.split_whitespace());
    Line::try_parse_from(words).map(|line| line.args)
}

fn written(options: &str, input: &str) -> String {
    let mut out = Vec::new();
    run(&parsed(options).unwrap(), &mut Cursor::new(input), &mut out)
        .unwrap_or_else(|error| panic!("{options}: {error:#}"));
    String::from_utf8(out).unwrap()
}

fn lines(options: &str, input: &str) -> Vec<Value> {
    let out = written(options, input);
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Runs three rounds of 101 operations; the turns made in all and what the threads did.
fn tallies(workload: &'static Workload) -> (u64, Vec<Tally>) {
    let mut ops = Vec::new();
    let mut each = |round: &super::Round| {
        ops.push(round.ops);
        assert!(round.wall_ns > 0 && round.cpu_ns > 0, "{round:?}");
        Ok(())
    };
    let tallies = perform(workload, Some(101), ROUNDS, &mut || Ok(true), &mut each)
        .unwrap_or_else(|error| panic!("{}: {error:#}", workload.name));
    let per_turn = workload.ops_per_turn();
    let turns = 101_u64.div_ceil(per_turn);
    assert_eq!(ops, [turns * per_turn; ROUNDS as usize], "{}", workload.name);
    ((turns + WARM_UP / per_turn) * u64::from(ROUNDS), tallies)
}

#[test]
fn every_workload_does_what_it_says() {
    for workload in WORKLOADS {
        let (turns, tallies) = tallies(workload);
        let (leader, others) = tallies.split_first().unwrap();
        let one = Tally {
            delivered: turns,
            taken: turns,
        };
        let sum = others
            .iter()
            .fold(Tally::default(), |sum, &other| sum.plus(other));
        let name = workload.name;
        match workload.load {
            // One event per wait and turn, in each thread.
            Load::PingPong => assert_eq!(tallies, [one, one], "{name}"),
            Load::Ready => assert_eq!(tallies, [one], "{name}"),
            Load::Waiters(_) => {
                assert_eq!((others.len(), *leader), (4, Tally::default()), "{name}");
                assert_eq!(sum.taken, turns, "{name}: {tallies:?}");
                assert!(sum.delivered >= turns, "{name}: {tallies:?}");
            }
            Load::Futex => {
                assert_eq!((leader.delivered, sum.delivered), (turns, turns), "{name}");
                assert_eq!((leader.taken, sum.taken, others.len()), (0, 0, 1), "{name}");
            }
            Load::Getppid => assert_eq!(tallies, [Tally::default()], "{name}"),
        }
    }
}

#[test]
fn events_go_round_the_waiters() {
    let multi = Workload::by_name("multi").unwrap();
    let (turns, tallies) = tallies(multi);
    for waiter in &tallies[1..] {
        // Warm-ups and rounds begin with the first eventfd, so it gets the odd ones.
        assert!(waiter.taken.abs_diff(turns / 4) <= 3, "{tallies:?}");
        assert_eq!(waiter.delivered, waiter.taken, "{tallies:?}");
    }
}

#[test]
fn json_is_an_object_per_round() {
    let rounds = lines("pp --json --ops 300 --rounds 3", "");
    assert_eq!(rounds.len(), 3);
    let mut unsure = false;
    for (round, number) in rounds.iter().zip(1_u64..) {
        assert_eq!((&round["v"], &round["kind"]), (&1.into(), &"cost".into()));
        assert_eq!(
            (&round["workload"], &round["pid"]),
            (&"pp".into(), &std::process::id().into())
        );
        assert_eq!((&round["round"], &round["ops"]), (&number.into(), &300.into()));
        assert!(round["wall_ns"].is_u64() && round["cpu_ns"].is_u64());
        // Other work on this CPU may keep a thread from sleeping; then it is null, and stays so.
        unsure |= round.get("wakeups").unwrap().is_null();
        let known = Value::from(500 * number);
        assert_eq!(round["wakeups"], if unsure { Value::Null } else { known });
    }
}

#[test]
fn wakeups_are_left_out_where_they_depend_on_the_scheduler() {
    for workload in WORKLOADS
        .iter()
        .filter(|workload| workload.load != Load::PingPong)
    {
        let options = format!("{} --json --ops 4 --rounds 1", workload.name);
        let expected = (workload.wakeups == Wakeups::Never).then(|| Value::from(0));
        assert_eq!(
            lines(&options, "")[0].get("wakeups"),
            expected.as_ref(),
            "{options}"
        );
    }
}

#[test]
fn a_quiet_machine_sleeps_at_every_turn() {
    let pp = Workload::by_name("pp").unwrap();
    // A run of 4 ms may be disturbed; all of some hundred are not.
    let known = (0..500).any(|_| {
        let mut last = None;
        let mut each = |round: &super::Round| {
            last = round.wakeups;
            Ok(())
        };
        perform(pp, Some(200), 1, &mut || Ok(true), &mut each).unwrap();
        last == Some(Some(400))
    });
    assert!(known, "no run in which each wait slept once");
}

#[test]
fn rounds_wait_for_lines() {
    let options = "getppid --json --ops 10 --on-line --rounds";
    assert_eq!(lines(&format!("{options} 5"), "\nnext\n").len(), 2);
    assert_eq!(lines(&format!("{options} 2"), "\n\n\n\n").len(), 2);
    assert_eq!(lines(&format!("{options} 2"), ""), Vec::<Value>::new());
}

#[test]
fn text_is_a_line_per_round() {
    let text = written("null --ops 50 --rounds 2", "");
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        assert!(line.starts_with("null  50 ops  "), "{line}");
        assert!(
            line.contains(" ns/op wall  ") && line.ends_with(" ns/op CPU"),
            "{line}"
        );
    }
}

#[test]
fn a_run_that_hangs_is_given_up() {
    let lead = Box::new(|_: u64, _: &super::turns::Progress| {
        std::thread::sleep(Duration::from_secs(2));
        Ok(Tally::default())
    });
    let cast = Cast {
        lead,
        followers: Vec::new(),
    };
    let mut crew = Crew::new(cast, Duration::from_millis(100)).unwrap();
    let failed = crew.round(1, 1).unwrap_err().to_string();
    assert!(failed.starts_with("no progress for 0.1 s"), "{failed}");
}

#[test]
fn a_failure_of_any_thread_is_told() {
    let lead = Box::new(|_: u64, _: &super::turns::Progress| Err(Errno::EBADF));
    let mut crew = Crew::new(
        Cast {
            lead,
            followers: Vec::new(),
        },
        Duration::from_secs(5),
    )
    .unwrap();
    let failed = format!("{:#}", crew.round(1, 1).unwrap_err());
    assert!(
        failed.contains("leading thread") && failed.contains("EBADF"),
        "{failed}"
    );
    let late = |at_once: bool| Cast {
        lead: Box::new(|_, _| Ok(Tally::default())),
        followers: vec![Box::new(move |_| {
            if !at_once {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(Errno::EMFILE)
        })],
    };
    let cast = late(true);
    let failed = format!("{:#}", Crew::new(cast, Duration::from_secs(5)).err().unwrap());
    assert!(failed.contains("EMFILE"), "{failed}");
    let mut crew = Crew::new(late(false), Duration::from_secs(5)).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let failed = format!("{:#}", crew.round(1, 1).unwrap_err());
    assert!(failed.contains("EMFILE"), "{failed}");
}

#[test]
fn counts_that_do_not_add_up_are_refused() {
    let tally = |delivered, taken| Tally { delivered, taken };
    let waiters = Workload::by_name("herd").unwrap().load;
    assert!(check(Load::PingPong, 5, &[tally(5, 5), tally(5, 5)]).is_ok());
    assert!(check(Load::PingPong, 5, &[tally(5, 5), tally(4, 5)]).is_err());
    assert!(check(waiters, 5, &[tally(0, 0), tally(7, 4), tally(1, 1)]).is_ok());
    assert!(check(waiters, 5, &[tally(0, 0), tally(7, 4)]).is_err());
    assert!(check(Load::Ready, 5, &[tally(6, 5)]).is_err());
    assert!(check(Load::Futex, 5, &[tally(5, 0), tally(4, 0)]).is_err());
}

#[test]
fn the_list_shows_every_workload() {
    let rows = lines("--list --json", "");
    assert_eq!(rows.len(), WORKLOADS.len());
    for (row, workload) in rows.iter().zip(WORKLOADS) {
        assert_eq!((&row["v"], &row["kind"]), (&1.into(), &"cost_info".into()));
        assert_eq!(
            (&row["name"], &row["ops"]),
            (&workload.name.into(), &workload.ops.into())
        );
    }
    let text = written("--list", "");
    assert_eq!(text.lines().count(), 1 + WORKLOADS.len());
    assert!(text.lines().all(|line| line.len() <= 115), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for wrong in [
        "",
        "nosuch",
        "pp --ops 0",
        "pp --ops 10000001",
        "pp --rounds 0",
        "pp pp",
    ] {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
}
