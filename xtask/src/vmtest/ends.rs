//! Nothing of the tool stays in the kernel, however it ends.

use serde_json::Value;

use super::trace::{FAMILIES, FENTRY, Family};
use super::{Outputs, Problem, Test};

/// How the tool is ended, the shell's command for it, and the exit code the shell then sees.
const ENDS: [(&str, &str, &str); 4] = [
    ("SIGKILL", "kill -KILL $tool", "137"),
    ("Ctrl-C", "kill -INT $tool", "0"),
    ("SIGTERM", "kill -TERM $tool", "0"),
    ("its last block", ":", "0"),
];

/// Prints what is loaded before, while and after the tool runs, and its exit code. After its end it has 10 s: the kernel frees
/// programs a little later than their process, when every CPU has been through a quiet state.
const SCRIPT: &str = r#"
: > /tmp/plan
before=$(bpftool -j prog show)
epoll-trace hist --json --probes FAMILY 1 BLOCKS > /tmp/plan & tool=$!
until [ -s /tmp/plan ] || ! kill -0 $tool; do sleep 0.1; done
while_running=$(bpftool -j prog show)
END
wait $tool
code=$?
tries=0
while after=$(bpftool -j prog show); [ "$after" != "$before" ] && [ $tries -lt 50 ]; do
    tries=$((tries + 1))
    sleep 0.2
done
printf '%s\n' "$before" "$while_running" "$after" "$code"
echo /sys/fs/bpf/*
"#;

/// SIGKILL with every family, the other ends with one.
pub(super) fn tests() -> Vec<Test> {
    let killed = FAMILIES.map(|family| test(ENDS[0], family));
    let others = ENDS[1..].iter().map(|end| test(*end, FENTRY));
    killed.into_iter().chain(others).collect()
}

fn test((end, command, code): (&'static str, &str, &'static str), family: Family) -> Test {
    let blocks = if command == ":" { "5" } else { "" };
    let script = SCRIPT
        .replace("FAMILY", family.name)
        .replace("BLOCKS", blocks)
        .replace("END", command);
    let name = format!("ends: nothing is left after {end}, {}", family.name);
    Test::new(name, move |outputs| check(outputs, code))
        .needs(family.need())
        .job(&["sh", "-c", &script])
}

fn check(outputs: &Outputs<'_>, expected: &str) -> Result<(), Problem> {
    let text = outputs.stdout(0)?;
    let [before, running, after, code, pinned] = text.lines().collect::<Vec<_>>()[..] else {
        return Err(format!("not five lines: {text}").into());
    };
    let (before, running, after) = (programs(before)?, programs(running)?, programs(after)?);
    let ours = running.iter().filter(|program| !before.contains(program)).count();
    // Without a program of ours while it runs, none afterwards would mean nothing.
    if ours == 0 {
        return Err("bpftool shows no program of ours while the tool runs".into());
    }
    let left: Vec<_> = after.iter().filter(|program| !before.contains(program)).collect();
    if !left.is_empty() {
        return Err(format!("{} of {ours} programs are left: {left:?}", left.len()).into());
    }
    if code != expected {
        return Err(format!("exit code {code}, not {expected}").into());
    }
    // The pattern itself: nothing matches it.
    if pinned != "/sys/fs/bpf/*" {
        return Err(format!("pinned: {pinned}").into());
    }
    Ok(())
}

/// Id and name of each program that bpftool lists.
fn programs(json: &str) -> Result<Vec<(u64, String)>, Problem> {
    let listed: Vec<Value> =
        serde_json::from_str(json).map_err(|error| format!("bpftool says {json:?}: {error}"))?;
    let one = |program: &Value| {
        let id = program["id"]
            .as_u64()
            .ok_or("bpftool lists a program without id")?;
        Ok((id, program["name"].as_str().unwrap_or_default().to_owned()))
    };
    listed.iter().map(one).collect()
}
