//! Structure fields whose offsets are asked of BTF: one row per field, with every name it has had from 5.10 to 7.3.

use serde::{Deserialize, Serialize};

/// Declares fields: `Variant = "name": struct.path | older struct.path;`.
macro_rules! fields {
    ($($variant:ident = $name:literal: $($structure:literal $path:literal)|+;)*) => {
        /// A field of a kernel structure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Field {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $variant,
            )*
        }

        impl Field {
            /// Every field.
            pub const ALL: &[Field] = &[$(Field::$variant,)*];

            /// `structure.field`, as the newest kernel calls it.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name,)* }
            }

            /// (structure, path) pairs to try in turn, newest kernel first.
            pub(super) const fn alternatives(self) -> &'static [(&'static str, &'static str)] {
                match self { $(Field::$variant => &[$(($structure, $path),)+],)* }
            }
        }
    };
}

fields! {
    EventpollWq = "eventpoll.wq": "eventpoll" "wq";
    EventpollOvflist = "eventpoll.ovflist": "eventpoll" "ovflist";
    EventpollLock = "eventpoll.lock": "eventpoll" "lock";
    EventpollMtx = "eventpoll.mtx": "eventpoll" "mtx";
    WaitQueueHeadHead = "wait_queue_head.head": "wait_queue_head" "head";
    WaitQueueEntryPrivate = "wait_queue_entry.private": "wait_queue_entry" "private";
    WaitQueueEntryEntry = "wait_queue_entry.entry": "wait_queue_entry" "entry";
    ListHeadNext = "list_head.next": "list_head" "next";
    ListHeadPrev = "list_head.prev": "list_head" "prev";
    EpitemEp = "epitem.ep": "epitem" "ep";
    EpitemRdllink = "epitem.rdllink": "epitem" "rdllink";
    EpitemOvflistNext = "epitem.ovflist_next": "epitem" "ovflist_next" | "epitem" "next";
    EpitemFllink = "epitem.fllink": "epitem" "fllink";
    EpitemEvent = "epitem.event": "epitem" "event";
    EpitemFfd = "epitem.ffd": "epitem" "ffd";
    EpollKeyFile = "epoll_key.file": "epoll_key" "file" | "epoll_filefd" "file";
    EpollKeyFd = "epoll_key.fd": "epoll_key" "fd" | "epoll_filefd" "fd";
    EpollEventEvents = "epoll_event.events": "epoll_event" "events";
    EppollEntryBase = "eppoll_entry.base": "eppoll_entry" "base";
    EppollEntryWait = "eppoll_entry.wait": "eppoll_entry" "wait";
    EppollEntryWhead = "eppoll_entry.whead": "eppoll_entry" "whead";
    TaskPid = "task_struct.pid": "task_struct" "pid";
    TaskTgid = "task_struct.tgid": "task_struct" "tgid";
    TaskState = "task_struct.__state": "task_struct" "__state" | "task_struct" "state";
    TaskComm = "task_struct.comm": "task_struct" "comm";
    TaskGroupLeader = "task_struct.group_leader": "task_struct" "group_leader";
    TaskFiles = "task_struct.files": "task_struct" "files";
    TaskStartTime = "task_struct.start_time": "task_struct" "start_time";
    TaskSignal = "task_struct.signal": "task_struct" "signal";
    SignalLive = "signal_struct.live": "signal_struct" "live";
    FilesFdt = "files_struct.fdt": "files_struct" "fdt";
    FdtableFd = "fdtable.fd": "fdtable" "fd";
    FileFop = "file.f_op": "file" "f_op";
    FilePrivateData = "file.private_data": "file" "private_data";
    FileEp = "file.f_ep": "file" "f_ep" | "file" "f_ep_links";
    FileEpLinks = "file.f_ep_links": "file" "f_ep_links";
    FileInode = "file.f_inode": "file" "f_inode";
    InodeIno = "inode.i_ino": "inode" "i_ino";
    SocketFile = "socket.file": "socket" "file";
    SocketSk = "socket.sk": "socket" "sk";
    SocketType = "socket.type": "socket" "type";
    SockCommon = "sock.__sk_common": "sock" "__sk_common";
    SockCommonState = "sock_common.skc_state": "sock_common" "skc_state";
    SockBacklog = "sock.sk_max_ack_backlog": "sock" "sk_max_ack_backlog";
    RegsOrigAx = "pt_regs.orig_ax": "pt_regs" "orig_ax";
    RegsAx = "pt_regs.ax": "pt_regs" "ax";
    RegsDi = "pt_regs.di": "pt_regs" "di";
    RegsSi = "pt_regs.si": "pt_regs" "si";
    RegsDx = "pt_regs.dx": "pt_regs" "dx";
    RegsR10 = "pt_regs.r10": "pt_regs" "r10";
    PcpuHotPreemptCount = "pcpu_hot.preempt_count": "pcpu_hot" "preempt_count";
    TimespecSec = "timespec64.tv_sec": "timespec64" "tv_sec";
    TimespecNsec = "timespec64.tv_nsec": "timespec64" "tv_nsec";
}
