//! A person at the herd's demonstration: `top` in a tmux inside the VM, keys, and what is on the screen after each.

/// Its kernel: the one of all screens in the documents.
pub(crate) const KERNEL: &str = "6.12";
/// What it takes in the VM. A tmux wants a locale of UTF-8.
pub(crate) const PROGRAMS: [&str; 7] = [
    "sh",
    "tmux",
    "/usr/lib/locale/C.utf8/LC_CTYPE",
    "sleep",
    "ln",
    "grep",
    "mkdir",
];
/// Before each screen, with its title.
const MARK: &str = "@ ";

/// Prints each screen behind its title; fails with what is there when it never sees what it waits for. The emulated machine takes half a minute
/// to attach all that findings rest on.
pub(crate) const SCRIPT: &str = r#"
mkdir -p /etc /tmp/locale/C.utf8
printf 'root:x:0:0::/:/bin/sh\n' > /etc/passwd
ln -s /bin/LC_CTYPE /tmp/locale/C.utf8/LC_CTYPE
export LOCPATH=/tmp/locale LC_CTYPE=C.UTF-8 TERM=xterm SHELL=/bin/sh
screen() { tmux -f /dev/null "$@"; }
sees() {
    tries=0
    until screen capture-pane -p | grep -q "$1"; do
        tries=$((tries + 1))
        if [ $tries -gt 400 ]; then echo "never saw $1:"; screen capture-pane -p; exit 1; fi
        sleep 0.3
    done
}
shows() { echo "@ $1"; screen capture-pane -p; }
screen new-session -d -x 80 -y 24 'epoll-trace demo herd'
sees 'Enter starts'
screen send-keys Enter
sees ' waiter '
shows 'Four processes watch one listener'
screen send-keys 3
sees 'listener tcp.* 4 items'
sees ' 4\.00 '
shows 'Key 3: the listener, and whom it wakes'
screen send-keys 5
sees 'D01'
shows 'Key 5: what the diagnoses found'
screen send-keys Enter
sees 'price'
shows 'Enter: the first finding in full'
screen send-keys q
sees 'EPOLLEXCLUSIVE'
screen kill-server
"#;

/// The screens with their titles.
pub(crate) fn screens(output: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for line in output.lines() {
        match (line.strip_prefix(MARK), found.last_mut()) {
            (Some(title), _) => found.push((title, String::new())),
            (None, Some((_, screen))) => {
                screen.push_str(line.trim_end());
                screen.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{SCRIPT, screens};

    #[test]
    fn each_screen_has_its_title() {
        let found = screens("noise\n@ one\na  \n\nb\n@ two\nc\n");
        assert_eq!(found, [("one", "a\n\nb\n".to_owned()), ("two", "c\n".to_owned())]);
        assert!(SCRIPT.contains("echo \"@ $1\""));
    }
}
