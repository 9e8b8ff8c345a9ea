//! The overflow list beside bpftrace, which knows nothing of ours and counts the same run.

use super::trace::{FENTRY, Load, Trace, sum, traced};
use super::{Need, Outputs, Problem, Test};
use crate::kernels::Capability;

/// Its timers meet hundreds of scans.
const LOAD: Load = Load {
    scenario: "overflow",
    events: 8_000,
    waiters: None,
};
const CPUS: u32 = 4;
/// Guest seconds.
const SECONDS: u64 = 120;
/// Both may be this far apart, percent.
const APART: u64 = 1;
/// What bpftrace counts, under the names of our numbers: `eppoll_entry.base` stands before its `wait`, and the next item on an
/// overflow list at 40 in `struct epitem`, under two names (-1: on no list). A scan has a list if a notification hit it.
const COUNTED: &str = r#"
kfunc:ep_poll_callback {
    $item = *(uint64*)((uint64)args->wait - 8);
    $epoll = ((struct epitem *)$item)->ep;
    if ((int64)$epoll->ovflist != -1) {
        @ovf_notifications = count();
        @hit[(uint64)$epoll] = 1;
        if (*(int64*)($item + 40) == -1) { @ovf_items = count(); }
    }
}
kretfunc:ep_done_scan {
    $epoll = (uint64)args->ep;
    if (@hit[$epoll]) { @ovf_scans = count(); @hit[$epoll] = 0; }
}
interval:ms:500 { printf("ready"); print(@ovf_notifications); print(@ovf_items); print(@ovf_scans); }
"#;
/// bpftrace first, so that it sees all that we see. It says its counts again and again: that of 0.17 sometimes does not end by
/// SIGINT, and then never says them.
const SCRIPT: &str = r#"
bpftrace -f json -B line -e "$0" >/tmp/counted &
tries=0
until grep -q ready /tmp/counted || [ $tries -ge 60 ]; do
    tries=$((tries + 1))
    sleep 0.5
done
"$@" || exit 1
sleep 2
kill -KILL $!
grep '^{.*}$' /tmp/counted
"#;

/// On an old and on a new kernel: what they differ in is how a scan begins, and how an item goes on the list. On 5.10 `ep_done_scan` is
/// inlined.
pub(super) fn tests() -> Vec<Test> {
    let kernels = [
        ("6.1", vec![Need::Since(6, 1), Need::Before(6, 12)]),
        ("7.3", vec![Need::Since(7, 3)]),
    ];
    kernels
        .map(|(name, needs)| {
            let test = Test::new(format!("beside bpftrace: the overflow list, {name}"), check)
                .needs(FENTRY.need())
                .needs(Need::Can(Capability::ProbeRead))
                .cpus(CPUS)
                .with("bpftrace")
                .run(words(), SECONDS);
            needs.into_iter().fold(test, Test::needs)
        })
        .into()
}

fn words() -> Vec<String> {
    let shell = ["sh", "-c", SCRIPT, COUNTED].map(str::to_owned);
    let ours = traced(&[LOAD], FENTRY, &["-E", "--metric", "wakeup,overflow_length"]);
    shell.into_iter().chain(ours).collect()
}

/// Both count the same, and the histogram holds what is counted.
fn check(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let lines = outputs.json_lines(0)?;
    let theirs = |name: &str| -> Result<u64, Problem> {
        let map = format!("@{name}");
        let mut counts = lines.iter().filter_map(|line| line["data"][&map].as_u64());
        let count = counts.next_back().filter(|count| *count > 0);
        count.ok_or_else(|| format!("bpftrace says nothing of {name}: {lines:?}").into())
    };
    let names = ["ovf_notifications", "ovf_scans", "ovf_items"];
    let theirs = [theirs(names[0])?, theirs(names[1])?, theirs(names[2])?];
    let trace = Trace::new(lines.clone(), outputs.guest())?;
    let runs = trace.runs(&[LOAD])?;
    let mut apart = Vec::new();
    for (name, theirs) in names.into_iter().zip(theirs) {
        let ours = sum(&runs[0].lines("epoll"), name)?.ok_or_else(|| format!("{name} is unknown"))?;
        println!("VM {}: {name} {ours}, by bpftrace {theirs}", outputs.guest().name);
        if ours.abs_diff(theirs) * 100 > theirs * APART {
            apart.push(format!("{name} {ours} instead of {theirs}"));
        }
    }
    if apart.is_empty() {
        return Ok(());
    }
    Err(format!("{}; {} misses", apart.join(", "), trace.misses).into())
}
