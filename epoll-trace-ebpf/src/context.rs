//! In what context a CPU is, from the kernel's count of what it is in the middle of.

use crate::WakeContext;

/// What runs on this CPU, from the low half of its `preempt_count()` (include/linux/preempt.h): bit 8 is set while a softirq is
/// served (not where softirqs are merely off), 4 bits from `shift` on (16, or 24) count interrupts, those above them NMIs, but for
/// bit 31.
///
/// A kprobe by breakpoint runs its program as in an NMI, which counts as an interrupt besides; epoll is never called from one.
#[inline(always)]
pub const fn context_of(preempt_count: u32, shift: u64) -> WakeContext {
    const SERVING_SOFTIRQ: u64 = 1 << 8;
    let count = preempt_count as u64 & 0x7fff_ffff;
    let interrupts = count >> shift & 0xf;
    let by_breakpoint = count >> shift >> 4 & 0xf != 0;
    if interrupts > by_breakpoint as u64 {
        WakeContext::Interrupt
    } else if count & SERVING_SOFTIRQ != 0 {
        WakeContext::Softirq
    } else {
        WakeContext::Process
    }
}

#[cfg(test)]
mod tests {
    use super::context_of;
    use crate::WakeContext::{Interrupt, Process, Softirq};

    #[test]
    fn contexts_by_the_bits_of_the_kernel() {
        let wanted = [
            (0, Process),
            // Locks held, and softirqs switched off: still the thread's own doing.
            (0x0000_0003, Process),
            (0x0000_0201, Process),
            (0x8000_0001, Process),
            (0x0000_0101, Softirq),
            (0x0000_0302, Softirq),
            (0x0001_0002, Interrupt),
            // An interrupt that came within a softirq.
            (0x0001_0101, Interrupt),
            // A kprobe by breakpoint in each of them.
            (0x0011_0001, Process),
            (0x0011_0101, Softirq),
            (0x0012_0001, Interrupt),
        ];
        for (count, context) in wanted {
            assert_eq!(context_of(count, 16), context, "{count:#x}");
        }
    }

    #[test]
    fn interrupts_switched_off_are_no_interrupts() {
        let wanted = [
            (0x0002_0001, Process),
            (0x0001_0101, Softirq),
            (0x8101_0002, Interrupt),
            (0x1100_0001, Process),
            (0x1200_0001, Interrupt),
        ];
        for (count, context) in wanted {
            assert_eq!(context_of(count, 24), context, "{count:#x}");
        }
    }
}
