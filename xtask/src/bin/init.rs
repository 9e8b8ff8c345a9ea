//! PID 1 of the test VM: mounts, brings loopback up, runs the jobs of the list, reports, powers off.
//!
//! Static and alone in the initramfs apart from the programs under test. When it returns or panics the kernel
//! panics, which ends the VM: the host sees a report without its last line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use xtask::guest::{End, JOBS_PATH, Job, JobResult, Output, REPORT_PORT, Report, STDERR_PORT, STDOUT_PORT};

/// File system type and where it goes. A kernel that lacks one is reported, and the jobs run without it.
const MOUNTS: [(&str, &str); 10] = [
    ("devtmpfs", "/dev"),
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("tracefs", "/sys/kernel/tracing"),
    ("securityfs", "/sys/kernel/security"),
    ("bpf", "/sys/fs/bpf"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/dev/shm"),
    ("tmpfs", "/tmp"),
];
const ENVIRONMENT: [(&str, &str); 3] = [("HOME", "/"), ("PATH", "/bin"), ("TERM", "linux")];
/// Of each output of a job so many bytes are kept: what the report port carries in a few seconds.
const OUTPUT_LIMIT: u64 = 4 << 20;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        return asked();
    }
    if let Err(error) = boot() {
        eprintln!("init: {error:#}");
    }
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        Err(error) => eprintln!("init: power off: {error}"),
    }
    ExitCode::FAILURE
}

/// What a job can ask of this program itself: `/init screen SECONDS COMMAND` prints what the command shows on a
/// terminal after so many seconds, `/init measure PLAN` runs a plan of the cost benchmark (JSON), `/init loopback` sends one
/// byte to itself over 127.0.0.1, `/init ask PROTOCOL ADDRESS COUNT PAUSE_MS` is a client of a server.
fn asked() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((task, rest)) if task == "screen" => screen(rest),
        Some((task, rest)) if task == "measure" => measure(rest),
        Some((task, rest)) if task == "ask" => ask(rest),
        _ => loopback(),
    };
    if let Err(error) = done {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn screen(arguments: &[String]) -> Result<()> {
    let (seconds, command) = arguments
        .split_first()
        .context("screen: SECONDS and a command are missing")?;
    let seconds = seconds.parse().context("screen: give whole seconds")?;
    println!(
        "{}",
        xtask::screen::capture(command, Duration::from_secs(seconds))?
    );
    Ok(())
}

fn measure(arguments: &[String]) -> Result<()> {
    let plan = arguments.first().context("measure: a plan is missing")?;
    xtask::measure::run(&serde_json::from_str(plan).context("measure: cannot read the plan")?)
}

fn ask(arguments: &[String]) -> Result<()> {
    let [protocol, server, count, pause] = arguments else {
        bail!("ask: PROTOCOL ADDRESS COUNT PAUSE_MS");
    };
    let server = server.parse().context("ask: ADDRESS is none")?;
    let count = count.parse().context("ask: COUNT is no number")?;
    let pause = pause.parse().context("ask: PAUSE_MS is no number")?;
    xtask::client::ask(protocol, server, count, Duration::from_millis(pause))
}

fn loopback() -> Result<()> {
    let echoed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
        let mut out = TcpStream::connect(listener.local_addr()?)?;
        out.write_all(b"x")?;
        let mut byte = [0];
        listener.accept()?.0.read_exact(&mut byte)?;
        Ok(byte)
    });
    println!("{}", String::from_utf8_lossy(&echoed.context("loopback")?));
    Ok(())
}

fn boot() -> Result<()> {
    let mut warnings = mount_all();
    let mut report = raw_port(REPORT_PORT)?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("kernel release")?;
    send(&mut report, &Report::Booted(release.trim().to_owned()))?;
    if let Err(error) = loopback_up() {
        warnings.push(format!("loopback: {error}"));
    }
    for warning in warnings {
        send(&mut report, &Report::Warning(warning))?;
    }
    let jobs = fs::read(JOBS_PATH).with_context(|| format!("read {JOBS_PATH}"))?;
    let jobs: Vec<Job> = serde_json::from_slice(&jobs).with_context(|| format!("parse {JOBS_PATH}"))?;
    for job in &jobs {
        let result = run_job(job);
        send(&mut report, &Report::Job(result))?;
    }
    send(&mut report, &Report::Done)
}

fn mount_all() -> Vec<String> {
    MOUNTS
        .iter()
        .filter_map(|(fstype, target)| {
            let mounted = fs::create_dir_all(target)
                .map_err(|error| error.to_string())
                .and_then(|()| {
                    mount(
                        Some(*fstype),
                        *target,
                        Some(*fstype),
                        MsFlags::empty(),
                        None::<&str>,
                    )
                    .map_err(|error| error.to_string())
                });
            mounted
                .err()
                .map(|error| format!("mount {fstype} on {target}: {error}"))
        })
        .collect()
}

/// A serial port in raw mode: otherwise the line discipline turns every `\n` into `\r\n`.
fn raw_port(path: &str) -> Result<File> {
    let port = OpenOptions::new()
        .write(true)
        .open(path)
        .with_context(|| format!("open {path}"))?;
    let mut settings = tcgetattr(&port).with_context(|| format!("settings of {path}"))?;
    cfmakeraw(&mut settings);
    tcsetattr(&port, SetArg::TCSANOW, &settings).with_context(|| format!("raw mode of {path}"))?;
    Ok(port)
}

fn send(port: &mut File, report: &Report) -> Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    port.write_all(&line).context("write a report")?;
    tcdrain(&*port).context("drain the report port")
}

/// The kernel gives `lo` its 127.0.0.1 by itself once the interface is up.
fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: ifreq is plain data, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l'.cast_signed();
    request.ifr_name[1] = b'o'.cast_signed();
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which outlives the call; fd is an open socket.
    let rc = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw const request) };
    if rc == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn run_job(job: &Job) -> JobResult {
    let start = Instant::now();
    let mut result = JobResult {
        job: job.name.clone(),
        end: End::NotStarted(String::new()),
        stdout: String::new(),
        stderr: String::new(),
        truncated: false,
        ms: 0,
    };
    match spawn(job) {
        Ok(child) => finish(child, Duration::from_millis(job.timeout_ms), &mut result),
        Err(error) => result.end = End::NotStarted(format!("{error:#}")),
    }
    result.ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    result
}

fn spawn(job: &Job) -> Result<Child> {
    let (program, arguments) = job.argv.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(ENVIRONMENT)
        .stdin(Stdio::null());
    match job.output {
        Output::Report => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        Output::Ports => command
            .stdout(raw_port(STDOUT_PORT)?)
            .stderr(raw_port(STDERR_PORT)?),
    };
    command
        .spawn()
        .with_context(|| format!("start {program} (`--with` brings a program into the VM)"))
}

fn finish(mut child: Child, timeout: Duration, result: &mut JobResult) {
    let stdout = child
        .stdout
        .take()
        .map(|pipe| thread::spawn(move || collect(pipe)));
    let stderr = child
        .stderr
        .take()
        .map(|pipe| thread::spawn(move || collect(pipe)));
    let late = Arc::new(AtomicBool::new(false));
    let (ended, watch) = mpsc::channel::<()>();
    let watchdog = {
        let late = Arc::clone(&late);
        thread::spawn(move || {
            if watch.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Timeout) {
                late.store(true, Ordering::SeqCst);
                kill_all();
            }
        })
    };
    let end = wait_for(Pid::from_raw(child.id().cast_signed()));
    drop(ended);
    drop(watchdog.join());
    // What the job left behind must not disturb the next one, nor hold its pipes open.
    kill_all();
    while !matches!(waitpid(None::<Pid>, None), Err(Errno::ECHILD)) {}
    for (reader, text) in [(stdout, &mut result.stdout), (stderr, &mut result.stderr)] {
        if let Some((bytes, truncated)) = reader.and_then(|reader| reader.join().ok()) {
            *text = String::from_utf8_lossy(&bytes).into_owned();
            result.truncated |= truncated;
        }
    }
    result.end = if late.load(Ordering::SeqCst) {
        End::TimedOut
    } else {
        end
    };
}

/// Every process but this one.
fn kill_all() {
    // There may be none left, and then there is nothing to do.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
}

/// Reaps whatever ends until `child` does: orphans are PID 1's to reap.
fn wait_for(child: Pid) -> End {
    loop {
        match waitpid(None::<Pid>, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return End::Exited(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => return End::Signaled(signal as i32),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return End::NotStarted(format!("wait: {error}")),
        }
    }
}

fn collect(mut pipe: impl Read) -> (Vec<u8>, bool) {
    let mut kept = Vec::new();
    let read = pipe.by_ref().take(OUTPUT_LIMIT).read_to_end(&mut kept);
    // The rest is read as well: a full pipe would stop the job.
    let dropped = io::copy(&mut pipe, &mut io::sink()).unwrap_or(0);
    (kept, dropped > 0 || read.is_err())
}
