//! What time and a full table do to flows: records of those whose timeout has passed, room for new ones.

use flowgauge_templates::packet::protocol;

use super::flow::Parts;
use super::meter::Meter;
use super::prefetch::prefetch;
use super::record::FlowEndReason;
use super::records::Place;
use super::tcp::TrackerPlace;
use super::wheel::{Planned, Visit};
use crate::limits;

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
        if now_ns >= self.dns_due_ns {
            self.expire_dns(now_ns);
        }
        true
    }

    /// Ends the DNS transactions that got no response in time.
    #[cold]
    fn expire_dns(&mut self, now_ns: i64) {
        let has_more = self.dns.handle_timeout(now_ns, &mut self.pending);
        let wait_ns = if has_more { 0 } else { limits::DNS_LOOK_NS };
        self.dns_due_ns = now_ns.saturating_add(wait_ns);
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
            self.dns_due_ns = now_ns;
            let tick = self.wheel.tick_of(now_ns);
            self.wheel.set_tick(tick);
        }
    }

    /// Visits the flows whose timeout may have passed.
    #[inline(never)]
    fn expire(&mut self, now_tick: i64) {
        let now_ns = self.clock_ns.unwrap_or_default();
        self.lagging = false;
        if self.fragments.is_due(now_ns) {
            self.expire_fragments(now_ns);
        }
        if !self.flood.is_quiet() {
            self.handle_flood(now_ns);
        }
        loop {
            if self.pending.len() >= limits::MAX_PENDING_RECORDS {
                self.lagging = true;
                return;
            }
            let visit = match self.wheel.next() {
                Some(visit) => visit,
                None if self.wheel.load(now_tick) => {
                    self.fetch();
                    continue;
                }
                None => return,
            };
            if self.is_meant(visit) {
                self.visit(visit.flow, now_ns);
            }
        }
    }

    /// Asks for what the coming visits need; most flows have been out of the caches since their last packet.
    #[inline(always)]
    fn fetch(&self) {
        for planned in self.wheel.following() {
            let (hot, cold) = (self.hot.address(planned.flow), self.cold.address(planned.flow));
            prefetch(hot);
            prefetch(hot.cast::<u8>().wrapping_add(64));
            prefetch(cold);
            if self.config.tcp_performance {
                prefetch(cold.cast::<u8>().wrapping_add(64));
            }
            self.index.prefetch(planned.hash);
        }
    }

    /// Whether a visit is the one that its flow expects, and not one planned before a newer one, or for another flow that
    /// had its place.
    #[inline(always)]
    fn is_meant(&self, visit: Visit) -> bool {
        self.hot
            .get(visit.flow as usize)
            .is_some_and(|flow| flow.slot == visit.slot && flow.is_live())
    }

    #[inline(always)]
    fn visit(&mut self, place: u32, now_ns: i64) {
        match self.due(place, now_ns) {
            Due::Later(deadline_ns) => self.plan_visit(place, deadline_ns),
            Due::End(reason) => self.end(place, reason),
            Due::Cut(reason) => {
                self.cut(place, reason);
                let deadline_ns = self.idle_deadline_ns(place);
                self.plan_visit(place, deadline_ns);
            }
        }
    }

    /// Plans the next look at a flow's timeout, in place of any planned before.
    #[inline(always)]
    pub(super) fn plan_visit(&mut self, place: u32, deadline_ns: i64) {
        let flow = &mut self.hot[place as usize];
        let planned = Planned {
            flow: place,
            hash: flow.hash,
        };
        flow.slot = self.wheel.insert(planned, deadline_ns);
        if self.wheel.entries() > self.most_entries {
            self.sweep();
        }
    }

    /// Drops the visits that are meant no more, once there are more of them than flows.
    #[cold]
    fn sweep(&mut self) {
        self.counters.wheel_sweeps += 1;
        self.wheel.clear();
        for (place, flow) in (0..).zip(self.hot.iter()).filter(|(_, flow)| flow.is_live()) {
            let planned = Planned {
                flow: place,
                hash: flow.hash,
            };
            self.wheel.put(planned, flow.slot);
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
            let Some((visit, tick)) = self.wheel.take_soonest() else {
                break;
            };
            if !self.is_meant(visit) {
                continue;
            }
            let place = visit.flow;
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
                self.plan_visit(other, deadline_ns);
            }
            if settled {
                break;
            }
        }
        if let Some(place) = oldest {
            self.counters.flows_evicted += 1;
            let [forward, reverse] = self.hot[place as usize].packets;
            if self.flood.handle_eviction(forward.max(reverse) <= 1) {
                self.counters.floods += 1;
            }
            self.end(place, FlowEndReason::LackOfResources);
        }
    }

    /// Has a connection that ended visited when its linger time ends, unless it is visited before that anyway.
    pub(super) fn linger(&mut self, place: u32) {
        let deadline_ns = self.idle_deadline_ns(place);
        if !self.wheel.is_before(self.hot[place as usize].slot, deadline_ns) {
            self.plan_visit(place, deadline_ns);
        }
    }

    /// Makes the record of what a flow counted so far; the flow goes on.
    #[inline(never)]
    pub(super) fn cut(&mut self, place: u32, reason: FlowEndReason) {
        self.make_record(place, reason, false);
        self.hot[place as usize].begin_record(&mut self.cold[place as usize]);
    }

    /// Takes a flow out of the table, with a record if it counted anything since the last one.
    #[inline(never)]
    pub(super) fn end(&mut self, place: u32, reason: FlowEndReason) {
        let ended = self.hot[place as usize].tcp.ended();
        self.make_record(place, if ended { FlowEndReason::EndOfFlow } else { reason }, true);
        let (flow, cold) = (&mut self.hot[place as usize], &mut self.cold[place as usize]);
        flow.vacate();
        let hash = flow.hash;
        if flow.tracker != TrackerPlace::NONE {
            self.trackers.free(&mut flow.tracker);
        }
        if flow.application.is_held() {
            self.applications.free(&mut flow.application);
        }
        self.tunnels.free(&mut cold.tunnel);
        self.labels.free(&mut cold.labels);
        self.index.remove(hash, place);
        self.vacant.push(place);
        self.counters.flows_active -= 1;
    }

    #[inline(always)]
    fn make_record(&mut self, place: u32, reason: FlowEndReason, ends: bool) {
        let (flow, cold) = (&self.hot[place as usize], &mut self.cold[place as usize]);
        if !flow.has_packets() {
            return;
        }
        let mut parts = Parts::default();
        // Where packets are missing, what follows from one to the next means nothing.
        let is_whole = self.sampler.kept_flows_whole(u32::from(flow.selector));
        if flow.key.protocol() == protocol::TCP && is_whole {
            let connection = &mut cold.connection.0;
            let now_ns = self.clock_ns.unwrap_or_default();
            if self.config.tcp_performance
                && let Some(part) = self.trackers.take(flow.tracker, connection, now_ns, ends)
            {
                parts.tcp = Place::push(&mut self.pending.tcp, part);
            }
            // Without an answer to the SYN nothing was measured, and the connection's cache line is best left alone.
            if flow.saw_syn_ack() {
                parts.handshake_rtt_us = connection.take_rtt_us();
            }
        }
        if flow.application.is_held() {
            parts.application = self.applications.take(&flow.application, &mut self.pending);
        }
        if let Some(tunnel) = self.tunnels.get(cold.tunnel) {
            parts.tunnel = Place::push(&mut self.pending.tunnels, *tunnel);
        }
        if let Some(labels) = self.labels.get(cold.labels) {
            parts.labels = Place::push(&mut self.pending.labels, *labels);
        }
        // Written where it stays: pushed, its 208 octets would be copied once more.
        self.pending
            .flows
            .extend(std::iter::once_with(|| flow.record(cold, reason, parts)));
        self.counters.records[reason as usize - 1] += 1;
    }
}
