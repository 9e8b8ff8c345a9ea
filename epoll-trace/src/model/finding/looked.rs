//! What a look at live processes shows of closed files: D08.

use super::super::entry::Entry;
use super::super::look::{LookedAt, WATCHED_FILES};
use super::calls::{D11, spin};
use super::{Amount, Diagnosis, Judgement, Limit, Raised, Rule, Scene, Severity, evidence};

const NOT_LOOKED: &str =
    "the processes were not looked at in this block: that is done by diagnose, every ten seconds at most";
const NOT_SEEN: &str = "what it watches could not be looked at: it was closed by then, watches too many files, or there was no time left";

/// What the look saw of an epoll.
pub(super) fn seen<'a>(entry: &Entry, scene: &'a Scene<'_>) -> Result<&'a LookedAt, Judgement> {
    let look = scene.window.counted.look.as_ref();
    let look = look.ok_or(Judgement::Unknown(NOT_LOOKED))?;
    let id = entry.key.epoll.and_then(|epoll| epoll.id);
    id.and_then(|id| look.of(id)).ok_or(Judgement::Unknown(NOT_SEEN))
}

pub(super) static D08: Diagnosis = Diagnosis {
    id: "D08",
    name: "events of a closed file",
    means: "A descriptor was closed without EPOLL_CTL_DEL while a copy of it is still open, in a child or by dup. The epoll goes on to \
            report it, nobody can remove it, and its number may belong to another file by now.",
    measured: "At the end one look at what each epoll watches (fdinfo) and at what the processes that wait on it have open: a watched \
               file has no descriptor of its number there any more, or that is another socket or pipe, told by its inode. Files of the \
               same inode, as all eventfds, and files with a path cannot be told apart. Epolls with more than 1000 files are left out.",
    severity: "warn: {ghosts} or more, which needs no number of samples; crit: and events come back again and again (D11)",
    false_alarm: "A descriptor may be handed to a child on purpose, by a program that knows the events by something else than the \
                  number.",
    remedy: "EPOLL_CTL_DEL before close; and descriptors that children do not inherit.",
    price: "One call of epoll_ctl more per file.",
    source: "h2o/h2o#1100; measured: 1000 of 1000 waits return the closed file, and EPOLL_CTL_DEL gives EBADF",
    command: "epolls",
    needs: &[WATCHED_FILES],
    rule: Rule::Epoll(ghosts),
};

fn ghosts(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let looked = match seen(entry, scene) {
        Ok(looked) => looked,
        Err(unknown) => return unknown,
    };
    let Some(closed) = &looked.ghosts else {
        return Judgement::Unknown("nobody, or very many processes, were seen to wait on it");
    };
    let ghosts = closed.len() as u64;
    let Some(first) = closed
        .first()
        .filter(|_| ghosts as f64 >= scene.limit(Limit::Ghosts))
    else {
        return Judgement::Calm;
    };
    let reused = closed.iter().filter(|ghost| ghost.reused).count() as u64;
    let spins = scene.missing(&D11).is_none() && matches!(spin(entry, scene), Judgement::Raised(_));
    let again = if spins {
        "; and the same events come back again and again"
    } else {
        ""
    };
    Raised {
        severity: if spins { Severity::Crit } else { Severity::Warn },
        evidence: evidence([
            ("closed_files", Amount::Count(ghosts)),
            ("number_reused", Amount::Count(reused)),
            ("items", Amount::Count(looked.items)),
        ]),
        sentence: format!(
            "{ghosts} of the {} files that it watches are closed, the first was descriptor {}{again}.",
            looked.items, first.fd
        ),
        samples: ghosts,
        caveat: Some("the descriptor may have been handed on on purpose"),
    }
    .into()
}
