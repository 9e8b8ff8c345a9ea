//! Addresses of symbols by name, through a program that asks `bpf_kallsyms_lookup_name` (since 5.16).
//!
//! `/proc/kallsyms` has the same, but to write all of it takes the kernel 500 million instructions.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, OwnedFd};

use super::{EXIT, Instruction, MOV_R0_0, call, instruction, load_with};

// linux/bpf.h
const BPF_PROG_TEST_RUN: libc::c_long = 10;
const BPF_PROG_TYPE_SYSCALL: u32 = 31;
const BPF_F_SLEEPABLE: u32 = 1 << 4;
const BPF_FUNC_KALLSYMS_LOOKUP_NAME: i32 = 179;

/// A name with the zero that ends it fits into so many bytes.
const NAME_BYTES: usize = 64;
const NAME_WORDS: i16 = (NAME_BYTES / 8) as i16;
/// Where the program's stack has the name, and the address that the helper writes.
const NAME_AT: i16 = -80;
const ADDRESS_AT: i16 = -8;

/// What the program is given, and gives back.
#[repr(C)]
struct Question {
    name: [u8; NAME_BYTES],
    address: u64,
    /// What the helper returned.
    result: i64,
}

/// `union bpf_attr` for BPF_PROG_TEST_RUN.
#[repr(C)]
#[derive(Default)]
struct RunAttr {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
}

const _: () = assert!(size_of::<RunAttr>() == 72);

const fn with_offset(code: u8, registers: u8, offset: i16) -> Instruction {
    Instruction {
        offset,
        ..instruction(code, registers, 0)
    }
}

/// Copies the name to the stack, asks, and copies the answer back.
fn code() -> Vec<Instruction> {
    // r6 = context; registers are destination | source << 4.
    let mut code = vec![instruction(0xbf, 0x16, 0)];
    for word in 0..NAME_WORDS {
        code.push(with_offset(0x79, 0x60, 8 * word));
        code.push(with_offset(0x7b, 0x0a, NAME_AT + 8 * word));
    }
    code.extend([
        // The address is 0 until the helper writes it.
        MOV_R0_0,
        with_offset(0x7b, 0x0a, ADDRESS_AT),
        instruction(0xbf, 0xa1, 0),
        instruction(0x07, 0x01, NAME_AT as i32),
        instruction(0xb7, 0x02, NAME_BYTES as i32),
        instruction(0xb7, 0x03, 0),
        instruction(0xbf, 0xa4, 0),
        instruction(0x07, 0x04, ADDRESS_AT as i32),
        instruction(0x85, 0x00, BPF_FUNC_KALLSYMS_LOOKUP_NAME),
        with_offset(0x7b, 0x06, NAME_BYTES as i16 + 8),
        with_offset(0x79, 0xa0, ADDRESS_AT),
        with_offset(0x7b, 0x06, NAME_BYTES as i16),
        MOV_R0_0,
        EXIT,
    ]);
    code
}

/// Addresses of the symbols among `names` that there are. `None` if the kernel has no such helper, or hides addresses.
pub(crate) fn addresses(names: &[String]) -> Option<BTreeMap<String, u64>> {
    let program = load_with(
        "bpf_kallsyms_lookup_name",
        BPF_PROG_TYPE_SYSCALL,
        BPF_F_SLEEPABLE,
        0,
        0,
        &code(),
    );
    let program = program.inspect_err(|reason| log::debug!("{reason}")).ok()?;
    let mut found = BTreeMap::new();
    for name in names {
        let answer = ask(&program, name)?;
        match answer.result {
            0 => _ = found.insert(name.clone(), answer.address),
            result if result == -i64::from(libc::ENOENT) => {}
            _ => return None,
        }
    }
    Some(found)
}

fn ask(program: &OwnedFd, name: &str) -> Option<Question> {
    let mut question = Question {
        name: [0; NAME_BYTES],
        address: 0,
        result: 0,
    };
    let room = question.name.get_mut(..NAME_BYTES - 1)?.get_mut(..name.len())?;
    room.copy_from_slice(name.as_bytes());
    let mut attr = RunAttr {
        prog_fd: program.as_raw_fd() as u32,
        ctx_size_in: size_of::<Question>() as u32,
        ctx_in: std::ptr::from_mut(&mut question) as u64,
        ..RunAttr::default()
    };
    (call(BPF_PROG_TEST_RUN, &mut attr) == 0).then_some(question)
}
