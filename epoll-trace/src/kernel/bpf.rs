//! Test loads by bpf(2) and perf_event_open(2): a program that does nothing, attached for a moment.
//!
//! The BPF library's own feature test tries `bpf_fentry_test1` and no kprobe event; a plan needs our target and the reason.

pub(super) mod symbols;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

use super::caps::TestProgram;

// linux/bpf.h: commands, program types, attach types, helpers.
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_RAW_TRACEPOINT_OPEN: libc::c_long = 17;
const BPF_PROG_TYPE_KPROBE: u32 = 2;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_TRACE_RAW_TP: u32 = 23;
const BPF_TRACE_FENTRY: u32 = 24;
const BPF_FUNC_PROBE_READ_KERNEL: i32 = 113;
const BPF_FUNC_GET_CURRENT_TASK_BTF: i32 = 158;

/// The kernel's own error number for "not on this architecture"; libc has no name for it (linux/errno.h).
const ENOTSUPP: i32 = 524;
/// The verifier gives up with EAGAIN when a signal is pending.
const LOAD_TRIES: u32 = 5;
const LOG_BYTES: usize = 8192;

/// `struct bpf_insn` of a little-endian kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn instruction(code: u8, registers: u8, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers,
        offset: 0,
        immediate,
    }
}

const MOV_R0_0: Instruction = instruction(0xb7, 0x00, 0);
const EXIT: Instruction = instruction(0x95, 0x00, 0);
const NOTHING: &[Instruction] = &[MOV_R0_0, EXIT];
/// `bpf_probe_read_kernel(r10 - 8, 8, NULL)`: refused where the helper is, harmless where it is not.
const PROBE_READ: &[Instruction] = &[
    instruction(0xbf, 0xa1, 0),
    instruction(0x07, 0x01, -8),
    instruction(0xb7, 0x02, 8),
    instruction(0xb7, 0x03, 0),
    instruction(0x85, 0x00, BPF_FUNC_PROBE_READ_KERNEL),
    MOV_R0_0,
    EXIT,
];

/// `r0 = *(u64 *)(r0 + offset)`.
const fn follow(offset: i16) -> Instruction {
    Instruction {
        offset,
        ..instruction(0x79, 0x00, 0)
    }
}

/// `current`, then along `offsets` from one pointer to the next.
fn walk(offsets: &[i16]) -> Vec<Instruction> {
    let mut code = vec![instruction(0x85, 0x00, BPF_FUNC_GET_CURRENT_TASK_BTF)];
    code.extend(offsets.iter().map(|&offset| follow(offset)));
    code.extend([MOV_R0_0, EXIT]);
    code
}

/// `union bpf_attr` for BPF_PROG_LOAD, up to the last field that is needed.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
}

/// `union bpf_attr` for BPF_RAW_TRACEPOINT_OPEN.
#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    name: u64,
    prog_fd: u32,
    padding: u32,
}

/// `struct perf_event_attr` of PERF_ATTR_SIZE_VER1.
#[repr(C)]
#[derive(Default)]
struct PerfAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    /// For a kprobe: the function's name.
    config1: u64,
    /// For a kprobe: the offset into it.
    config2: u64,
}

/// `disabled`, the first flag bit of perf_event_attr.
const PERF_DISABLED: u64 = 1;
/// linux/perf_event.h
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;

const _: () = {
    assert!(size_of::<Instruction>() == 8);
    assert!(size_of::<LoadAttr>() == 112);
    assert!(size_of::<AttachAttr>() == 16);
    assert!(size_of::<PerfAttr>() == 72);
};

/// Loads and attaches `program`, then closes it, which removes it.
///
/// # Errors
/// One phrase: which step was refused, and why.
pub(super) fn try_program(program: TestProgram) -> Result<(), String> {
    match program {
        TestProgram::Fentry(id) => attach(
            &load("fentry", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, id, NOTHING)?,
            "fentry",
        ),
        TestProgram::TpBtf(id) => attach(
            &load("tp_btf", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, id, NOTHING)?,
            "tp_btf",
        ),
        TestProgram::ProbeRead(id) => load(
            "bpf_probe_read_kernel",
            BPF_PROG_TYPE_TRACING,
            BPF_TRACE_RAW_TP,
            id,
            PROBE_READ,
        )
        .map(drop),
        TestProgram::Typed(id, path) => load_walk("bpf_get_current_task_btf", id, &path),
        // The fourth load goes through a pointer to pointers.
        TestProgram::Untyped(id, [first, second, third]) => {
            load_walk("an untyped load", id, &[first, second, third, 0])
        }
        TestProgram::Kprobe(pmu, function) => {
            load("kprobe", BPF_PROG_TYPE_KPROBE, 0, 0, NOTHING)?;
            open_kprobe(pmu, function)
        }
    }
}

fn load_walk(what: &str, tracepoint: u32, offsets: &[i16]) -> Result<(), String> {
    load(
        what,
        BPF_PROG_TYPE_TRACING,
        BPF_TRACE_RAW_TP,
        tracepoint,
        &walk(offsets),
    )
    .map(drop)
}

fn load(
    what: &str,
    kind: u32,
    attach_type: u32,
    target: u32,
    code: &[Instruction],
) -> Result<OwnedFd, String> {
    load_with(what, kind, 0, attach_type, target, code)
}

fn load_with(
    what: &str,
    kind: u32,
    flags: u32,
    attach_type: u32,
    target: u32,
    code: &[Instruction],
) -> Result<OwnedFd, String> {
    let mut log = vec![0_u8; LOG_BYTES];
    let mut attr = LoadAttr {
        prog_type: kind,
        insn_cnt: code.len() as u32,
        insns: code.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 1,
        log_size: LOG_BYTES as u32,
        log_buf: log.as_mut_ptr() as u64,
        prog_flags: flags,
        expected_attach_type: attach_type,
        attach_btf_id: target,
        ..LoadAttr::default()
    };
    let mut tries = 0;
    loop {
        tries += 1;
        match bpf(BPF_PROG_LOAD, &mut attr) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && tries < LOAD_TRIES => {}
            Err(error) => return Err(refusal(&format!("loading {what}"), &error, last_line(&log))),
            Ok(program) => return Ok(program),
        }
    }
}

fn attach(program: &OwnedFd, what: &str) -> Result<(), String> {
    let mut attr = AttachAttr {
        prog_fd: program.as_raw_fd() as u32,
        ..AttachAttr::default()
    };
    let link = bpf(BPF_RAW_TRACEPOINT_OPEN, &mut attr);
    link.map(drop)
        .map_err(|error| refusal(&format!("attaching {what}"), &error, None))
}

fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<OwnedFd> {
    owned(call(command, attr))
}

fn call<T>(command: libc::c_long, attr: &mut T) -> libc::c_long {
    // SAFETY: `attr` is laid out as the kernel's union for this command and its size is given; the buffers
    // it points to live in the callers' frames until this returns.
    unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) }
}

/// Makes a disabled kprobe event. Lockdown, the blacklist and a missing symbol all refuse here, not at the program's load.
fn open_kprobe(pmu: u32, function: &str) -> Result<(), String> {
    let name = CString::new(function).map_err(|error| error.to_string())?;
    let attr = PerfAttr {
        kind: pmu,
        size: size_of::<PerfAttr>() as u32,
        flags: PERF_DISABLED,
        config1: name.as_ptr() as u64,
        ..PerfAttr::default()
    };
    let (any_process, cpu, no_group) = (-1, 0, -1);
    // SAFETY: `attr` is a perf_event_attr of the size it says; `name` outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(&attr),
            any_process,
            cpu,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    owned(result)
        .map(drop)
        .map_err(|error| refusal(&format!("a kprobe on {function}"), &error, None))
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a successful call of this kind returns a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(result as i32) })
}

fn refusal(step: &str, error: &io::Error, log: Option<String>) -> String {
    let number = error.raw_os_error().unwrap_or_default();
    let meaning = match number {
        libc::EPERM | libc::EACCES => "is not permitted",
        // The verifier has spoken, so the kind itself is known.
        libc::EINVAL if log.is_some() => "is refused",
        libc::EINVAL => "is not known to this kernel",
        libc::ENOENT => "finds no such target",
        libc::EOPNOTSUPP | ENOTSUPP => "is not supported here",
        _ => "fails",
    };
    let name = match number {
        ENOTSUPP => "ENOTSUPP".to_owned(),
        _ => format!("{:?}", Errno::from_raw(number)),
    };
    match log {
        Some(log) => format!("{step} {meaning} ({name}: {log})"),
        None => format!("{step} {meaning} ({name})"),
    }
}

/// The verifier's last word, without its statistics.
fn last_line(log: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(log.split(|&byte| byte == 0).next()?).into_owned();
    let line = text
        .lines()
        .rev()
        .find(|line| !line.is_empty() && !line.starts_with("processed "))?;
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_step_reason_and_errno() {
        let errno = |number| refusal("loading fentry", &io::Error::from_raw_os_error(number), None);
        assert_eq!(errno(libc::EPERM), "loading fentry is not permitted (EPERM)");
        assert_eq!(
            errno(libc::EINVAL),
            "loading fentry is not known to this kernel (EINVAL)"
        );
        assert_eq!(
            errno(libc::ENOENT),
            "loading fentry finds no such target (ENOENT)"
        );
        assert_eq!(errno(ENOTSUPP), "loading fentry is not supported here (ENOTSUPP)");
        assert_eq!(errno(libc::ENOMEM), "loading fentry fails (ENOMEM)");
        let invalid = io::Error::from_raw_os_error(libc::EINVAL);
        let explained = refusal("loading x", &invalid, Some("unknown func x".to_owned()));
        assert_eq!(explained, "loading x is refused (EINVAL: unknown func x)");
    }

    #[test]
    fn the_verifiers_last_word_is_kept() {
        let log =
            b"0: R1=ctx()\nunknown func bpf_probe_read_kernel#113\nprocessed 5 insns (limit 1000000)\n\0\0";
        assert_eq!(
            last_line(log).as_deref(),
            Some("unknown func bpf_probe_read_kernel#113")
        );
        assert_eq!(last_line(b"\0\0"), None);
    }
}
