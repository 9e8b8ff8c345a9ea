//! What the kernel's console says about the health of the VM.

/// Ends the VM at once: nothing that runs afterwards can be trusted.
const FATAL: [&str; 4] = [
    "Kernel panic - not syncing",
    "rcu: INFO: rcu_",
    "self-detected stall on CPU",
    "Oops: ",
];
/// One of these happens on a busy machine under emulation; a second one does not go away.
const TOLERATED_ONCE: &str = "watchdog: BUG: soft lockup";
/// Lines kept for the report of a failure.
const KEPT: usize = 60;

/// Watches the console line by line.
#[derive(Default)]
pub(crate) struct Console {
    lines: std::collections::VecDeque<String>,
    lockups: u32,
}

impl Console {
    /// Takes the next line; an answer is the reason to end the VM.
    pub(crate) fn line(&mut self, line: &str) -> Option<String> {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        // The firmware and the kernel send terminal codes, which must not reach ours.
        let line: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        self.lockups += u32::from(line.contains(TOLERATED_ONCE));
        let fatal = FATAL.iter().any(|marker| line.contains(marker)) || self.lockups > 1;
        self.lines.push_back(line.clone());
        fatal.then_some(line)
    }

    /// The last lines, each on a line of its own.
    pub(crate) fn tail(&self) -> String {
        self.lines
            .iter()
            .fold(String::new(), |text, line| text + "    console: " + line + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::Console;

    #[test]
    fn fatal_lines() {
        let mut console = Console::default();
        assert_eq!(console.line("[    1.0] lo: link up"), None);
        assert!(
            console
                .line("[    2.0] Kernel panic - not syncing: Attempted to kill init!")
                .is_some()
        );
        assert!(
            console
                .line("[   30.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:")
                .is_some()
        );
    }

    #[test]
    fn second_soft_lockup_is_fatal() {
        let mut console = Console::default();
        let line = "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!";
        assert_eq!(console.line(line), None);
        assert!(console.line(line).is_some());
    }

    #[test]
    fn tail_is_short_and_harmless() {
        let mut console = Console::default();
        for n in 0..100 {
            console.line(&format!("\x1b[2Jline {n}"));
        }
        assert!(!console.tail().contains('\x1b'));
        assert!(!console.tail().contains("line 39\n") && console.tail().contains("line 40\n"));
    }
}
