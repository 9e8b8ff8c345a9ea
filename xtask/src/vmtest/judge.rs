//! From what a test declares and what its check says to a cell of the matrix. Pure.

use super::{Need, Problem, Test};
use crate::kernels::Guest;

/// One test on one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Ok,
    /// Passed only when it was run again; what was wrong the first time.
    Again(String),
    /// Not run, for this reason.
    Skip(String),
    /// What is wrong.
    Fail(String),
    /// A failure of the VM, not of the test: it ended before.
    NotReached,
}

/// The first need that `guest` does not meet.
pub(super) fn unmet(needs: &[Need], guest: &Guest) -> Option<String> {
    needs.iter().find_map(|need| need.unmet(guest))
}

/// The cell of a test that ran, so all of its needs are met.
pub(super) fn verdict(checked: Result<(), Problem>) -> Cell {
    match checked {
        Ok(()) => Cell::Ok,
        Err(Problem::Failed(why)) => Cell::Fail(why),
        Err(Problem::Unsupported(why)) => Cell::Fail(format!(
            "says this kernel cannot ({why}), but its declared needs are all met here"
        )),
    }
}

/// The cell of a test that failed and was run again: a second failure adds what it says.
pub(super) fn together(first: Cell, second: Cell) -> Cell {
    match (first, second) {
        (Cell::Fail(why), Cell::Ok) => Cell::Again(why),
        (Cell::NotReached, Cell::Ok) => Cell::Again("its VM ended before it".to_owned()),
        (Cell::Fail(first), Cell::Fail(second)) => {
            Cell::Fail(format!("{}\nagain: {second}", first.trim_end()))
        }
        (first @ Cell::Fail(_), _) => first,
        (_, second) => second,
    }
}

/// Tests that would run on none of `guests`: their needs are wrong, or the list of kernels is.
pub(super) fn never_run<'a>(tests: &'a [Test], guests: &[Guest]) -> Vec<&'a str> {
    tests
        .iter()
        .filter(|test| guests.iter().all(|guest| unmet(&test.needs, guest).is_some()))
        .map(|test| test.name.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Cell, Need, Problem, Test, never_run, together, verdict};
    use crate::kernels::GUESTS;
    use crate::vmtest::Length;

    #[test]
    fn a_skip_against_the_declared_need_fails() {
        assert_eq!(verdict(Ok(())), Cell::Ok);
        assert!(matches!(
            verdict(Err(Problem::Unsupported("no kprobes".into()))),
            Cell::Fail(_)
        ));
    }

    #[test]
    fn a_second_run_hides_nothing() {
        let fail = |why: &str| Cell::Fail(why.to_owned());
        assert_eq!(
            together(fail("9 of 10"), Cell::Ok),
            Cell::Again("9 of 10".to_owned())
        );
        assert_eq!(together(fail("a"), fail("b")), fail("a\nagain: b"));
        assert_eq!(together(fail("a"), Cell::NotReached), fail("a"));
        assert_eq!(together(Cell::NotReached, Cell::NotReached), Cell::NotReached);
        assert!(matches!(together(Cell::NotReached, Cell::Ok), Cell::Again(_)));
    }

    #[test]
    fn a_need_that_no_kernel_meets_is_found() {
        let test = |name: &str, need| Test::new(name, |_| Ok(())).needs(need);
        let tests = [test("old", Need::Before(4, 0)), test("fine", Need::Since(6, 18))];
        assert_eq!(never_run(&tests, &GUESTS), ["old"]);
    }

    #[test]
    fn every_real_test_runs_somewhere() {
        for length in [Length::Short, Length::Long] {
            assert_eq!(
                never_run(&crate::vmtest::all(length), &GUESTS),
                Vec::<&str>::new()
            );
        }
    }
}
