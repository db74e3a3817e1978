//! Who is in a session or on the way into one: each peer's datagrams find their way by its address and port.
//!
//! A peer that begins anew keeps its old session until the new handshake is done (RFC 6347 section 4.2.8), so that nobody
//! who merely sends hellos in its name can end it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flowgauge_templates::ipfix::message_length;
use openssl::ssl::{ErrorCode, SslStream};

use super::credentials::{Credentials, client_name, refusal};
use super::hello::{Cookies, Datagram, Hello, datagram, first_hello, unknown_session};
use super::pipe::{Outlet, Pipe};
use super::{Dropped, DtlsCounters, Peer};
use crate::io::queue::{Batch, Queue};
use crate::io::tcp::{Ended, TcpLimits};
use crate::io::tls::{ClientNames, Refusal};
use crate::limits::{
    DTLS_ANSWERS_PER_S, DTLS_HANDSHAKES, DTLS_HANDSHAKES_PER_ADDRESS_S, DTLS_HANDSHAKES_PER_S, DTLS_RECORD_OCTETS,
    DTLS_SILENT_S, HANDSHAKE_S, SESSION_IDLE_S,
};

/// How often sessions are looked through for silent ones.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What sessions share with the collector.
pub(super) struct Place {
    pub listener: u16,
    pub queue: Arc<Queue>,
    pub counters: Arc<DtlsCounters>,
    pub names: Arc<ClientNames>,
    pub limits: TcpLimits,
    pub connections: Arc<AtomicU64>,
    pub outlet: Outlet,
}

/// A peer on its way into a session.
struct Handshake {
    stream: SslStream<Pipe>,
    /// That of its hello.
    random: Vec<u8>,
    begun: Instant,
}

/// A peer that was let in.
struct Session {
    stream: SslStream<Pipe>,
    random: Vec<u8>,
    id: u64,
    heard: Instant,
}

/// What was begun and answered within one second.
#[derive(Default)]
struct Budget {
    since: Option<Instant>,
    handshakes: u32,
    by_address: HashMap<IpAddr, u32>,
    answers: u32,
}

impl Budget {
    fn renew(&mut self, now: Instant) {
        let is_over = |since| now.saturating_duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(is_over) {
            self.since = Some(now);
            (self.handshakes, self.answers) = (0, 0);
            self.by_address.clear();
        }
    }

    /// Whether one more handshake with that address may begin.
    fn take_handshake(&mut self, now: Instant, address: IpAddr) -> bool {
        self.renew(now);
        if self.handshakes >= DTLS_HANDSHAKES_PER_S {
            return false;
        }
        let of_address = self.by_address.entry(address).or_default();
        if *of_address >= DTLS_HANDSHAKES_PER_ADDRESS_S {
            return false;
        }
        *of_address += 1;
        self.handshakes += 1;
        true
    }

    fn take_answer(&mut self, now: Instant) -> bool {
        self.renew(now);
        let has_room = self.answers < DTLS_ANSWERS_PER_S;
        self.answers += u32::from(has_room);
        has_room
    }
}

/// All of one listener's.
pub(super) struct Sessions {
    place: Place,
    credentials: Credentials,
    cookies: Cookies,
    handshakes: HashMap<Peer, Handshake>,
    sessions: HashMap<Peer, Session>,
    budget: Budget,
    /// Messages of one session, not queued yet.
    run: Option<Batch>,
    /// Ends of sessions that the queue had no room for; no more than there may be sessions.
    owed: Vec<Batch>,
    looked: Instant,
    record: Vec<u8>,
}

impl Sessions {
    pub fn new(place: Place, credentials: Credentials, cookies: Cookies) -> Sessions {
        Sessions {
            place,
            credentials,
            cookies,
            handshakes: HashMap::new(),
            sessions: HashMap::new(),
            budget: Budget::default(),
            run: None,
            owed: Vec::new(),
            looked: Instant::now(),
            record: vec![0; DTLS_RECORD_OCTETS],
        }
    }

    /// Takes one datagram.
    pub fn handle_datagram(&mut self, now: Instant, peer: Peer, bytes: &[u8]) {
        match datagram(bytes) {
            Datagram::Encrypted { data } if self.sessions.contains_key(&peer) => {
                let read = self.read(now, peer, bytes);
                if data && read == 0 {
                    self.place.counters.give_up(Dropped::Unreadable);
                }
            }
            Datagram::Hello(hello) => self.handle_hello(now, peer, &hello, bytes),
            Datagram::BadHello => self.place.counters.give_up(Dropped::BadHello),
            Datagram::Handshake | Datagram::OpenAlert | Datagram::Encrypted { .. }
                if self.handshakes.contains_key(&peer) =>
            {
                self.shake(now, peer, Some(bytes));
            }
            // The last words of a handshake, when our own were lost.
            Datagram::Handshake if self.sessions.contains_key(&peer) => {
                self.read(now, peer, bytes);
            }
            Datagram::Encrypted { data: true } => {
                self.place.counters.give_up(Dropped::NoSession);
                if self.budget.take_answer(now) {
                    self.place.outlet.send(peer, &unknown_session());
                }
            }
            Datagram::Handshake | Datagram::OpenAlert | Datagram::Encrypted { .. } => {
                self.place.counters.give_up(Dropped::NoSession);
            }
            Datagram::Other => {
                self.place.counters.give_up(Dropped::NotDtls);
                tracing::warn!(%peer, "a datagram is not DTLS, and is given up; is it told to send to dtls://?");
            }
        }
    }

    fn handle_hello(&mut self, now: Instant, peer: Peer, hello: &Hello<'_>, bytes: &[u8]) {
        if let Some(handshake) = self.handshakes.get(&peer)
            && handshake.random == hello.random
        {
            // Said again, since our answer did not come in time. Without a cookie it is older than what stands.
            if !hello.cookie.is_empty() {
                self.shake(now, peer, Some(bytes));
            }
            return;
        }
        let is_late = self
            .sessions
            .get(&peer)
            .is_some_and(|session| session.random == hello.random);
        if is_late {
            return self.place.counters.give_up(Dropped::Unreadable);
        }
        // Behind a hello that was asked for its cookie comes the second of its handshake's messages.
        if hello.message == 1 && self.cookies.is_valid(now, peer, hello) {
            return self.begin(now, peer, hello, bytes);
        }
        if let Ok(request) = self.cookies.request(now, peer, hello) {
            self.place.counters.hellos.fetch_add(1, Ordering::Relaxed);
            self.place.outlet.send(peer, &request);
        }
    }

    /// Begins a handshake with a peer that can be reached.
    fn begin(&mut self, now: Instant, peer: Peer, hello: &Hello<'_>, bytes: &[u8]) {
        let counters = Arc::clone(&self.place.counters);
        if !self.budget.take_handshake(now, peer.ip()) {
            counters.give_up(Dropped::TooManyHandshakes);
            tracing::warn!(%peer, "a handshake is put off: too many were begun within a second");
            return;
        }
        counters.sessions.accepted.fetch_add(1, Ordering::Relaxed);
        if self.handshakes.contains_key(&peer) {
            self.refuse(peer, &handshake_refusal("it began anew within the DTLS handshake"));
        }
        if !self.has_room(now, peer) {
            counters.sessions.end(Ended::TooMany);
            let limit = self.place.limits.connections;
            tracing::warn!(%peer, limit, "a session refused: too many are open");
            return;
        }
        if self.handshakes.len() >= DTLS_HANDSHAKES {
            let oldest = self.handshakes.iter().min_by_key(|(_, handshake)| handshake.begun);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.refuse(oldest, &handshake_refusal("too many DTLS handshakes are under way"));
            }
        }
        counters.sessions.open.fetch_add(1, Ordering::Relaxed);
        let sequence = hello
            .sequence
            .iter()
            .fold(0, |number, octet| number << 8 | u64::from(*octet));
        let pipe = Pipe::muted(self.place.outlet.clone(), peer, sequence.saturating_sub(1));
        let stream = self.credentials.session().and_then(|ssl| SslStream::new(ssl, pipe));
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                counters.sessions.open.fetch_sub(1, Ordering::Relaxed);
                counters.sessions.end(Ended::Handshake);
                tracing::warn!(%peer, "exporter turned away: {}", super::credentials::reason(&error));
                return;
            }
        };
        stream.get_mut().put(&first_hello());
        // It asks for the cookie, which goes nowhere, and waits.
        let _ = stream.do_handshake();
        stream.get_mut().unmute();
        let handshake = Handshake {
            stream,
            random: hello.random.to_vec(),
            begun: now,
        };
        self.handshakes.insert(peer, handshake);
        self.shake(now, peer, Some(bytes));
    }

    /// Whether one more session may be; the one that is silent longest gives way, if it is silent for long.
    fn has_room(&mut self, now: Instant, peer: Peer) -> bool {
        // A session whose end is not told yet still takes its place.
        let open = (self.sessions.len() + self.handshakes.len() + self.owed.len()) as u64;
        if open < self.place.limits.connections || self.sessions.contains_key(&peer) {
            return true;
        }
        let silent = self.sessions.iter().min_by_key(|(_, session)| session.heard);
        let silent = silent
            .filter(|(_, session)| now.saturating_duration_since(session.heard) >= Duration::from_secs(DTLS_SILENT_S));
        match silent.map(|(peer, _)| *peer) {
            Some(silent) => {
                self.end(silent, Ended::Idle);
                true
            }
            None => false,
        }
    }

    /// Goes on with a handshake: with what came, or since it is time to say something again.
    fn shake(&mut self, now: Instant, peer: Peer, bytes: Option<&[u8]>) {
        let Some(handshake) = self.handshakes.get_mut(&peer) else {
            return;
        };
        if let Some(bytes) = bytes {
            handshake.stream.get_mut().put(bytes);
        }
        match handshake.stream.do_handshake() {
            Ok(()) => self.let_in(now, peer),
            Err(error) if error.code() == ErrorCode::WANT_READ => {}
            Err(error) => {
                let refusal = refusal(handshake.stream.ssl(), &error);
                self.refuse(peer, &refusal);
            }
        }
    }

    fn let_in(&mut self, now: Instant, peer: Peer) {
        let Some(handshake) = self.handshakes.remove(&peer) else {
            return;
        };
        if self.sessions.contains_key(&peer) {
            self.end(peer, Ended::Replaced);
        }
        match client_name(handshake.stream.ssl()) {
            Some(name) => {
                self.place.names.insert(peer.ip(), &name);
                tracing::info!(%peer, name, "exporter connected");
            }
            None => tracing::info!(%peer, "exporter connected"),
        }
        let session = Session {
            stream: handshake.stream,
            random: handshake.random,
            id: 1 + self.place.connections.fetch_add(1, Ordering::Relaxed),
            heard: now,
        };
        self.sessions.insert(peer, session);
        // Data may have come in the same datagram.
        self.read(now, peer, &[]);
    }

    fn refuse(&mut self, peer: Peer, refusal: &Refusal) {
        if self.handshakes.remove(&peer).is_some() {
            tracing::warn!(%peer, "exporter turned away: {}", refusal.line);
            let sessions = &self.place.counters.sessions;
            sessions.open.fetch_sub(1, Ordering::Relaxed);
            sessions.end(refusal.ended);
        }
    }

    /// Reads what a datagram has for a session; says how many Messages that were.
    fn read(&mut self, now: Instant, peer: Peer, bytes: &[u8]) -> usize {
        let Some(session) = self.sessions.get_mut(&peer) else {
            return 0;
        };
        session.stream.get_mut().put(bytes);
        let mut read = 0;
        let ended = loop {
            match session.stream.ssl_read(&mut self.record) {
                Ok(octets) => {
                    read += 1;
                    session.heard = now;
                    let message = self.record.get(..octets).unwrap_or_default();
                    take(&self.place, &mut self.run, (peer, session.id), message);
                }
                Err(error) => match error.code() {
                    ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => break None,
                    ErrorCode::ZERO_RETURN => break Some(Ended::Closed),
                    _ => break Some(Ended::Broken),
                },
            }
        };
        if let Some(ended) = ended {
            self.end(peer, ended);
        }
        read
    }

    /// Ends a session in good order, if it is there.
    fn end(&mut self, peer: Peer, reason: Ended) {
        let Some(mut session) = self.sessions.remove(&peer) else {
            return;
        };
        // Who began anew has forgotten the keys that it would be told with.
        if !matches!(reason, Ended::Broken | Ended::Replaced) {
            let _ = session.stream.shutdown();
        }
        self.flush();
        let mut last = self
            .place
            .queue
            .batch(self.place.listener, session.id, crate::run::now_ns());
        last.close(peer);
        if let Err(refused) = self.place.queue.try_push(last) {
            self.owed.push(refused);
        }
        let sessions = &self.place.counters.sessions;
        sessions.open.fetch_sub(1, Ordering::Relaxed);
        sessions.end(reason);
        tracing::info!(%peer, reason = reason.as_str(), "exporter disconnected");
    }

    /// Queues what was read.
    pub fn flush(&mut self) {
        if let Some(batch) = self.run.take() {
            push(&self.place, batch);
        }
    }

    /// Says again what has not been answered, and ends what takes too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(batch) = self.owed.pop() {
            if let Err(refused) = self.place.queue.try_push(batch) {
                self.owed.push(refused);
                break;
            }
        }
        let patience = Duration::from_secs(HANDSHAKE_S);
        let under_way: Vec<(Peer, bool)> = self
            .handshakes
            .iter()
            .map(|(peer, handshake)| (*peer, now.saturating_duration_since(handshake.begun) >= patience))
            .collect();
        for (peer, is_over) in under_way {
            match is_over {
                true => {
                    let line = format!("no end to the DTLS handshake within {HANDSHAKE_S} s");
                    self.refuse(peer, &handshake_refusal(&line));
                }
                false => self.shake(now, peer, None),
            }
        }
        if now.saturating_duration_since(self.looked) < LOOK_INTERVAL {
            return;
        }
        self.looked = now;
        let idle = match self.place.limits.idle {
            // An exporter that is gone without a word is not heard of again.
            Duration::ZERO => Duration::from_secs(SESSION_IDLE_S.unsigned_abs()),
            idle => idle,
        };
        let is_silent = |session: &Session| now.saturating_duration_since(session.heard) >= idle;
        let silent = self.sessions.iter().filter(|(_, session)| is_silent(session));
        let silent: Vec<Peer> = silent.map(|(peer, _)| *peer).collect();
        for peer in silent {
            self.end(peer, Ended::Idle);
        }
    }

    /// Tells every peer that the collector stops.
    pub fn close(&mut self) {
        let peers: Vec<Peer> = self.sessions.keys().copied().collect();
        for peer in peers {
            self.end(peer, Ended::Stopped);
        }
        let peers: Vec<Peer> = self.handshakes.keys().copied().collect();
        for peer in peers {
            let line = "the collector stops".to_owned();
            self.refuse(
                peer,
                &Refusal {
                    ended: Ended::Stopped,
                    line,
                },
            );
        }
        let deadline = Instant::now() + Duration::from_secs(1);
        for batch in self.owed.drain(..) {
            // A session whose end is not told ends when the journal is read at the next start.
            let _ = self.place.queue.push_until(batch, deadline);
        }
    }
}

fn handshake_refusal(line: &str) -> Refusal {
    Refusal {
        ended: Ended::Handshake,
        line: line.to_owned(),
    }
}

/// Puts a Message behind those of its session.
fn take(place: &Place, run: &mut Option<Batch>, (peer, id): (Peer, u64), message: &[u8]) {
    // One record is one Message, as one datagram is over UDP.
    if !matches!(message_length(message), Ok(Some(length)) if length == message.len()) {
        place.counters.give_up(Dropped::NotIpfix);
        tracing::warn!(%peer, octets = message.len(), "a record that is not one IPFIX Message is given up");
        return;
    }
    if let Some(batch) = run.take_if(|batch| batch.connection != id) {
        push(place, batch);
    }
    run.get_or_insert_with(|| place.queue.batch(place.listener, id, crate::run::now_ns()))
        .push(peer, message);
    let sessions = &place.counters.sessions;
    sessions.messages.fetch_add(1, Ordering::Relaxed);
    sessions.octets.fetch_add(message.len() as u64, Ordering::Relaxed);
}

fn push(place: &Place, batch: Batch) {
    let (messages, octets) = (batch.received, batch.octets);
    if let Err(refused) = place.queue.try_push(batch) {
        let counters = &place.counters.datagrams;
        counters.queue_drops.fetch_add(messages, Ordering::Relaxed);
        counters.queue_drop_octets.fetch_add(octets, Ordering::Relaxed);
        place.queue.recycle(refused);
    }
}
