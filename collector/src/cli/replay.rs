//! `replay`: sends the datagrams of captures, IPFIX files and journals again, at their own pace, a multiple of it, or as fast as it goes.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

use super::arguments::ReplayArguments;
use crate::failure::Failure;
use crate::io::input::{Item, Protocol, protocol_of, read_input};

/// Longest pause between two datagrams: captures of idle links should not take all day.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

enum Destination {
    Udp(UdpSocket, SocketAddr),
    Tcp(TcpStream),
}

/// Sends everything and says on standard error what was sent.
pub fn replay(arguments: &ReplayArguments) -> Result<(), Failure> {
    let speed = speed(&arguments.speed)?;
    let mut destination = connect(&arguments.to)?;
    let mut pace = Pace { speed, begun: None };
    let (mut sent, mut octets, mut left_out) = (0u64, 0u64, 0u64);
    for path in &arguments.files {
        read_input(path, &mut |item| {
            let Item::Received(received) = item else {
                left_out += 1;
                return Ok(());
            };
            let is_ipfix = protocol_of(received.bytes) == Some(Protocol::Ipfix);
            if matches!(destination, Destination::Tcp(_)) && !is_ipfix {
                left_out += 1;
                return Ok(());
            }
            pace.wait_for(received.time_ns);
            let result = match &mut destination {
                Destination::Udp(socket, to) => socket.send_to(received.bytes, *to).map(drop),
                Destination::Tcp(stream) => stream.write_all(received.bytes),
            };
            result.map_err(|error| Failure::running(format!("cannot send to {}: {error}", arguments.to)))?;
            sent += 1;
            octets += received.bytes.len() as u64;
            Ok(())
        })?;
    }
    eprintln!(
        "flowgauge-collector: sent {sent} datagrams, {octets} octets to {}; left out {left_out}",
        arguments.to
    );
    Ok(())
}

/// `None` is as fast as it goes.
fn speed(text: &str) -> Result<Option<f64>, Failure> {
    if text == "max" {
        return Ok(None);
    }
    match text.trim_end_matches('x').parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed.is_finite() => Ok(Some(speed)),
        _ => Err(Failure::usage(format!(
            "--speed: {text:?} is neither a factor such as 1, 0.5 or 10 nor max"
        ))),
    }
}

fn connect(text: &str) -> Result<Destination, Failure> {
    let wrong = || Failure::usage(format!("--to: {text:?} is not udp://HOST:PORT or tcp://HOST:PORT"));
    let (scheme, place) = text.split_once("://").ok_or_else(wrong)?;
    let failed = |error: std::io::Error| Failure::running(format!("cannot send to {text}: {error}"));
    let address = place.to_socket_addrs().map_err(failed)?.next().ok_or_else(wrong)?;
    match scheme {
        "udp" => {
            let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            UdpSocket::bind(local)
                .map(|socket| Destination::Udp(socket, address))
                .map_err(failed)
        }
        "tcp" => TcpStream::connect(address).map(Destination::Tcp).map_err(failed),
        _ => Err(wrong()),
    }
}

struct Pace {
    speed: Option<f64>,
    /// When the first datagram was sent, and its recorded time.
    begun: Option<(Instant, i64)>,
}

impl Pace {
    fn wait_for(&mut self, time_ns: i64) {
        let Some(speed) = self.speed else { return };
        let now = Instant::now();
        let (begun, first_ns) = *self.begun.get_or_insert((now, time_ns));
        let since_first = time_ns.saturating_sub(first_ns).max(0) as f64 / speed;
        let due = begun + Duration::from_nanos(since_first as u64);
        let pause = due.saturating_duration_since(now);
        if pause > LONGEST_PAUSE {
            // Time jumps in a capture: go on from here.
            self.begun = Some((now + LONGEST_PAUSE, time_ns));
        }
        std::thread::sleep(pause.min(LONGEST_PAUSE));
    }
}
