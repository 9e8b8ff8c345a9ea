//! One test per rule: it is raised just beyond each of its thresholds, and not before.
//! They lie as the rules do: a file of rules has a file of tests.

mod calls;
mod herd;
mod locked;
mod time;

use super::super::super::snapshot::{EXCLUSIVE, ONESHOT};
use super::*;

use Counter as C;
use EpollCounter as E;
use Severity::{Crit, Info, Warn};
pub(super) use herd::chain;

const MS: u64 = 1_000_000;
const US: u64 = 1_000;

/// `case` has exactly this finding, with evidence that is named by its kind.
pub(super) fn raised(case: &Case, id: &str, severity: Severity) {
    assert_eq!(case.found(), [(id, severity)], "{case:?}");
    let finding = &case.examine().findings[0];
    for Evidence { name, amount } in finding.evidence {
        let named = match amount {
            Amount::Share(share) => name.ends_with("_share") && (0.0..=1.0).contains(&share),
            Amount::Rate(_) => name.ends_with("_per_s"),
            Amount::Nanos(_) => name.ends_with("_ns"),
            Amount::Count(_) | Amount::Ratio(_) | Amount::Unknown => true,
        };
        assert!(named, "{id}: {name} is {amount:?}");
    }
    assert_eq!(
        unexplained(&finding.sentence),
        Vec::<String>::new(),
        "{}",
        finding.sentence
    );
    assert!(finding.sentence.ends_with('.'), "{}", finding.sentence);
}

pub(super) fn calm(case: &Case, id: &str) {
    assert_eq!(case.found(), [], "{case:?}");
    assert!(
        matches!(case.outcome(id), Outcome::Clear(_)),
        "{:?}",
        case.outcome(id)
    );
}
