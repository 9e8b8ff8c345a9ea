//! A client of real servers: requests one after the other, so that each finds the server idle.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How a server is asked.
#[derive(Clone, Copy, Debug)]
struct Protocol {
    name: &'static str,
    request: &'static str,
    /// How an answer begins.
    answer: &'static str,
    /// Connections that take turns; without any, each request has its own.
    kept: usize,
}

const PROTOCOLS: [Protocol; 3] = [
    Protocol {
        name: "http",
        request: "GET / HTTP/1.0\r\n\r\n",
        answer: "HTTP/1.1 ",
        kept: 0,
    },
    Protocol {
        name: "memcached",
        request: "get nothing\r\n",
        answer: "END\r\n",
        kept: 8,
    },
    Protocol {
        name: "redis",
        request: "PING\r\n",
        answer: "+PONG\r\n",
        kept: 8,
    },
];

/// A server that does not answer for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends `count` requests of `protocol` to `server`, `pause` after each answer. With a count of 0 it only waits until the server is there.
///
/// # Errors
/// An unknown protocol, no server, or an answer that is none.
pub fn ask(protocol: &str, server: SocketAddr, count: usize, pause: Duration) -> Result<()> {
    let Some(protocol) = PROTOCOLS.iter().find(|known| known.name == protocol) else {
        bail!("ask: {protocol} is not known");
    };
    if count == 0 {
        return reach(server).map(drop);
    }
    let mut kept = Vec::new();
    for _ in 0..protocol.kept {
        kept.push(reach(server)?);
    }
    for number in 0..count {
        match kept.is_empty() {
            true => request(protocol, &mut reach(server)?)?,
            false => {
                let place = number % kept.len();
                request(protocol, &mut kept[place])?;
            }
        }
        sleep(pause);
    }
    Ok(())
}

/// Connects, again and again until somebody listens.
fn reach(server: SocketAddr) -> Result<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(server) {
            Ok(stream) => {
                stream
                    .set_read_timeout(Some(PATIENCE))
                    .context("cannot bound a read")?;
                return Ok(stream);
            }
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("cannot connect to {server}"));
            }
            Err(_) => sleep(Duration::from_millis(20)),
        }
    }
}

fn request(protocol: &Protocol, stream: &mut TcpStream) -> Result<()> {
    stream
        .write_all(protocol.request.as_bytes())
        .context("cannot send a request")?;
    let mut answer = vec![0; protocol.answer.len()];
    stream
        .read_exact(&mut answer)
        .context("the server did not answer")?;
    if answer != protocol.answer.as_bytes() {
        bail!(
            "no answer of {}: {:?}",
            protocol.name,
            String::from_utf8_lossy(&answer)
        );
    }
    if protocol.kept == 0 {
        // To the server's end of the connection: it is done then.
        stream
            .read_to_end(&mut Vec::new())
            .context("the server did not end the connection")?;
    }
    Ok(())
}
