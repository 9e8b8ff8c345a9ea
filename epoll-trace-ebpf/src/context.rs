//! In what context a CPU is, from the kernel's count of what it is in the middle of.

use crate::WakeContext;

/// What runs on this CPU, from the value of its `preempt_count()` (include/linux/preempt.h): bit 8 is set while a softirq is
/// served (not where softirqs are merely off), bits 16 to 19 count interrupts, those above them NMIs.
///
/// A kprobe by breakpoint runs its program as in an NMI, which counts as an interrupt besides; epoll is never called from one.
#[inline(always)]
pub const fn context_of(preempt_count: u32) -> WakeContext {
    const SERVING_SOFTIRQ: u32 = 1 << 8;
    const INTERRUPT: u32 = 1 << 16;
    const INTERRUPTS: u32 = 0xf << 16;
    const NMIS: u32 = 0xf << 20;
    let by_breakpoint = preempt_count & NMIS != 0;
    let interrupts = preempt_count & INTERRUPTS;
    if interrupts > if by_breakpoint { INTERRUPT } else { 0 } {
        WakeContext::Interrupt
    } else if preempt_count & SERVING_SOFTIRQ != 0 {
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
            assert_eq!(context_of(count), context, "{count:#x}");
        }
    }
}
