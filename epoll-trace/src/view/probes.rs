//! `epoll-trace probes` as text: a table of signals, then what is lost, why, and what was passed over. 80 columns.

use super::sanitize::sanitize;
use super::wrap::wrapped;
use crate::model::probes::{Epolls, Outcome, SignalStatus, Status};

const NOTE_INDENT: &str = "    ";

/// The whole page, with a final line break.
pub fn render(status: &Status) -> String {
    let mut page = header(status);
    page.push_str(&row(["SIGNAL", "VERDICT", "HOOK", "INSTR/HIT"]));
    for signal in &status.signals {
        let price = signal
            .instructions_per_hit
            .map_or_else(|| "-".to_owned(), |price| price.to_string());
        let hook = signal.hook.as_deref().unwrap_or("-");
        page.push_str(&row([&signal.signal, signal.verdict.name(), hook, &price]));
        for note in notes(signal, status.family.is_some()) {
            page.push_str(&wrapped(&note, NOTE_INDENT, NOTE_INDENT));
        }
    }
    if let Some(error) = &status.error {
        page.push('\n');
        page.push_str(&wrapped(error, "", ""));
    }
    page
}

fn header(status: &Status) -> String {
    let family = status.family.as_deref().unwrap_or("none");
    let mut text = wrapped(&format!("kernel {}, probes: {family}", status.kernel), "", "");
    if status.family.is_some() {
        let epolls = match &status.epolls {
            Epolls::ByAddress => "epolls are told apart by kernel address".to_owned(),
            Epolls::ByDescriptor(why) => format!("epolls are told apart by PID:epfd only: {why}"),
        };
        text.push_str(&wrapped(&epolls, "", ""));
    }
    text.push('\n');
    text
}

fn row([signal, verdict, hook, price]: [&str; 4]) -> String {
    let line = format!("{signal:<12}  {verdict:<8}  {hook:<44} {price:>11}");
    sanitize(&line, false) + "\n"
}

fn notes(signal: &SignalStatus, possible: bool) -> Vec<String> {
    let mut notes = Vec::new();
    match (&signal.why, signal.verdict) {
        // Without any family one sentence below the table says it all.
        (Some(why), Outcome::Absent) if possible => notes.push(format!("why: {why}")),
        (Some(error), Outcome::Broken) => notes.push(format!("error: {error}")),
        _ => {}
    }
    notes.extend(signal.lost.iter().map(|lost| format!("lost: {lost}")));
    notes.extend(signal.paid_on.iter().map(|hits| format!("paid on: {hits}")));
    notes.extend(
        signal
            .passed_over
            .iter()
            .map(|passed| format!("not {}: {}", passed.hook, passed.why)),
    );
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::wrap::COLUMNS;
    use std::collections::BTreeMap;

    use crate::kernel::{Facts, canned};
    use crate::probe::numbers::{self, Number};
    use crate::probe::plan::{FamilyChoice, plan};
    use crate::probe::status::attached;

    fn page(facts: &Facts, failed: &BTreeMap<String, String>) -> String {
        let plan = plan(facts, &numbers::wanted(Number::all()), FamilyChoice::Auto);
        render(&attached(facts, &plan, failed))
    }

    #[test]
    fn pages() {
        let failed = BTreeMap::from([("scan_fentry".to_owned(), "the kernel said\x1b[31m no".to_owned())]);
        let none = BTreeMap::new();
        insta::assert_snapshot!("chosen", page(&canned::kernel("debian-6.1"), &none));
        insta::assert_snapshot!("broken", page(&canned::kernel("debian-6.1"), &failed));
        insta::assert_snapshot!("fallback", page(&canned::kernel("hardened-6.18"), &none));
        insta::assert_snapshot!("descriptor", page(&canned::confidential(), &none));
        insta::assert_snapshot!("impossible", page(&canned::no_root(), &none));
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        let mut all: Vec<_> = canned::KERNELS.iter().map(|name| canned::kernel(name)).collect();
        all.extend([canned::confidential(), canned::no_btf(), canned::no_root()]);
        for facts in all {
            let page = page(&facts, &BTreeMap::new());
            let widest = page.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(COLUMNS), "{page}");
        }
    }
}
