//! Loads whose events come while waiters run. Who sleeps and what a scan misses depends on the race, so the overflow list is held
//! to what must be true of every run; all that the loads know is held to their own counts.

use super::trace::{FAMILIES, FENTRY, Family, KPROBE, Load, Run, Trace, sum, traced};
use super::{Need, Outputs, Problem, Test};
use crate::kernels::{Capability, Guest};

/// Every load of this kind.
pub(super) const LOADS: [Load; 5] = [
    Load {
        scenario: OVERFLOW,
        events: EXPIRATIONS,
        waiters: None,
    },
    load("lock-contention", 4),
    load("mutex-contention", 2),
    LOCK_PATHS,
    Load {
        scenario: "reuseport-slow",
        events: CONNECTIONS,
        waiters: Some(4),
    },
];
/// The one with every way to wait for a lock but that of a notification. Its readers of fdinfo take their time.
pub(super) const LOCK_PATHS: Load = Load {
    scenario: "lock-paths",
    events: 1_000,
    waiters: Some(2),
};
/// The one that must meet scans.
const OVERFLOW: &str = "overflow";
/// Timers of that.
const EXPIRATIONS: u64 = 1000;
/// A quarter of them take 100 ms each.
const CONNECTIONS: u64 = 24;
/// Enough for a race to happen.
const EVENTS: u64 = 5_000;
/// Writers and waiters run at once.
const CPUS: u32 = 4;
/// The items that a scan ended with, by scan.
const LENGTH: &str = "overflow_length";
/// Guest seconds.
const SECONDS: u64 = 200;

const fn load(scenario: &'static str, waiters: u32) -> Load {
    Load {
        scenario,
        events: EVENTS,
        waiters: Some(waiters),
    }
}

/// Every family.
pub(super) fn tests() -> Vec<Test> {
    FAMILIES.map(test).into()
}

fn test(family: Family) -> Test {
    let check = move |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        let overflow = sees_overflow(family, outputs.guest());
        for run in trace.runs(&LOADS)? {
            let (short, lost) = interrupting(&run, &trace)?;
            let except: Vec<&str> = short.iter().chain(&["events"]).copied().collect();
            run.hold("epoll", &except)?;
            delivered(&run, trace.misses)?;
            match (overflow, trace.absent("ovf_scans")?) {
                (true, None) => overflowed(&run, lost, trace.misses)?,
                (false, Some(_)) => {}
                (_, why) => return Err(format!("the overflow list is absent here: {why:?}").into()),
            }
        }
        Ok(())
    };
    let options = ["-E", "--metric", "wakeup,overflow_length"];
    Test::new(
        format!("races: counts, and the overflow list, {}", family.name),
        check,
    )
    .needs(family.need())
    .cpus(CPUS)
    .run(traced(&LOADS, family, &options), SECONDS)
}

/// Where the end of a scan is seen and the list can be walked. Before 6.1 kprobes do not see that end.
fn sees_overflow(family: Family, guest: &Guest) -> bool {
    let met = |need: Need| need.unmet(guest).is_none();
    met(Need::Can(Capability::ProbeRead))
        && (family == FENTRY || (family == KPROBE && met(Need::Since(6, 1))))
}

/// Every event is counted, but for those of waits that a miss lost: each may bring all that the epoll watches. Many misses hit
/// what is no wait, so they do not excuse more than half.
fn delivered(run: &Run<'_>, misses: u64) -> Result<(), Problem> {
    let expected = run.expected()?;
    let (Some(&events), Some(&items)) = (expected.get("events"), expected.get("ctl_add")) else {
        return Err(format!("the load does not know its events or items: {}", run.report).into());
    };
    let least = events.saturating_sub(misses * items).max(events / 2);
    match sum(&run.lines("epoll"), "events")? {
        Some(counted) if (least..=events).contains(&counted) => Ok(()),
        counted => Err(format!("events {counted:?} instead of {events}: {}", run.report).into()),
    }
}

/// Counts of notifications, and how many may be short, where these come by interrupt: one within another kprobe program on its
/// CPU is lost, as the plan says, and is not among the losses that the tool can count. All others are exact.
fn interrupting(run: &Run<'_>, trace: &Trace) -> Result<(&'static [&'static str], u64), Problem> {
    const SHORT: &[&str] = &["notifications", "notifications_queued"];
    if run.report["name"] != OVERFLOW || !trace.loses("notification") {
        return Ok((&[], 0));
    }
    let lines = run.lines("epoll");
    for name in SHORT {
        let counted = sum(&lines, name)?.ok_or_else(|| format!("{name} is unknown"))?;
        if !(EXPIRATIONS / 2..=EXPIRATIONS).contains(&counted) {
            return Err(format!("{name} {counted} of {EXPIRATIONS}: {}", run.report).into());
        }
    }
    let counted = sum(&lines, SHORT[0])?.unwrap_or(0);
    Ok((SHORT, EXPIRATIONS - counted))
}

/// Every scan with a list met a notification, every item on it came by one, and the histogram has each such scan and all
/// its items; a missed begin of a wait costs the histogram a scan. `lost` notifications are in none of these.
fn overflowed(run: &Run<'_>, lost: u64, misses: u64) -> Result<(), Problem> {
    let lines = run.lines("epoll");
    let number =
        |name| sum(&lines, name)?.ok_or_else(|| Problem::from(format!("{name} is unknown: {}", run.report)));
    let in_scan = number("ovf_notifications")?;
    let (scans, items, more) = (number("ovf_scans")?, number("ovf_items")?, number("ovf_more")?);
    let length = run.metric(LENGTH);
    let (values, sum) = (sum(&length, "count")?, sum(&length, "sum")?);
    let told = format!(
        "{}: {in_scan} notifications hit scans ({lost} lost), {scans} scans ended with {items} items, {more} with more; \
         {values:?} values of {sum:?}",
        run.report["name"]
    );
    println!("{told}");
    let ordered = in_scan >= items && items >= scans && (scans > 0 || run.report["name"] != OVERFLOW);
    let same = values == Some(scans) && sum == Some(items);
    let short = values <= Some(scans) && sum <= Some(items) && values.is_some();
    if ordered && more <= scans && (same || (misses > 0 && short)) {
        return Ok(());
    }
    Err(told.into())
}
