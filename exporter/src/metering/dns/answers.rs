//! The answers of a response, read by hickory-proto: on a sample, because that allocates and costs more than all the rest.
//!
//! They are written here in the form in which they go out: records of the templates of [`super::record::DnsAnswers`]. Data
//! other than addresses is RDATA as on the wire, with its names written out (RFC 3597 section 4): the message that
//! compressed names point into is not there any more.

use flowgauge_templates::ipfix::RecordWriter;
use hickory_proto::rr::{RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};

use super::counters::DnsCounters;
use super::message::Message;
use super::name::{MAX_TEXT_OCTETS, Name, skip};
use super::record::{DnsAnswers, TextRange};
use crate::limits;

/// What reads answers, and the memory for it.
#[derive(Debug, Default)]
pub(super) struct AnswerReader {
    name: Name,
    text: Vec<u8>,
    data: Vec<u8>,
    lists: [Vec<u8>; 3],
    record: Vec<u8>,
}

impl AnswerReader {
    /// Reads the answers of a message and appends them to `out`; none when there are none.
    pub fn read(
        &mut self,
        octets: &[u8],
        message: &Message,
        counters: &mut DnsCounters,
        out: &mut Vec<u8>,
    ) -> Option<DnsAnswers> {
        self.lists.iter_mut().for_each(Vec::clear);
        let mut at = message.answers_at;
        for number in 0..message.counts[1] {
            let Some(end) = end_of(octets, at) else { break };
            let left = message.counts[1] - number;
            if usize::from(number) >= limits::DNS_ANSWERS {
                counters.answers_left_out += u64::from(left);
                break;
            }
            match self.read_one(octets, at) {
                Some(list)
                    if self.lists.iter().map(Vec::len).sum::<usize>() + self.record.len()
                        <= limits::DNS_ANSWER_OCTETS =>
                {
                    counters.answers += 1;
                    if let Some(list) = self.lists.get_mut(list) {
                        list.extend_from_slice(&self.record);
                    }
                }
                Some(_) => counters.answers_left_out += 1,
                None => counters.answers_unreadable += 1,
            }
            at = end;
        }
        if self.lists.iter().all(Vec::is_empty) {
            return None;
        }
        let mut answers = DnsAnswers::default();
        for (range, list) in answers.lists.iter_mut().zip(&self.lists) {
            let start = out.len();
            out.extend_from_slice(list);
            *range = TextRange::since(start, out);
        }
        Some(answers)
    }

    /// Writes one answer into `record`, and says in which list it belongs.
    fn read_one(&mut self, octets: &[u8], at: usize) -> Option<usize> {
        let place = u16::try_from(at).ok().filter(|_| at <= octets.len())?;
        self.name.read(octets, at).ok()?;
        self.text.clear();
        self.name.write_text(&mut self.text);
        let answer = Record::read(&mut BinDecoder::new(octets).clone(place)).ok()?;
        self.data.clear();
        if !matches!(answer.data, RData::A(_) | RData::AAAA(_)) {
            let mut encoder = BinEncoder::new(&mut self.data);
            // Names written out and in lower case (RFC 4034 section 6.2), as the names asked for are.
            encoder.set_canonical_form(true);
            answer.data.emit(&mut encoder).ok()?;
        }
        self.record.resize(MAX_RECORD_OCTETS, 0);
        let mut writer = RecordWriter::new(&mut self.record);
        writer.variable(&self.text);
        writer.u16(answer.record_type().into());
        writer.u32(answer.ttl);
        let list = match &answer.data {
            RData::A(address) => {
                writer.ipv4(address.0);
                0
            }
            RData::AAAA(address) => {
                writer.ipv6(address.0);
                1
            }
            _ => {
                writer.variable(&self.data);
                2
            }
        };
        let written = writer.written();
        if writer.missing() > 0 {
            // Longer than any message: longer than what there is room for.
            return Some(list);
        }
        self.record.truncate(written);
        Some(list)
    }
}

/// Room for the longest record that is taken, and for one that is just not.
const MAX_RECORD_OCTETS: usize = limits::DNS_ANSWER_OCTETS + 3 + MAX_TEXT_OCTETS + 6;

/// Where the record at `at` ends.
fn end_of(octets: &[u8], at: usize) -> Option<usize> {
    let behind = skip(octets, at).ok()?;
    let length = octets.get(behind + 8..behind + 10)?;
    let end = behind + 10 + length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
    (end <= octets.len()).then_some(end)
}
