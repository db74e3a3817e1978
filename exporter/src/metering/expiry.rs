//! What time and a full table do to flows: records of those whose timeout has passed, room for new ones.

use super::flow::HotFlow;
use super::meter::Meter;
use super::prefetch::prefetch;
use super::record::FlowEndReason;
use super::records::Place;
use super::tcp::TrackerPlace;
use crate::limits;

/// Flows of a slot of the wheel that are fetched from memory together.
const GROUP: usize = 16;

/// What a flow's timeout says.
enum Due {
    Later(i64),
    Cut(FlowEndReason),
    End(FlowEndReason),
}

impl Meter {
    /// Moves the clock and ends what is due; false for a time before one seen earlier.
    #[inline(always)]
    pub(super) fn set_clock(&mut self, now_ns: i64) -> bool {
        if self.clock_ns.is_some_and(|clock| now_ns < clock) {
            self.go_back(now_ns);
            return false;
        }
        let now_tick = self.wheel.tick_of(now_ns);
        if self.clock_ns.replace(now_ns).is_none() {
            self.wheel.set_tick(now_tick);
        } else if now_tick > self.wheel.tick() || self.lagging {
            self.expire(now_tick);
        }
        true
    }

    /// A frame from before the newest one is late; one from longer ago than any timeout means that time was set back,
    /// or that an older capture follows a newer one, and flows must be able to grow old again.
    #[cold]
    fn go_back(&mut self, now_ns: i64) {
        self.counters.out_of_order_frames += 1;
        let lateness = self.clock_ns.map_or(0, |clock| clock.saturating_sub(now_ns));
        if lateness > self.config.idle_timeout_ns {
            self.counters.clock_set_back += 1;
            self.clock_ns = Some(now_ns);
            let tick = self.wheel.tick_of(now_ns);
            self.wheel.set_tick(tick);
        }
    }

    /// Visits the flows whose timeout may have passed.
    #[inline(never)]
    fn expire(&mut self, now_tick: i64) {
        let now_ns = self.clock_ns.unwrap_or_default();
        self.lagging = false;
        let mut due = [0; GROUP];
        loop {
            let room = limits::MAX_PENDING_RECORDS.saturating_sub(self.pending.len());
            if room == 0 {
                self.lagging = true;
                return;
            }
            let taken = self.wheel.take_due(now_tick, &mut due[..room.min(GROUP)]);
            let due = due.get(..taken).unwrap_or_default();
            if due.is_empty() {
                return;
            }
            self.fetch(due);
            for place in due {
                self.visit(*place, now_ns);
            }
        }
    }

    /// Asks for flows that are about to be visited; most of them have been out of the caches since their last packet.
    fn fetch(&self, places: &[u32]) {
        for place in places {
            let (hot, cold) = (self.hot.address(*place), self.cold.address(*place));
            prefetch(hot);
            prefetch(hot.cast::<u8>().wrapping_add(64));
            prefetch(cold);
            prefetch(cold.cast::<u8>().wrapping_add(64));
        }
        for place in places {
            if let Some(flow) = self.hot.get(*place as usize) {
                self.index.prefetch(flow.hash);
            }
        }
    }

    #[inline(always)]
    fn visit(&mut self, place: u32, now_ns: i64) {
        match self.due(place, now_ns) {
            Due::Later(deadline_ns) => self.wheel.insert(place, deadline_ns),
            Due::End(reason) => self.end(place, reason),
            Due::Cut(reason) => {
                self.cut(place, reason);
                let deadline_ns = self.idle_deadline_ns(place);
                self.wheel.insert(place, deadline_ns);
            }
        }
    }

    fn idle_deadline_ns(&self, place: u32) -> i64 {
        let flow = &self.hot[place as usize];
        let wait_ns = match flow.tcp.ended() {
            true => self.config.tcp_linger_ns.min(self.config.idle_timeout_ns),
            false => self.config.idle_timeout_ns,
        };
        flow.newest_ns().saturating_add(wait_ns)
    }

    fn due(&self, place: u32, now_ns: i64) -> Due {
        let flow = &self.hot[place as usize];
        let idle_ns = self.idle_deadline_ns(place);
        if now_ns >= idle_ns {
            return Due::End(FlowEndReason::IdleTimeout);
        }
        let active_ns = flow.start_ns.saturating_add(self.config.active_timeout_ns);
        if now_ns >= active_ns && flow.has_packets() {
            return Due::Cut(FlowEndReason::ActiveTimeout);
        }
        Due::Later(idle_ns.min(active_ns))
    }

    /// Ends the flow that has been idle longest, as far as a bounded number of visits tells: the soonest slot of the
    /// wheel holds those whose packets are oldest, once flows that packets have moved on are put back.
    #[cold]
    pub(super) fn evict(&mut self, now_ns: i64) {
        let mut oldest: Option<u32> = None;
        for _ in 0..limits::EVICTION_VISITS {
            let Some((place, tick)) = self.wheel.take_soonest() else {
                break;
            };
            // Not moved on by packets since it was put there, so none is older.
            let settled = self.wheel.tick_of(self.idle_deadline_ns(place)) <= tick;
            let newest_ns = |place: u32| self.hot[place as usize].newest_ns();
            let other = match oldest {
                Some(kept) if newest_ns(kept) <= newest_ns(place) => Some(place),
                _ => oldest.replace(place),
            };
            if let Some(other) = other {
                let deadline_ns = match self.due(other, now_ns) {
                    Due::Later(deadline_ns) => deadline_ns,
                    Due::Cut(_) | Due::End(_) => now_ns,
                };
                self.wheel.insert(other, deadline_ns);
            }
            if settled {
                break;
            }
        }
        if let Some(place) = oldest {
            self.counters.flows_evicted += 1;
            self.end(place, FlowEndReason::LackOfResources);
        }
    }

    /// Moves the visit of a connection that ended to where its linger time ends.
    pub(super) fn linger(&mut self, place: u32) {
        self.wheel.remove(place);
        let deadline_ns = self.idle_deadline_ns(place);
        self.wheel.insert(place, deadline_ns);
    }

    /// Makes the record of what a flow counted so far; the flow goes on.
    pub(super) fn cut(&mut self, place: u32, reason: FlowEndReason) {
        self.make_record(place, reason, false);
    }

    /// Takes a flow out of the table, with a record if it counted anything since the last one.
    pub(super) fn end(&mut self, place: u32, reason: FlowEndReason) {
        let ended = self.hot[place as usize].tcp.ended();
        self.make_record(place, if ended { FlowEndReason::EndOfFlow } else { reason }, true);
        let flow = &mut self.hot[place as usize];
        flow.vacate();
        if flow.tracker != TrackerPlace::NONE {
            self.trackers.free(&mut flow.tracker);
        }
        if flow.application.is_held() {
            self.applications.free(&mut flow.application);
        }
        self.tunnels.free(&mut self.cold[place as usize].tunnel);
        let hash = flow.hash;
        self.index.remove(hash, place);
        self.wheel.remove(place);
        self.vacant.push(place);
        self.counters.flows_active -= 1;
    }

    #[inline(always)]
    fn make_record(&mut self, place: u32, reason: FlowEndReason, ends: bool) {
        let (flow, cold): (&mut HotFlow, _) = (&mut self.hot[place as usize], &mut self.cold[place as usize]);
        if !flow.has_packets() {
            return;
        }
        let mut tcp = Place::NONE;
        let mut handshake_rtt_us = [None; 2];
        // Where packets are missing, what follows from one to the next means nothing.
        let is_whole = self.sampler.kept_flows_whole(u32::from(flow.selector));
        if flow.key.protocol() == flowgauge_templates::packet::protocol::TCP && is_whole {
            let connection = &mut cold.connection.0;
            let now_ns = self.clock_ns.unwrap_or_default();
            if self.config.tcp_performance
                && let Some(part) = self.trackers.take(flow.tracker, connection, now_ns, ends)
            {
                tcp = Place::push(&mut self.pending.tcp, part);
            }
            handshake_rtt_us = connection.take_rtt_us();
        }
        let mut application = Place::NONE;
        if flow.application.is_held() {
            application = self.applications.take(&flow.application, &mut self.pending);
        }
        let tunnel = match self.tunnels.get(cold.tunnel) {
            Some(tunnel) => Place::push(&mut self.pending.tunnels, *tunnel),
            None => Place::NONE,
        };
        let mut record = flow.cut(cold, reason);
        record.handshake_rtt_us = handshake_rtt_us;
        record.tcp = tcp;
        record.tunnel = tunnel;
        record.application = application;
        self.pending.flows.push(record);
        self.counters.records[reason as usize - 1] += 1;
    }
}
