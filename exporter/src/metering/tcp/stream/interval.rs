//! Time: how long a window is closed, something is in flight, or the sender has nothing to send.

use super::{Moment, NEVER, Stream};

impl Stream {
    /// Follows the window that its sender offers; `sender` is the stream it offers it to.
    #[inline(always)]
    pub fn offer_window(&mut self, window: u16, sender: &mut Stream, moment: &Moment<'_>) {
        self.window = window;
        self.window_known = true;
        if window == 0 || self.closed {
            self.turn_window(window == 0, sender, moment);
        }
    }

    #[cold]
    pub(super) fn turn_window(&mut self, closed: bool, sender: &mut Stream, moment: &Moment<'_>) {
        self.counts.zero_window_packets += u32::from(closed);
        if closed == self.closed {
            return;
        }
        self.closed = closed;
        if closed {
            self.counts.zero_windows += 1;
            self.closed_ns = moment.now_ns;
            sender.end_idle(moment.now_ns);
        } else {
            self.account_closed(moment.now_ns);
            (self.stalled, self.reopened) = (true, moment.tick);
            if sender.has_data && !sender.busy && !sender.fin {
                sender.idle_ns = moment.now_ns;
            }
        }
    }

    pub(super) fn account_closed(&mut self, until_ns: i64) {
        let closed_ns = until_ns.saturating_sub(self.closed_ns).max(0);
        self.closed_total_ns += closed_ns;
        self.closed_longest_ns = self.closed_longest_ns.max(closed_ns);
    }

    pub(super) fn end_idle(&mut self, now_ns: i64) {
        if self.idle_ns != NEVER {
            self.idle_total_ns += now_ns.saturating_sub(self.idle_ns).max(0);
            self.idle_ns = NEVER;
        }
    }

    /// The connection is over: that nothing is in flight any more says nothing about its sender.
    pub fn stop_waiting(&mut self) {
        self.idle_ns = NEVER;
    }

    /// Closes what is open at the end of a record, for it to go on in the next.
    pub fn close_intervals(&mut self, last_ns: i64) {
        if self.busy {
            self.busy_total_ns += last_ns.saturating_sub(self.busy_ns).max(0);
            self.busy_ns = last_ns;
        }
        if self.closed {
            self.account_closed(last_ns);
            self.closed_ns = last_ns;
        }
        if self.idle_ns != NEVER && !self.fin {
            self.end_idle(last_ns);
            self.idle_ns = last_ns;
        }
    }

    /// How long the left edge has not moved although something is in flight, ns.
    pub fn silence_ns(&self, last_ns: i64) -> i64 {
        last_ns.saturating_sub(self.progress_ns).max(0)
    }
}
