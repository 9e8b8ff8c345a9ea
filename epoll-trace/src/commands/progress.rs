//! A word to people about what takes more than a second.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Nobody wonders before.
const PATIENCE: Duration = Duration::from_secs(1);

/// Does `work`, and says `what` takes so long when it does, if stderr is a terminal.
pub fn told_while<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if !stderr().is_terminal() {
        return work();
    }
    told_to(&mut stderr(), PATIENCE, what, work)
}

fn told_to<T>(to: &mut (dyn Write + Send), patience: Duration, what: &str, work: impl FnOnce() -> T) -> T {
    let (done, wait) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if wait.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                // Without it the work goes on all the same.
                _ = writeln!(to, "{what}");
            }
        });
        let result = work();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_long_is_told() {
        let mut said = Vec::new();
        let short = told_to(&mut said, Duration::from_secs(60), "Wait.", || 7);
        assert_eq!((short, said.as_slice()), (7, &b""[..]));
        told_to(&mut said, Duration::from_millis(1), "Wait.", || {
            thread::sleep(Duration::from_millis(300));
        });
        assert_eq!(said, b"Wait.\n");
    }
}
