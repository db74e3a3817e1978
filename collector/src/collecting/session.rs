//! One transport session: who it is with, its templates, and what is remembered between its Messages.

use std::net::SocketAddr;
use std::sync::Arc;

use flowgauge_templates::ipfix::Template;
use flowgauge_templates::management::{CollectingSession, PendingCounters, SequenceCounters, Version};
use foldhash::{HashMap, HashMapExt as _};

use crate::normalize::{Equivalents, NormalizingPlan};

/// What tells sessions apart (RFC 7011 section 2): for UDP the sender's address and port and where it sends to, for
/// streams the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The listener's place in the configuration.
    pub listener: u16,
    /// The exporter.
    pub peer: SocketAddr,
    /// The connection; 0 for UDP. Of a Message that came by a stream of SCTP, its number lies above [`STREAM_SHIFT`].
    pub connection: u64,
}

/// Where the number of an SCTP stream lies in that of a connection: so every place that carries connections carries it.
pub const STREAM_SHIFT: u32 = 48;

impl SessionKey {
    /// The key of the session, and the stream of SCTP.
    pub(super) fn split(self) -> (SessionKey, u16) {
        let connection = self.connection & ((1 << STREAM_SHIFT) - 1);
        let key = SessionKey { connection, ..self };
        (key, (self.connection >> STREAM_SHIFT) as u16)
    }
}

/// What one protocol announces means nothing to another, even from the same port.
pub(super) type SessionScope = (Version, SessionKey);

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub collecting: CollectingSession,
    pub last_seen_ns: i64,
    pub plans: Plans,
    /// What the ledger has taken over already, so that it adds differences.
    pub sequences: HashMap<u32, SequenceCounters>,
    pub pending: PendingCounters,
    /// Domain of the last Message, for what is given up between Messages.
    pub domain: u32,
}

impl Session {
    pub fn new(collecting: CollectingSession, now_ns: i64) -> Session {
        Session {
            collecting,
            last_seen_ns: now_ns,
            plans: Plans::default(),
            sequences: HashMap::new(),
            pending: PendingCounters::default(),
            domain: 0,
        }
    }
}

/// Normalising plans of the templates in use, by domain and template.
#[derive(Debug)]
pub(super) struct Plans(HashMap<(u32, u16), (Arc<Template>, Arc<NormalizingPlan>)>);

impl Default for Plans {
    fn default() -> Plans {
        Plans(HashMap::new())
    }
}

impl Plans {
    /// The plan of a template; compiled when the template is another one than last time.
    pub fn plan(
        &mut self,
        domain: u32,
        template: &Arc<Template>,
        equivalents: &Arc<Equivalents>,
    ) -> Arc<NormalizingPlan> {
        if let Some((known, plan)) = self.0.get(&(domain, template.id()))
            && Arc::ptr_eq(known, template)
        {
            return Arc::clone(plan);
        }
        let plan = Arc::new(NormalizingPlan::compile(template, equivalents));
        // Bounded as the session's templates are: one per domain and identifier, dropped when the template ends.
        self.0
            .insert((domain, template.id()), (Arc::clone(template), Arc::clone(&plan)));
        plan
    }

    /// Forgets the plan of a template that ended.
    pub fn forget(&mut self, domain: u32, id: u16) {
        match id {
            0..256 => self.0.retain(|(of, _), _| *of != domain),
            _ => drop(self.0.remove(&(domain, id))),
        }
    }
}
