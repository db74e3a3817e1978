//! ACKs of the other side: the left edge that moves on or stands still, and SACKs.

use super::super::MeasurementFlags;
use super::super::pool::NONE;
use super::super::probes::Probes;
use super::super::sequence::{distance, is_before};
use super::{Acknowledgment, Moment, Stream};

/// Octets acknowledged without being seen; more at a time is no capture that lost packets.
const UNSEEN: i32 = 1 << 24;

impl Stream {
    /// Follows an ACK of the other side, which is `receiver`.
    #[inline(always)]
    pub fn acknowledge(
        &mut self,
        probes: &mut Probes,
        ack: &Acknowledgment<'_>,
        receiver: &Stream,
        moment: &mut Moment<'_>,
    ) {
        if !self.begun {
            // What it acknowledges was sent before the capture began.
            return self.begin_at(ack.number);
        }
        let advance = distance(self.acknowledged, ack.number);
        if probes.any() {
            let sent = if probes.by_timestamp {
                probes.answer_timestamp(ack.echo, moment.tick)
            } else if advance > 0 {
                probes.answer_sequence(ack.number, moment.tick)
            } else {
                None
            };
            if let Some(sent) = sent {
                self.sample(sent, probes.by_timestamp, ack, receiver, moment);
            }
        }
        if advance > 0 {
            self.progress(ack.number, advance, moment);
        } else {
            self.stand_still(advance, ack, receiver, moment);
        }
        if !ack.options.is_empty() {
            self.follow_sack(ack, moment);
        }
    }

    /// The left edge moves on.
    #[inline(always)]
    pub(super) fn progress(&mut self, number: u32, advance: i32, moment: &mut Moment<'_>) {
        let unseen = distance(self.next, number);
        if unseen > 0 {
            if unseen > UNSEEN && self.has_data {
                return;
            }
            if unseen == 1 && self.probed {
                self.next = number;
            } else {
                self.flags.insert(MeasurementFlags::CAPTURE_GAP);
            }
            self.probed = false;
        }
        let mut octets = advance as u32;
        if self.fin && !is_before(number, self.fin_end) && is_before(self.acknowledged, self.fin_end) {
            octets -= 1;
        }
        self.acknowledged_octets += u64::from(octets);
        let silence_ns = moment.now_ns.saturating_sub(self.progress_ns);
        self.acknowledged = number;
        (self.progress_ns, self.acknowledged_ns) = (moment.now_ns, moment.now_ns);
        self.duplicates = 0;
        if self.candidate != 0 && !is_before(number, self.candidate_end) {
            self.arrives = std::mem::take(&mut self.candidate);
        }
        if let Some(losses) = moment.shared.losses.at(self.losses) {
            losses.progress(number, moment.now_ns, silence_ns, self.arrives);
        }
        if unseen >= 0 && self.busy {
            self.busy = false;
            self.busy_total_ns += moment.now_ns.saturating_sub(self.busy_ns).max(0);
            self.idle_ns = moment.now_ns;
        }
    }

    /// The left edge stays: a duplicate ACK as in RFC 5681 section 2, or one that tells other things.
    #[inline(always)]
    pub(super) fn stand_still(
        &mut self,
        advance: i32,
        ack: &Acknowledgment<'_>,
        receiver: &Stream,
        moment: &mut Moment<'_>,
    ) {
        if self.losses != NONE
            && let Some(losses) = moment.shared.losses.at(self.losses)
        {
            losses.hear();
        }
        let unchanged = receiver.window_known && ack.window == Some(receiver.window);
        if advance == 0 && ack.pure && self.busy && unchanged {
            self.duplicates = self.duplicates.saturating_add(1);
            self.counts.duplicate_acks += 1;
        }
    }

    #[cold]
    pub(super) fn follow_sack(&mut self, ack: &Acknowledgment<'_>, moment: &mut Moment<'_>) {
        let found = super::super::options::sack(ack.options);
        if found.as_slice().is_empty() {
            return;
        }
        let (acknowledged, next) = (self.acknowledged, self.next);
        if let Some(losses) = self.losses(moment) {
            losses.follow_sack(found.as_slice(), acknowledged, next);
        }
    }
}
