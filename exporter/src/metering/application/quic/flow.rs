//! QUIC as an application protocol: which packets of a flow to open, with which keys, until both hellos are read.
//!
//! quicVersion is what the server's first Initial that opens says; until one does, what the first long header says.

use flowgauge_ie_registry::ids;

use super::super::tls::ja4::Carrier as Ja4Carrier;
use super::super::tls::octets::Octets;
use super::super::tls::{self, Gather, client_hello, server_hello};
use super::frames::CryptoFrames;
use super::initial::{self, SCRATCH, Sender};
use super::limits::{MAX_COALESCED_PACKETS, MAX_CRYPTO_OCTETS, MAX_SEALED_PACKETS};
use super::packet::{self, Kind, LongHeader, MAX_CONNECTION_ID_OCTETS, Packet};
use super::version::Version;
use crate::metering::application::{
    About, Carrier, Conversation, Fault, Field, FirstOctets, Input, Progress, Protocol, Values, Verdict,
};

static ABOUT: About = About {
    name: "quic",
    fields: &FIELDS,
    carriers: &[Carrier::Udp],
    // A long header; its second bit is 1 in a connection's first packets (RFC 9000 section 17.2).
    first_octets: FirstOctets::range(0xc0, 0xff),
    hold_octets: MAX_CRYPTO_OCTETS as u16 + 1024,
};

const FIELDS: [Field; 7] = {
    let [name, server, protocols, version, cipher_suite, fingerprint] = tls::FIELDS;
    let quic_version = Field::fixed(ids::QUIC_VERSION, 4);
    [
        name,
        server,
        protocols,
        version,
        cipher_suite,
        fingerprint,
        quic_version,
    ]
};

/// The protocol.
pub struct Quic;

impl Protocol for Quic {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn recognise(&self, input: &Input<'_>) -> Verdict {
        let header = LongHeader::read(&mut Octets::new(input.octets));
        match header.is_some_and(|header| Version::is_known(header.version)) {
            true => Verdict::Yes,
            false => Verdict::No,
        }
    }

    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress {
        let mut rest = input.octets;
        for _ in 0..MAX_COALESCED_PACKETS {
            let mut octets = Octets::new(rest);
            let Some(header) = LongHeader::read(&mut octets) else {
                break;
            };
            let Some(version) = Version::of(header.version) else {
                return unreadable(&header, conversation.values);
            };
            conversation.values.set_number(ids::QUIC_VERSION, header.version.into());
            let packet = match packet::take(&mut rest, &header, octets, version) {
                Ok(packet) => packet,
                Err(fault) => return Progress::Fault(fault),
            };
            match packet.kind {
                Kind::Initial => match read_initial(input, conversation, &header, version, &packet) {
                    Progress::More => {}
                    progress => return progress,
                },
                Kind::Retry => read_retry(input, conversation, &header),
                Kind::ZeroRtt | Kind::Handshake => {}
            }
        }
        Progress::More
    }
}

/// What is said of versions that are not opened: their number, unless it stands for Version Negotiation (RFC 9000
/// section 17.2.1) or for nothing (section 15, versions to exercise it), upon which the client begins anew.
fn unreadable(header: &LongHeader<'_>, values: &mut Values) -> Progress {
    if !Version::is_known(header.version) {
        return Progress::More;
    }
    values.set_number(ids::QUIC_VERSION, header.version.into());
    Progress::Finished
}

/// What is remembered of a connection, at the beginning of the notes.
#[derive(Clone, Copy, Default)]
struct Connection {
    /// The direction of the client.
    client: u8,
    length: u8,
    id: [u8; MAX_CONNECTION_ID_OCTETS],
}

/// Octets of a [`Connection`] in the notes; what is being gathered lies behind.
const CONNECTION_OCTETS: usize = 2 + MAX_CONNECTION_ID_OCTETS;

impl Connection {
    fn load(notes: &[u8]) -> Option<Connection> {
        let [client, length, id @ ..] = notes.first_chunk::<CONNECTION_OCTETS>()?;
        Some(Connection {
            client: *client,
            length: *length,
            id: *id,
        })
    }

    fn new(client: usize, id: &[u8]) -> Connection {
        let mut connection = Connection {
            client: client as u8,
            length: id.len() as u8,
            ..Connection::default()
        };
        for (place, octet) in connection.id.iter_mut().zip(id) {
            *place = *octet;
        }
        connection
    }

    fn store(&self, notes: &mut Vec<u8>) {
        if notes.len() < CONNECTION_OCTETS {
            notes.resize(CONNECTION_OCTETS, 0);
        }
        if let Some([client, length, id @ ..]) = notes.first_chunk_mut::<CONNECTION_OCTETS>() {
            *client = self.client;
            *length = self.length;
            *id = self.id;
        }
    }

    fn id(&self) -> &[u8] {
        self.id.get(..self.length.into()).unwrap_or_default()
    }
}

/// RFC 9001 section 5.2: "the Destination Connection ID field from the first Initial packet sent by the client", and after a
/// Retry that is the ID that the server chose in it.
fn read_retry(input: &Input<'_>, conversation: &mut Conversation<'_>, header: &LongHeader<'_>) {
    match Connection::load(conversation.notes) {
        Some(known) if usize::from(known.client) != input.direction => {
            Connection::new(known.client.into(), header.source).store(conversation.notes);
        }
        _ => {}
    }
}

/// Opens an Initial packet and reads what it adds to the handshake.
fn read_initial(
    input: &Input<'_>,
    conversation: &mut Conversation<'_>,
    header: &LongHeader<'_>,
    version: &Version,
    packet: &Packet<'_>,
) -> Progress {
    let mut scratch = SCRATCH;
    let known = Connection::load(conversation.notes);
    let sender = match known {
        Some(known) if usize::from(known.client) != input.direction => Sender::Server,
        _ => Sender::Client,
    };
    let mut result = Err(Fault::Sealed);
    if let Some(known) = &known {
        result = initial::open(packet, version, known.id(), sender, &mut scratch).map(<[u8]>::len);
    }
    // The first packet of a client, and the first after a Retry, is sealed with the ID that it carries itself.
    let own_id = known.is_none_or(|known| sender == Sender::Client && known.id() != header.destination);
    if result == Err(Fault::Sealed) && own_id {
        result = initial::open(packet, version, header.destination, Sender::Client, &mut scratch).map(<[u8]>::len);
        if result.is_ok() {
            Connection::new(input.direction, header.destination).store(conversation.notes);
        }
    }
    let frames = match result {
        Ok(length) => {
            let end = packet.bytes.len() - 16;
            scratch.get(end.saturating_sub(length)..end).unwrap_or_default()
        }
        Err(Fault::Sealed) => {
            *conversation.stage += 1;
            return match *conversation.stage >= MAX_SEALED_PACKETS {
                true => Progress::Fault(Fault::Sealed),
                false => Progress::More,
            };
        }
        Err(fault) => return Progress::Fault(fault),
    };
    // A server may choose another version than the client began with (RFC 9368).
    if sender == Sender::Server {
        conversation.values.clear(ids::QUIC_VERSION);
        conversation.values.set_number(ids::QUIC_VERSION, header.version.into());
    }
    match read_frames(frames, sender, conversation) {
        Ok(progress) => progress,
        Err(fault) => Progress::Fault(fault),
    }
}

/// Puts the CRYPTO frames of a packet to those before, and reads the hello once it is whole.
fn read_frames(frames: &[u8], sender: Sender, conversation: &mut Conversation<'_>) -> Result<Progress, Fault> {
    let mut frames = CryptoFrames::new(frames);
    let Some(first) = frames.next()? else {
        return Ok(Progress::More);
    };
    if first.offset == 0
        && let Some(progress) = read_hello(first.data, sender, conversation.values)
    {
        Gather::clear(conversation.notes, CONNECTION_OCTETS);
        return Ok(progress);
    }
    let mut gather = Gather::new(conversation.notes, CONNECTION_OCTETS, 1 + sender as u8);
    let mut next = Some(first);
    while let Some(crypto) = next {
        gather.put(crypto.offset, crypto.data, MAX_CRYPTO_OCTETS)?;
        next = frames.next()?;
    }
    match read_hello(gather.ready(), sender, conversation.values) {
        Some(progress) => {
            Gather::clear(conversation.notes, CONNECTION_OCTETS);
            Ok(progress)
        }
        None => Ok(Progress::More),
    }
}

/// Reads a hello; nothing when it is not whole yet.
fn read_hello(handshake: &[u8], sender: Sender, values: &mut Values) -> Option<Progress> {
    let mut octets = Octets::new(handshake);
    let kind = octets.u8().ok()?;
    let length = octets.u24().ok()?;
    if length > tls::limits::MAX_HELLO_OCTETS {
        return Some(Progress::Fault(Fault::TooLong));
    }
    let body = octets.take(length).ok()?;
    let result = match (sender, kind) {
        (Sender::Client, tls::HANDSHAKE_CLIENT_HELLO) => client_hello::parse_body(body, false)
            .and_then(|hello| tls::set_client_hello(values, &hello, Ja4Carrier::Quic)),
        (Sender::Server, tls::HANDSHAKE_SERVER_HELLO) => {
            server_hello::parse_body(body).and_then(|hello| tls::set_server_hello(values, &hello))
        }
        _ => Err(Fault::Malformed),
    };
    Some(match result {
        Ok(()) => Progress::Done,
        Err(fault) => Progress::Fault(fault),
    })
}
