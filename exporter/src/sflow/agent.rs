//! The sending thread: samples out of the queue and counters of the system into datagrams.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flowgauge_templates::packet::Headers;

use super::accounts::{SflowAccounts, SflowSnapshot};
use super::clock::Clock;
use super::counters::{DeviceTable, Host, HostIdentity, InterfaceCounters, Polled, Schedule, write_capture};
use super::datagram::{Datagram, Identity};
use super::direction::Interfaces;
use super::header::SampledHeader;
use super::limits::{FLUSH, TICK, USER_OCTETS};
use super::queue::{Kind, Popped, Sample, SampleQueue};
use super::receivers::Receivers;
use super::request::Request;
use super::sample::{DataSource, FlowSample, Form, Port, Records};
use super::sockets::{Sockets, Way};
use super::system::System;
use crate::config::{Endpoint, SflowConfig};
use crate::exporting::limits::FILE_RATE_RECORDS;
use crate::io::destination::now_ns;
use crate::io::pace::Pace;
use crate::io::patience::Stop;
use crate::io::retry::seed;

const SAMPLED_HEADER: u32 = 1;
const EXTENDED_SWITCH: u32 = 1001;
const EXTENDED_USER: u32 = 1004;
const EXTENDED_URL: u32 = 1005;
const EXTENDED_TCP_INFO: u32 = 2209;

/// The MIBenum of UTF-8.
const UTF8: u32 = 106;

/// The destination is the server of a request.
const URL_TO_SERVER: u32 = 2;

/// Pauses shorter than this are saved up.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
/// How often it is looked which interfaces there are.
const REFRESH: Duration = Duration::from_secs(10);

/// What an agent is started with.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// How packets and counters are sampled.
    pub sflow: SflowConfig,
    /// Where datagrams go.
    pub receivers: Vec<Endpoint>,
    /// Octets of a datagram at most.
    pub mtu: usize,
    /// Samples a second; none for what is usual.
    pub rate: Option<u64>,
    /// When to give up.
    pub stop: Arc<Stop>,
    /// Interfaces that are captured from; none for files.
    pub interfaces: Option<Vec<String>>,
}

/// The agent at work.
#[derive(Debug)]
pub struct Agent {
    queue: Arc<SampleQueue>,
    accounts: Arc<SflowAccounts>,
    thread: JoinHandle<()>,
}

impl Agent {
    /// Asks the system what only root may know, and starts the thread.
    ///
    /// # Errors
    /// One line for people: no thread to be had.
    pub fn start(config: AgentConfig) -> Result<Agent, String> {
        let queue = Arc::new(SampleQueue::new(config.interfaces.is_none()));
        let names = config.receivers.iter().map(|receiver| format!("sflow://{receiver}"));
        let accounts = Arc::new(SflowAccounts::new(queue.clone(), names));
        let work = Work::new(config, queue.clone(), accounts.clone());
        let thread = std::thread::Builder::new()
            .name("sflow".to_owned())
            .spawn(move || work.run())
            .map_err(|error| format!("sflow: no thread to send with: {error}"))?;
        Ok(Agent {
            queue,
            accounts,
            thread,
        })
    }

    /// Where samples go in.
    pub fn queue(&self) -> &Arc<SampleQueue> {
        &self.queue
    }

    /// What became of them.
    pub fn accounts(&self) -> &Arc<SflowAccounts> {
        &self.accounts
    }

    /// No more samples come: sends those that are there, and ends.
    pub fn finish(self) -> SflowSnapshot {
        self.queue.close();
        if self.thread.join().is_err() {
            tracing::error!("the thread of sFlow has panicked; please report this");
            self.accounts.failed.store(true, Relaxed);
        }
        self.accounts.snapshot()
    }
}

/// Gives up what is left when the thread ends in whatever way, so that nobody waits for a queue without a reader.
struct LastWord(Arc<SampleQueue>, Arc<SflowAccounts>);

impl Drop for LastWord {
    fn drop(&mut self) {
        let left = self.0.give_up();
        self.1.given_up.fetch_add(left, Relaxed);
    }
}

struct Work {
    config: AgentConfig,
    queue: Arc<SampleQueue>,
    accounts: Arc<SflowAccounts>,
    receivers: Receivers,
    system: System,
    identity: HostIdentity,
    interfaces: Interfaces,
    sockets: Option<Sockets>,
    form: Form,
    schedule: Option<Schedule>,
    refreshed: Instant,
    clock: Clock,
    pace: Option<Pace>,
    /// Numbers of flow samples and of counter samples, by the place of their interface in the queue.
    sequences: Vec<[u32; 2]>,
    sample: Vec<u8>,
}

impl Work {
    fn new(config: AgentConfig, queue: Arc<SampleQueue>, accounts: Arc<SflowAccounts>) -> Work {
        let is_live = config.interfaces.is_some();
        let system = System::default();
        let interfaces = match is_live {
            true => Interfaces::read(&system),
            false => Interfaces::default(),
        };
        let default_rate = (!is_live).then_some(FILE_RATE_RECORDS);
        Work {
            receivers: Receivers::new(config.receivers.clone(), accounts.clone()),
            identity: HostIdentity::read(&system),
            form: Form::of(interfaces.numbers()),
            interfaces,
            sockets: Sockets::open().filter(|_| is_live),
            schedule: config
                .sflow
                .polling
                .filter(|_| is_live)
                .map(|polling| Schedule::new(polling, seed())),
            refreshed: Instant::now(),
            clock: Clock::new(&system, is_live),
            pace: Pace::new(config.rate.or(default_rate)),
            system,
            config,
            queue,
            accounts,
            sequences: Vec::new(),
            sample: Vec::new(),
        }
    }

    fn run(mut self) {
        let _last_word = LastWord(self.queue.clone(), self.accounts.clone());
        let Some(agent) = self.find_agent() else {
            self.accounts.failed.store(true, Relaxed);
            tracing::error!("sflow: gave up: no collector has an address; see the lines before");
            return;
        };
        let identity = Identity {
            agent,
            sub_agent: self.config.sflow.sub_agent,
        };
        let mut datagram = Datagram::new(identity, self.config.mtu);
        let mut samples = Vec::with_capacity(super::limits::TAKEN_SAMPLES);
        self.update_schedule();
        loop {
            let popped = self.queue.pop(&mut samples, self.wait());
            for sample in &samples {
                // By the clock of files time passes between packets.
                if datagram
                    .began()
                    .is_some_and(|began| self.clock.is_over(sample.time_ns, began, FLUSH))
                {
                    self.send(&mut datagram);
                }
                self.clock.see(sample.time_ns);
                match sample.kind {
                    Kind::Packet => self.add_packet(&mut datagram, sample),
                    Kind::Counters => self.add_counters_of_capture(&mut datagram, sample),
                }
            }
            if popped == Popped::Closed {
                break;
            }
            self.poll(&mut datagram);
            if datagram
                .began()
                .is_some_and(|began| self.clock.has_passed(began, FLUSH))
            {
                self.send(&mut datagram);
            }
            // Asked twice to stop, or nothing moves: what is queued is given up.
            if self.config.stop.is_over(Instant::now()) {
                break;
            }
        }
        self.send(&mut datagram);
        self.receivers.finish();
    }

    /// The address that this agent is known by: it must not change, so that nothing is sent before it is known.
    fn find_agent(&mut self) -> Option<IpAddr> {
        let began = Instant::now();
        loop {
            self.receivers.open();
            if let Some(agent) = self.config.sflow.agent.or_else(|| self.receivers.local_address()) {
                return Some(agent);
            }
            if self.config.stop.is_over(began) {
                return None;
            }
            let wait = self.receivers.wait().clamp(LEAST_PAUSE, Duration::from_secs(1));
            self.config.stop.sleep(wait);
        }
    }

    /// How long to sleep for want of samples.
    fn wait(&self) -> Duration {
        let poll = self
            .schedule
            .as_ref()
            .and_then(|schedule| schedule.wait(Instant::now()));
        poll.map_or(TICK, |poll| poll.min(TICK))
    }

    /// Polls those interfaces that are captured from, all of them where `any` is, and the host.
    fn update_schedule(&mut self) {
        let (Some(schedule), Some(names)) = (&mut self.schedule, &self.config.interfaces) else {
            return;
        };
        let names = match names.iter().any(|name| name == crate::io::live::ANY) {
            true => self.system.interfaces(),
            false => names.clone(),
        };
        let sources = names.into_iter().map(Polled::Interface).chain([Polled::Host]);
        schedule.update(Instant::now(), sources);
    }

    fn poll(&mut self, datagram: &mut Datagram) {
        if self.config.interfaces.is_none() {
            return;
        }
        if self.refreshed.elapsed() >= REFRESH {
            self.refreshed = Instant::now();
            self.interfaces = Interfaces::read(&self.system);
            self.update_schedule();
        }
        while let Some(polled) = self
            .schedule
            .as_mut()
            .and_then(|schedule| schedule.poll(Instant::now()))
        {
            match &polled {
                Polled::Host => self.add_host(datagram),
                Polled::Interface(name) => {
                    let table = DeviceTable::read(&self.system);
                    if let Some(counters) = InterfaceCounters::read(&self.system, &table, name) {
                        self.add_interface(datagram, &polled, &counters);
                    }
                }
            }
        }
    }

    fn next_sequence(&mut self, what: &Polled, index: u32) -> u32 {
        let schedule = self.schedule.as_mut();
        schedule.map_or(1, |schedule| schedule.sequence(what, index))
    }

    fn add_interface(&mut self, datagram: &mut Datagram, polled: &Polled, counters: &InterfaceCounters) {
        if !self.form.takes(counters.index) {
            return;
        }
        let sequence = self.next_sequence(polled, counters.index);
        let source = DataSource::Interface(counters.index);
        let mut sample = std::mem::take(&mut self.sample);
        let mut records = Records::counters(&mut sample, datagram.room(), self.form, source, sequence);
        counters.write(&mut records);
        let format = records.finish();
        self.push(datagram, format, &sample);
        self.accounts.counter_samples.fetch_add(1, Relaxed);
        self.sample = sample;
    }

    /// In several samples where one would be more than a datagram takes.
    fn add_host(&mut self, datagram: &mut Datagram) {
        let (system, identity) = (self.system.clone(), self.identity.clone());
        let mut host = Host::new(&system, &identity);
        let mut sample = std::mem::take(&mut self.sample);
        loop {
            let sequence = self.next_sequence(&Polled::Host, 1);
            let mut records = Records::counters(&mut sample, datagram.room(), self.form, DataSource::Host, sequence);
            let goes_on = host.write(&mut records);
            let format = records.finish();
            self.push(datagram, format, &sample);
            self.accounts.counter_samples.fetch_add(1, Relaxed);
            if !goes_on {
                break;
            }
        }
        self.sample = sample;
    }

    fn add_counters_of_capture(&mut self, datagram: &mut Datagram, of: &Sample) {
        let source = DataSource::Interface(of.totals.interface);
        if !self.form.takes(of.totals.interface) {
            return;
        }
        let [_, sequence] = self.sequence_of(of.source);
        *sequence = sequence.wrapping_add(1);
        let sequence = *sequence;
        let mut sample = std::mem::take(&mut self.sample);
        let mut records = Records::counters(&mut sample, datagram.room(), self.form, source, sequence);
        write_capture(&of.totals, &mut records);
        let format = records.finish();
        self.push(datagram, format, &sample);
        self.accounts.counter_samples.fetch_add(1, Relaxed);
        self.sample = sample;
    }

    fn sequence_of(&mut self, source: usize) -> &mut [u32; 2] {
        if self.sequences.len() <= source {
            self.sequences.resize(source + 1, [0; 2]);
        }
        // As long as it was made.
        #[allow(clippy::indexing_slicing)]
        &mut self.sequences[source]
    }

    fn add_packet(&mut self, datagram: &mut Datagram, of: &Sample) {
        let interface = of.totals.interface;
        let header = SampledHeader::of(of.link_type, of.octets(), of.wire_length);
        let (Some(header), true) = (header, self.form.takes(interface)) else {
            self.accounts.without_format.fetch_add(1, Relaxed);
            return;
        };
        let mut headers = Headers::default();
        headers.read_outer(of.link_type, of.octets(), of.wire_length);
        let [input, output] = self.interfaces.ports(interface, &headers);
        let [sequence, _] = self.sequence_of(of.source);
        *sequence = sequence.wrapping_add(1);
        let head = FlowSample {
            sequence: *sequence,
            source: DataSource::Interface(interface),
            rate: self.config.sflow.interval.unwrap_or(1),
            pool: of.totals.pool(),
            drops: of.totals.dropped,
            input,
            output,
        };
        let mut sample = std::mem::take(&mut self.sample);
        let mut records = Records::flow(&mut sample, datagram.room(), self.form, &head);
        let most = usize::from(self.config.sflow.header_octets);
        records.add(SAMPLED_HEADER, |xdr| {
            xdr.words(&[header.protocol, header.frame_length, header.stripped]);
            xdr.opaque(header.octets, most);
        });
        if let Some(tag) = header.tag {
            let tag = [u32::from(tag.vlan), u32::from(tag.priority)];
            // On the way out it is the tag of what leaves; where a frame is only seen passing, it has come with it.
            let [src, dst] = match output {
                Port::Interface(_) => [[0; 2], tag],
                _ => [tag, [0; 2]],
            };
            records.add(EXTENDED_SWITCH, |xdr| {
                xdr.words(&src);
                xdr.words(&dst);
            });
        }
        if let Some(request) = Request::read(headers.payload) {
            records.add(EXTENDED_URL, |xdr| {
                xdr.word(URL_TO_SERVER);
                xdr.opaque(request.line, usize::MAX);
                xdr.opaque(request.host, usize::MAX);
            });
        }
        if let Some(sockets) = &mut self.sockets
            && let Some(connection) = sockets.look_up(&headers, &self.interfaces)
        {
            records.add(EXTENDED_TCP_INFO, |xdr| connection.write(xdr));
            let name = sockets.name(&self.system, connection.owner).as_bytes();
            let (source, destination) = match connection.way {
                Way::Sent => (name, &[][..]),
                Way::Received => (&[][..], name),
            };
            records.add(EXTENDED_USER, |xdr| {
                for user in [source, destination] {
                    xdr.word(if user.is_empty() { 0 } else { UTF8 });
                    xdr.opaque(user, USER_OCTETS);
                }
            });
        }
        let format = records.finish();
        self.push(datagram, format, &sample);
        self.accounts.flow_samples.fetch_add(1, Relaxed);
        self.sample = sample;
    }

    fn push(&mut self, datagram: &mut Datagram, format: u32, sample: &[u8]) {
        if !datagram.takes(sample.len()) {
            self.send(datagram);
        }
        datagram.push(self.clock.moment(), format, sample);
    }

    fn send(&mut self, datagram: &mut Datagram) {
        if datagram.is_empty() {
            return;
        }
        let samples = u64::from(datagram.count());
        self.receivers.send(datagram.finish(self.clock.uptime_ms()));
        let pause = self.pace.as_mut().map(|pace| pace.handle_sent(now_ns(), samples));
        if let Some(pause) = pause.filter(|pause| *pause >= LEAST_PAUSE) {
            self.config.stop.sleep(pause);
        }
    }
}
