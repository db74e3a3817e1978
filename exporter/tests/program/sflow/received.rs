//! Datagrams of sFlow as they came, what they say by the reader that the collector has, and what tshark says of them.
//!
//! The tests of files and those of live interfaces use it, each a part.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use flowgauge_templates::sflow::{CounterLayout, CounterValue, Datagram, FlowRecord, Interface, Sample};

/// A flow sample.
#[derive(Clone, Debug)]
pub struct Flow {
    pub sequence: u32,
    pub index: u32,
    pub rate: u32,
    pub pool: u32,
    pub drops: u32,
    pub input: Interface,
    pub output: Interface,
    pub protocol: u32,
    pub frame_length: u32,
    pub stripped: u32,
    pub header: Vec<u8>,
    /// The other records.
    pub others: Vec<String>,
}

/// What stands before the samples of a datagram.
#[derive(Clone, Debug)]
pub struct Head {
    pub agent: String,
    pub sub_agent: u32,
    pub sequence: u32,
    pub uptime_ms: u32,
}

/// Everything that came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub datagrams: Vec<Vec<u8>>,
    pub times: Vec<Duration>,
    pub heads: Vec<Head>,
    pub flows: Vec<Flow>,
    /// Counters by their names, and class, index and sequence of what they are of.
    pub counters: Vec<BTreeMap<String, u64>>,
}

/// A collector that only listens.
pub struct Receiver(UdpSocket);

impl Receiver {
    pub fn new() -> Receiver {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = socket2::Socket::from(socket);
        socket.set_recv_buffer_size(8 << 20).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Receiver(socket.into())
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// All that comes until the program has ended and there is nothing more.
    pub fn receive(self, mut child: Child) -> (Seen, Output) {
        let (mut seen, mut buffer, mut ended) = (Seen::default(), vec![0; 65_535], false);
        let begin = Instant::now();
        loop {
            match self.0.recv(&mut buffer) {
                Ok(length) => seen.add(&buffer[..length], begin.elapsed()),
                Err(_) if ended || begin.elapsed() > Duration::from_secs(60) => break,
                Err(_) => ended = child.try_wait().unwrap().is_some(),
            }
        }
        let _ = child.kill();
        (seen, child.wait_with_output().unwrap())
    }
}

impl Seen {
    /// One more datagram, of which every sample and record must be read without a fault.
    pub fn add(&mut self, octets: &[u8], time: Duration) {
        let datagram = Datagram::parse(octets).unwrap();
        self.heads.push(Head {
            agent: datagram.agent.unwrap().to_string(),
            sub_agent: datagram.sub_agent,
            sequence: datagram.sequence,
            uptime_ms: datagram.uptime_ms,
        });
        for sample in datagram.samples() {
            match sample.unwrap() {
                Sample::Flow(flow) => {
                    let mut read = Flow {
                        sequence: flow.sequence,
                        index: flow.source.index,
                        rate: flow.sampling_rate,
                        pool: flow.sample_pool,
                        drops: flow.drops,
                        input: flow.input,
                        output: flow.output,
                        protocol: 0,
                        frame_length: 0,
                        stripped: 0,
                        header: Vec::new(),
                        others: Vec::new(),
                    };
                    for record in flow.records {
                        match record.unwrap() {
                            FlowRecord::Header(header) => {
                                read.protocol = header.protocol.0;
                                read.frame_length = header.frame_length;
                                read.stripped = header.stripped;
                                read.header = header.header.to_vec();
                            }
                            other => read.others.push(format!("{other:?}")),
                        }
                    }
                    self.flows.push(read);
                }
                Sample::Counters(counters) => {
                    let mut read = BTreeMap::from([
                        ("class".to_owned(), u64::from(counters.source.class)),
                        ("index".to_owned(), u64::from(counters.source.index)),
                        ("sequence".to_owned(), u64::from(counters.sequence)),
                    ]);
                    for record in counters.records {
                        let (format, body) = record.unwrap();
                        // Adapters are a list and no counters.
                        let Some(layout) = CounterLayout::of(format) else {
                            assert_eq!(format.0, 2001);
                            continue;
                        };
                        for counter in layout.read(body) {
                            let counter = counter.unwrap();
                            if let CounterValue::Number(value) = counter.value {
                                read.insert(counter.field.name.to_owned(), value);
                            }
                        }
                    }
                    self.counters.push(read);
                }
                other => panic!("{other:?}"),
            }
        }
        self.datagrams.push(octets.to_vec());
        self.times.push(time);
    }
}

/// What tshark says of these fields of each datagram, separated by commas where there are several; none where there is no
/// tshark. It must find nothing wrong.
pub fn tshark(seen: &Seen, directory: &Path, fields: &[&str]) -> Option<Vec<Vec<String>>> {
    let path = directory.join("sflow.pcap");
    std::fs::write(&path, as_capture(&seen.datagrams)).unwrap();
    let run = |arguments: &[&str]| {
        Command::new("tshark")
            .args(["-r", path.to_str().unwrap(), "-d", "udp.port==6343,sflow"])
            .args(arguments)
            .output()
            .ok()
    };
    // What it takes a sampled packet for, cut off and often by guess, is not about us.
    let ours = "sflow.enable_dissection:FALSE";
    let faults = "_ws.malformed || _ws.expert.severity >= error";
    let Some(wrong) = run(&["-o", ours, "-Y", faults, "-T", "pdml"]) else {
        println!("skipped: tshark is not there: it does not say what it thinks of our datagrams");
        return None;
    };
    let wrong = String::from_utf8_lossy(&wrong.stdout).into_owned();
    assert!(!wrong.contains("<packet>"), "tshark finds something wrong: {wrong}");
    let mut arguments = vec!["-T", "fields", "-E", "occurrence=a", "-E", "separator=;"];
    fields.iter().for_each(|field| arguments.extend(["-e", field]));
    let output = run(&arguments).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Vec<String>> = text
        .lines()
        .map(|line| line.split(';').map(str::to_owned).collect())
        .collect();
    assert_eq!(
        lines.len(),
        seen.datagrams.len(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(lines)
}

/// A capture of raw IPv4 with the datagrams as they went to port 6343.
fn as_capture(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = Vec::new();
    octets.extend(0xa1b2_c3d4u32.to_le_bytes());
    octets.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    octets.extend(65_535u32.to_le_bytes());
    octets.extend(101u32.to_le_bytes());
    for datagram in datagrams {
        let udp = 8 + datagram.len() as u16;
        octets.extend([0; 8]);
        octets.extend((u32::from(udp) + 20).to_le_bytes());
        octets.extend((u32::from(udp) + 20).to_le_bytes());
        octets.extend([0x45, 0]);
        octets.extend((udp + 20).to_be_bytes());
        octets.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        octets.extend(40_000u16.to_be_bytes());
        octets.extend(6343u16.to_be_bytes());
        octets.extend(udp.to_be_bytes());
        octets.extend([0, 0]);
        octets.extend(datagram);
    }
    octets
}
