use super::*;

// linux/btf.h
const INT: u32 = 1;
const PTR: u32 = 2;
const STRUCT: u32 = 4;
const TYPEDEF: u32 = 8;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

/// Writes BTF by hand: type ids count from 1 in the order of the calls.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Builder {
    fn string(&mut self, text: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        if text.is_empty() {
            return 0;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        offset
    }

    fn words(&mut self, words: &[u32]) {
        self.types
            .extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    fn add(&mut self, name: &str, kind: u32, length: usize, size_or_type: u32) -> u32 {
        let name = self.string(name);
        self.words(&[name, kind << 24 | length as u32, size_or_type]);
        self.count += 1;
        self.count
    }

    fn int(&mut self, name: &str) -> u32 {
        let id = self.add(name, INT, 0, 4);
        self.words(&[32]);
        id
    }

    fn structure(&mut self, name: &str, members: &[(&str, u32, u32)]) -> u32 {
        let id = self.add(name, STRUCT, members.len(), 256);
        for &(member, kind, bytes) in members {
            let member = self.string(member);
            self.words(&[member, kind, bytes * 8]);
        }
        id
    }

    fn function(&mut self, name: &str, parameters: &[u32]) {
        let prototype = self.add("", FUNC_PROTO, parameters.len(), 0);
        for &parameter in parameters {
            let name = self.string("argument");
            self.words(&[name, parameter]);
        }
        self.add(name, FUNC, 0, prototype);
    }

    fn finish(self) -> Btf {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        bytes.extend(
            [24, 0, types, types, strings]
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
        bytes.extend(self.types);
        bytes.extend(self.strings);
        Btf::parse(bytes, &wanted()).unwrap()
    }
}

#[test]
fn a_field_inside_an_anonymous_member_counts_from_the_outer_start() {
    let mut builder = Builder::default();
    let int = builder.int("int");
    let inner = builder.structure("", &[("pid", int, 4)]);
    builder.structure(
        "task_struct",
        &[("flags", int, 0), ("", inner, 16), ("named", inner, 32)],
    );
    assert_eq!(field_offset(&builder.finish(), Field::TaskPid), Some(20));
}

#[test]
fn an_older_name_is_found_and_the_newer_one_wins() {
    let mut builder = Builder::default();
    let int = builder.int("int");
    builder.structure("task_struct", &[("state", int, 16)]);
    assert_eq!(field_offset(&builder.finish(), Field::TaskState), Some(16));

    let mut builder = Builder::default();
    let int = builder.int("int");
    builder.structure("task_struct", &[("state", int, 16), ("__state", int, 24)]);
    assert_eq!(field_offset(&builder.finish(), Field::TaskState), Some(24));
}

#[test]
fn structures_of_one_name_must_agree() {
    let two = |second: u32| {
        let mut builder = Builder::default();
        let int = builder.int("int");
        builder.structure("file", &[("f_op", int, 8)]);
        builder.structure("file", &[("f_op", int, second)]);
        builder.structure("file", &[("something_else", int, 0)]);
        field_offset(&builder.finish(), Field::FileFop)
    };
    assert_eq!(two(8), Some(8));
    assert_eq!(two(16), None);
}

#[test]
fn the_timeout_is_told_by_its_type() {
    let with = |pointer: bool| {
        let mut builder = Builder::default();
        let int = builder.int("int");
        let target = builder.add("", PTR, 0, int);
        let timeout = builder.add("timeout_t", TYPEDEF, 0, if pointer { target } else { int });
        builder.function("do_epoll_wait", &[int, target, int, timeout]);
        all(&builder.finish())
    };
    assert_eq!(with(true).timeout_is_pointer, Some(true));
    assert_eq!(with(false).timeout_is_pointer, Some(false));
    assert_eq!(
        with(false).functions,
        BTreeSet::from(["do_epoll_wait".to_owned()])
    );
    assert_eq!(all(&Builder::default().with_int()).timeout_is_pointer, None);
}

#[test]
fn names_of_another_kind_do_not_count() {
    let mut builder = Builder::default();
    let int = builder.int("int");
    builder.structure("ep_poll_callback", &[("member", int, 0)]);
    builder.structure("btf_trace_sys_exit", &[("member", int, 0)]);
    builder.add("btf_trace_sched_switch", TYPEDEF, 0, int);
    let btf = builder.finish();
    assert_eq!(all(&btf).tracepoints, BTreeSet::from(["sched_switch".to_owned()]));
    assert!(all(&btf).functions.is_empty());
    assert_eq!(
        targets(&btf),
        Targets {
            functions: BTreeMap::new(),
            tracepoints: BTreeMap::from([("sched_switch".to_owned(), 4)]),
            symbols_are_sorted: false,
        }
    );
}

#[test]
fn what_is_no_btf_is_refused() {
    let error = |bytes: Vec<u8>| Btf::parse(bytes, &wanted()).err();
    assert_eq!(error(vec![]).as_deref(), Some("it does not begin as BTF does"));
    assert_eq!(error(vec![0x9f, 0xeb, 1, 0]).as_deref(), Some("it is cut short"));
    let words = |words: [u32; 6], more: &[u32]| {
        let words = words.iter().chain(more);
        words.flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()
    };
    let outside = words([0x0001_eb9f, 24, 0, 12, 12, 1], &[]);
    assert_eq!(error(outside).as_deref(), Some("its parts lie outside of it"));
    let unknown = words([0x0001_eb9f, 24, 0, 12, 12, 0], &[0, 31 << 24, 0]);
    assert_eq!(error(unknown).as_deref(), Some("it has a type of kind 31"));
}

#[test]
fn members_of_structures_with_bit_fields_have_their_place_in_the_lower_bits() {
    let mut builder = Builder::default();
    let int = builder.int("int");
    let flagged = STRUCT | 1 << 7;
    let members = [("f_mode", 3 << 24 | 8), ("f_op", 8 << 3), ("f_inode", 65)];
    builder.add("file", flagged, members.len(), 256);
    for (name, place) in members {
        let name = builder.string(name);
        builder.words(&[name, int, place]);
    }
    let btf = builder.finish();
    assert_eq!(field_offset(&btf, Field::FileFop), Some(8));
    assert_eq!(field_offset(&btf, Field::FileInode), None);
}

fn all(btf: &Btf) -> TypeFacts {
    facts(btf, &targets(btf))
}

impl Builder {
    fn with_int(mut self) -> Btf {
        self.int("int");
        self.finish()
    }
}
