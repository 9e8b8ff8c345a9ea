//! Short runs of both loads, held against what their counts must be.

use clap::Parser;

use super::{CtlArgs, CtlReport, WaitArgs, WaitReport, ctl, places, wait};

#[derive(Debug, Parser)]
struct WaitLine {
    #[command(flatten)]
    args: WaitArgs,
}

#[derive(Debug, Parser)]
struct CtlLine {
    #[command(flatten)]
    args: CtlArgs,
}

fn words(options: &str) -> impl Iterator<Item = &str> {
    std::iter::once("bench").chain(options.split_whitespace())
}

fn waited(options: &str) -> WaitReport {
    let line = WaitLine::try_parse_from(words(options)).unwrap();
    let report = wait(&line.args, &mut Vec::new()).unwrap_or_else(|error| panic!("{options}: {error:#}"));
    let totals = report.totals;
    assert_eq!(
        totals.waits,
        totals.deliveries + totals.zero_timeouts + totals.interrupted,
        "{options}: {report:#?}"
    );
    // A read follows each delivery; it may be given up at the end, or be tried more than once before.
    assert!(totals.reads <= totals.deliveries, "{options}: {report:#?}");
    assert!(totals.reads <= report.writes, "{options}: {report:#?}");
    report
}

fn controlled(options: &str) -> CtlReport {
    let line = CtlLine::try_parse_from(words(options)).unwrap();
    ctl(&line.args, &mut Vec::new()).unwrap_or_else(|error| panic!("{options}: {error:#}"))
}

#[test]
fn each_thread_does_as_many_operations_as_asked() {
    for mode in [
        "",
        "-m",
        "-S",
        "-E",
        "-m -S",
        "-m -E",
        "-B",
        "-m -B -R",
        "-m --exclusive",
        "-N 4",
        "-m -N 2",
        "-n",
    ] {
        let report = waited(&format!("-t 3 --ops 500 -f 16 {mode}"));
        let each: Vec<u64> = report
            .per_thread
            .iter()
            .map(|thread| thread.counts.deliveries)
            .collect();
        assert_eq!(each, [500; 3], "{mode}");
        assert_eq!(
            report.notifications,
            Some(report.writes + report.totals.reads),
            "{mode}"
        );
    }
}

#[test]
fn modes_show_in_the_counts() {
    let multi = waited("-t 2 --ops 300 -f 8 -m -S -N 2");
    assert_eq!((multi.epolls, multi.totals.ctl_add), (6, 2 * 8 + 2 * 2));
    assert_eq!(multi.totals.ctl_mod, 600);
    // Nobody else gets what is in a queue of one's own.
    assert_eq!((multi.totals.eagain, multi.totals.reads), (0, 600));
    let edge = waited("-t 2 --ops 300 -f 8 -m -E");
    assert_eq!((edge.totals.ctl_eexist, edge.totals.ctl_mod), (600, 0));
    let none = waited("-t 1 --ops 300 -f 1 -m -B");
    assert_eq!(none.totals.deliveries, 300);
    assert_eq!(none.ops_per_s.relative_stddev, None);
    // Time ends with the last operation, not with the look at it.
    let short = (0..5).map(|_| waited("-t 1 --ops 1 -f 64 -m").elapsed_ns).min();
    assert!(short < Some(10_000_000), "{short:?}");
}

#[test]
fn a_herd_has_every_epoll_watch_every_descriptor() {
    let herd = waited("-t 3 --ops 200 -f 4 -m --all-fds");
    assert_eq!(herd.totals.ctl_add, 3 * 3 * 4);
    assert_eq!(herd.notifications, Some(3 * (herd.writes + herd.totals.reads)));
    assert_eq!(
        waited("-t 3 --ops 200 -f 4 -m --all-fds --exclusive").notifications,
        None
    );
}

#[test]
fn a_run_by_time_ends_and_says_its_rate() {
    let report = waited("-t 2 -r 1 -f 8 -m");
    assert!(report.elapsed_ns >= 1_000_000_000 && report.elapsed_ns < 5_000_000_000);
    let rate = report.per_thread[0].counts.deliveries as f64 / (report.elapsed_ns as f64 / 1e9);
    assert!((report.per_thread[0].ops_per_s - rate).abs() < 1.0);
    let mut text = Vec::new();
    report.write_text(true, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("[thread  1] fds: ") && text.contains("\nAveraged "),
        "{text}"
    );
    assert!(
        text.contains(", total secs = 1\n") && text.contains("multi queue"),
        "{text}"
    );
}

#[test]
fn ctl_counts_add_up() {
    let lineal = controlled("-t 2 --ops 300 -f 10 -N 3");
    let totals = lineal.totals;
    assert_eq!(
        (totals.ctl_mod, totals.ctl_del, totals.ctl_add),
        (200, 200, 200 + 3)
    );
    assert_eq!((totals.ctl_eexist, totals.ctl_enoent, lineal.set_up), (0, 0, 3));
    assert_eq!(lineal.average_ops.add.average, 100.0);
    assert_eq!(lineal.average_ops.add.relative_stddev, Some(0.0));
    let random = controlled("-t 2 --ops 3000 -f 10 -R");
    let totals = random.totals;
    assert_eq!(random.set_up, 10);
    assert_eq!(totals.calls(), 6000 + 10);
    assert_eq!(totals.ctl_enoent, totals.ctl_mod_enoent + totals.ctl_del_enoent);
    assert!(totals.ctl_eexist > 0 && totals.ctl_mod_enoent > 0 && totals.ctl_del_enoent > 0);
    // Never more descriptors watched than there are.
    assert!(totals.ctl_add - totals.ctl_del <= 20);
}

#[test]
fn json_is_one_object_with_parameters_and_totals() {
    let json = serde_json::to_value(waited("-t 2 --ops 10 -f 2 -m")).unwrap();
    assert_eq!(
        (json["v"].as_u64(), json["kind"].as_str()),
        (Some(1), Some("bench_wait"))
    );
    assert_eq!(
        (&json["ops"], &json["threads"], &json["multiq"]),
        (&10.into(), &2.into(), &true.into())
    );
    assert!(json["runtime_s"].is_null() && json["ops_per_s"]["relative_stddev"].is_number());
    assert_eq!(json["totals"]["deliveries"], 20);
    assert_eq!(json["per_thread"][1]["deliveries"], 10);
    let json = serde_json::to_value(controlled("-t 1 --ops 9 -f 3")).unwrap();
    assert_eq!(
        (json["v"].as_u64(), json["kind"].as_str()),
        (Some(1), Some("bench_ctl"))
    );
    assert_eq!(json["average_ops"]["mod"]["average"], 3.0);
    assert!(json["average_ops"]["mod"]["relative_stddev"].is_null());
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    for wrong in [
        "-S --exclusive",
        "--all-fds",
        "--ops 5 -r 3",
        "-t 0",
        "-N 5",
        "-f 0",
        "--ops 0",
    ] {
        assert!(WaitLine::try_parse_from(words(wrong)).is_err(), "{wrong}");
    }
    assert!(CtlLine::try_parse_from(words("-m")).is_err());
}

#[test]
fn threads_go_round_the_cpus() {
    assert_eq!(places(&[0, 2], 3, false), [Some(0), Some(2), Some(0)]);
    assert_eq!(places(&[0, 2], 2, true), [None, None]);
    assert_eq!(places(&[], 1, false), [None]);
}
