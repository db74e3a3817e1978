//! The transactions that wait for their response: a table of fixed size.
//!
//! A transaction is found by what the response repeats: 5-tuple, identifier, name, type and class. The first two are in the
//! hash, the rest is compared, so that a response without its question finds its query as well.

use super::aging::Aging;
use super::buckets::{Buckets, spread};
use super::message::Message;
use super::name::Name;
use super::record::{Edns, Subnet};
use crate::metering::key::PackedKey;
use crate::metering::slab::Slab;

/// Where messages are on their way: the flow, and which end is the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conversation {
    pub key: PackedKey,
    /// Of `key`.
    pub hash: u32,
    /// Whether the client is the high end of the key.
    pub client_is_high: bool,
}

/// A query without its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub conversation: Conversation,
    pub start_ns: i64,
    pub last_ns: i64,
    pub interface: u32,
    pub selector: u32,
    pub id: u16,
    pub flags: u16,
    pub qtype: u16,
    pub qclass: u16,
    pub octets: u16,
    pub retries: u8,
    pub edns: Option<Edns>,
    pub client_subnet: Option<Subnet>,
    pub name: Name,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Transactions {
    open: Slab<Open>,
    vacant: Vec<u32>,
    buckets: Buckets,
    aging: Aging,
    most: usize,
}

impl Transactions {
    pub fn new(most: usize) -> Transactions {
        Transactions {
            open: Slab::new(most),
            vacant: Vec::new(),
            buckets: Buckets::new(most),
            aging: Aging::default(),
            most,
        }
    }

    pub fn len(&self) -> usize {
        self.open.len() - self.vacant.len()
    }

    /// The transaction at a place that is in use.
    pub fn get(&self, place: u32) -> &Open {
        &self.open[place as usize]
    }

    /// The transaction that a message belongs to.
    #[inline]
    pub fn find(&self, conversation: &Conversation, message: &Message, name: &Name) -> Option<u32> {
        self.buckets.find(spread(conversation.hash, message.id), |place| {
            self.open.get(place as usize).is_some_and(|open| {
                let same_question = !message.has_question
                    || (open.qtype == message.qtype && open.qclass == message.qclass && open.name == *name);
                same_question
                    && open.id == message.id
                    && open.conversation.client_is_high == conversation.client_is_high
                    && open.conversation.key == conversation.key
            })
        })
    }

    /// Adds one, and gives back the place of one that has to be ended first to make room for later ones.
    #[inline]
    pub fn add(&mut self, conversation: &Conversation, message: &Message, name: &Name, of: &Arrived) -> Option<u32> {
        let place = match self.vacant.pop() {
            Some(place) => place,
            None => self.open.push(EMPTY),
        };
        let open = &mut self.open[place as usize];
        open.conversation = *conversation;
        open.start_ns = of.now_ns;
        open.last_ns = of.now_ns;
        open.interface = of.interface;
        open.selector = of.selector;
        open.id = message.id;
        open.flags = message.flags;
        open.qtype = message.qtype;
        open.qclass = message.qclass;
        open.octets = of.octets;
        open.retries = 0;
        open.edns = message.edns;
        open.client_subnet = message.client_subnet;
        open.name.set(name);
        self.aging.add(place);
        let displaced = self.buckets.insert(spread(conversation.hash, message.id), place);
        displaced.or_else(|| (self.len() >= self.most).then(|| self.aging.oldest()).flatten())
    }

    /// A query came again.
    pub fn repeat(&mut self, place: u32, now_ns: i64) {
        let open = &mut self.open[place as usize];
        open.last_ns = open.last_ns.max(now_ns);
        open.retries = open.retries.saturating_add(1);
        self.aging.renew(place);
    }

    /// Takes one out. What it was stays readable until the next is added.
    #[inline]
    pub fn remove(&mut self, place: u32) {
        let open = &self.open[place as usize];
        self.buckets.remove(spread(open.conversation.hash, open.id), place);
        self.aging.remove(place);
        self.vacant.push(place);
    }

    /// The one whose last query is oldest.
    #[inline]
    pub fn oldest(&self) -> Option<u32> {
        self.aging.oldest()
    }

    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.open.len() * size_of::<Open>()
            + self.vacant.capacity() * size_of::<u32>()
            + self.buckets.octets()
            + self.aging.octets()
    }
}

/// How a message came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub now_ns: i64,
    pub interface: u32,
    pub selector: u32,
    /// Octets of the message.
    pub octets: u16,
}

const EMPTY: Open = Open {
    conversation: Conversation {
        key: PackedKey {
            low: 0,
            high: 0,
            ports_vlan: 0,
            context: 0,
        },
        hash: 0,
        client_is_high: false,
    },
    start_ns: 0,
    last_ns: 0,
    interface: 0,
    selector: 0,
    id: 0,
    flags: 0,
    qtype: 0,
    qclass: 0,
    octets: 0,
    retries: 0,
    edns: None,
    client_subnet: None,
    name: Name::ROOT,
};
