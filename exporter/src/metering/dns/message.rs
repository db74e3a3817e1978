//! One DNS message: header, question, and what EDNS says (RFC 1035 section 4.1, RFC 6891). Nothing is allocated.
//!
//! A message whose question is sound is used whatever lies behind it; what is wrong there is told beside it. The answers
//! themselves are read elsewhere, and only of some messages.

use flowgauge_templates::bytes::Reader;
use flowgauge_templates::error::Layer;

use super::fault::DnsFault;
use super::name::{Name, skip};
use super::record::{Edns, Subnet};

/// Octets of the header.
pub const HEADER_OCTETS: usize = 12;

/// Header flag of responses.
pub const FLAG_RESPONSE: u16 = 0x8000;
/// Header flag of messages that were truncated.
pub const FLAG_TRUNCATED: u16 = 0x0200;

/// Record types that are looked at here.
const TYPE_OPT: u16 = 41;
/// EDNS options (IANA "DNS EDNS0 Option Codes").
const OPTION_CLIENT_SUBNET: u16 = 8;
const OPTION_EXTENDED_ERROR: u16 = 15;
/// In mDNS the highest bit of a class asks for a unicast answer, or to forget older ones (RFC 6762 sections 5.4 and 10.2).
const MDNS_CLASS: u16 = 0x7fff;

/// What a message says, apart from its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Identifier.
    pub id: u16,
    /// Second pair of octets of the header.
    pub flags: u16,
    /// Records of question, answer, authority and additional section, as the header says.
    pub counts: [u16; 4],
    /// Whether there is a question.
    pub has_question: bool,
    /// Type asked for.
    pub qtype: u16,
    /// Class asked for.
    pub qclass: u16,
    /// Where the answer section begins.
    pub answers_at: usize,
    /// The fixed part of its OPT record.
    pub edns: Option<Edns>,
    /// Response code, with the bits of EDNS.
    pub rcode: u16,
    /// EDNS client subnet.
    pub client_subnet: Option<Subnet>,
    /// First extended error.
    pub extended_error: Option<u16>,
    /// What is wrong behind the question.
    pub fault: Option<DnsFault>,
    /// Whether not all of it was captured.
    pub is_cut: bool,
}

impl Message {
    /// Reads a message of `stated` octets of which `octets` were captured. `name` takes the name asked for; of a response
    /// of mDNS, which repeats no question, that of its first answer.
    ///
    /// # Errors
    /// What is wrong before the end of the question.
    #[inline]
    pub fn read(octets: &[u8], stated: usize, is_mdns: bool, name: &mut Name) -> Result<Message, DnsFault> {
        let is_cut = octets.len() < stated;
        let not_captured = |fault: DnsFault| match fault.is_cut() && is_cut {
            true => DnsFault::NotCaptured,
            false => fault,
        };
        let mut message = Message {
            is_cut,
            ..Message::default()
        };
        message.read_question(octets, is_mdns, name).map_err(not_captured)?;
        if let Err(fault) = message.read_records(octets) {
            // A server that truncates may do so within a record.
            let excused = message.flags & FLAG_TRUNCATED != 0 || not_captured(fault) == DnsFault::NotCaptured;
            message.fault = (!excused).then_some(fault);
        }
        Ok(message)
    }

    /// Whether it is a response.
    #[inline]
    pub fn is_response(&self) -> bool {
        self.flags & FLAG_RESPONSE != 0
    }

    /// Operation.
    #[inline]
    pub fn operation(&self) -> u16 {
        self.flags >> 11 & 15
    }

    #[inline]
    fn read_question(&mut self, octets: &[u8], is_mdns: bool, name: &mut Name) -> Result<(), DnsFault> {
        let Some(([id0, id1, f0, f1, counts @ ..], _)) = octets.split_first_chunk::<HEADER_OCTETS>() else {
            return Err(DnsFault::HeaderCut);
        };
        self.id = u16::from_be_bytes([*id0, *id1]);
        self.flags = u16::from_be_bytes([*f0, *f1]);
        let [a, b, c, d, e, f, g, h] = *counts;
        self.counts = [[a, b], [c, d], [e, f], [g, h]].map(u16::from_be_bytes);
        self.rcode = self.flags & 15;
        self.answers_at = HEADER_OCTETS;
        let [questions, answers, ..] = self.counts;
        match questions {
            // Query, status, update and DNS stateful operations; inverse queries and notifications too.
            _ if !matches!(self.operation(), 0..=2 | 4..=6) => return Err(DnsFault::UnknownOperation),
            0 if is_mdns && self.is_response() && answers > 0 => {
                let behind = name.read(octets, HEADER_OCTETS)?;
                self.read_type(octets, behind)?;
                self.qclass &= MDNS_CLASS;
                self.has_question = true;
                return Ok(());
            }
            // Servers answer what they refuse to understand without its question; stateful operations have none.
            0 if self.is_response() || self.operation() == 6 => {
                name.set_root();
                return Ok(());
            }
            0 => return Err(DnsFault::NoQuestion),
            1 => {}
            _ if is_mdns => {}
            _ => return Err(DnsFault::SeveralQuestions),
        }
        let behind = name.read(octets, HEADER_OCTETS)?;
        self.read_type(octets, behind)?;
        self.has_question = true;
        self.answers_at = behind + 4;
        if is_mdns {
            self.qclass &= MDNS_CLASS;
            for _ in 1..questions {
                self.answers_at = skip(octets, self.answers_at)? + 4;
                if self.answers_at > octets.len() {
                    return Err(DnsFault::QuestionCut);
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn read_type(&mut self, octets: &[u8], at: usize) -> Result<(), DnsFault> {
        let Some([a, b, c, d]) = octets.get(at..at + 4) else {
            return Err(DnsFault::QuestionCut);
        };
        self.qtype = u16::from_be_bytes([*a, *b]);
        self.qclass = u16::from_be_bytes([*c, *d]);
        Ok(())
    }

    /// Walks over all records to find the OPT record. Each takes eleven octets at least, which bounds the walk.
    fn read_records(&mut self, octets: &[u8]) -> Result<(), DnsFault> {
        let [_, answers, authorities, additionals] = self.counts.map(u32::from);
        let mut at = self.answers_at;
        for number in 0..answers + authorities + additionals {
            let behind = skip(octets, at).map_err(|fault| match fault {
                DnsFault::NameCut => DnsFault::RecordsCut,
                other => other,
            })?;
            let Some(
                [
                    type0,
                    type1,
                    class0,
                    class1,
                    extended,
                    version,
                    flags0,
                    flags1,
                    length0,
                    length1,
                ],
            ) = octets.get(behind..behind + 10)
            else {
                return Err(DnsFault::RecordsCut);
            };
            let end = behind + 10 + usize::from(u16::from_be_bytes([*length0, *length1]));
            let data = octets.get(behind + 10..end).ok_or(DnsFault::RecordsCut)?;
            if u16::from_be_bytes([*type0, *type1]) == TYPE_OPT
                && number >= answers + authorities
                && self.edns.is_none()
            {
                self.edns = Some(Edns {
                    udp_octets: u16::from_be_bytes([*class0, *class1]),
                    version: *version,
                    flags: u16::from_be_bytes([*flags0, *flags1]),
                });
                self.rcode |= u16::from(*extended) << 4;
                self.read_options(data);
            }
            at = end;
        }
        match at < octets.len() {
            true => Err(DnsFault::TrailingOctets),
            false => Ok(()),
        }
    }

    /// Options behind one that is cut mean nothing and are not read.
    fn read_options(&mut self, data: &[u8]) {
        let mut reader = Reader::new(data, Layer::List, 0);
        while let (Ok(code), Ok(length)) = (reader.u16(), reader.u16()) {
            let Ok(value) = reader.take(usize::from(length)) else {
                return;
            };
            match (code, value) {
                (OPTION_CLIENT_SUBNET, [family0, family1, source, _, address @ ..]) => {
                    let family = u16::from_be_bytes([*family0, *family1]);
                    self.client_subnet = self.client_subnet.or(Subnet::read(family, *source, address));
                }
                (OPTION_EXTENDED_ERROR, [code0, code1, ..]) => {
                    self.extended_error.get_or_insert(u16::from_be_bytes([*code0, *code1]));
                }
                _ => {}
            }
        }
    }
}
