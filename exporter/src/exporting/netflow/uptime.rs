//! Times of NetFlow: milliseconds since the exporter was started, 32 bits of them, beside a header that says how long that
//! is ago (RFC 3954 section 5.1).
//!
//! A collector takes `export time - sysUptime` for the moment of the start and adds the times of a flow. That is exact to
//! the millisecond if the header's two clocks are one, which they are here: the uptime is that of the export time as the
//! header says it, whole seconds in version 9. Nothing ever wraps, because the start is no promise: it is moved when the
//! uptime would leave 31 bits (which some collectors take for a signed number), when a flow began before it, and when a
//! capture is of another time. Each of these looks like an exporter that was started again, which every collector knows.

/// Longest time from the start to the export, in milliseconds: 24.8 days.
pub const RANGE_MS: i64 = i32::MAX as i64;
/// How far the start is set before the export time, so that flows which go on find it before theirs.
const LOOK_BACK_MS: i64 = 86_400_000;
/// The last second that a header can say.
const LAST_MS: i64 = u32::MAX as i64 * 1000;

/// What becomes of a flow's times in the open packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The packet's header can place them.
    Fits,
    /// That of the next packet can.
    NextPacket,
    /// None can: the flow lasted too long, or is of another age.
    Never,
}

/// The clocks of one packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketTime {
    /// When it leaves, milliseconds since 1970 UTC.
    pub export_ms: i64,
    /// When the exporter was started.
    pub boot_ms: i64,
}

impl PacketTime {
    /// sysUptime of the header.
    #[must_use]
    pub fn uptime_ms(&self) -> u32 {
        self.since_boot(self.export_ms)
    }

    /// Seconds of the header.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        u32::try_from(self.export_ms / 1000).unwrap_or(u32::MAX)
    }

    /// What is left of them, in nanoseconds.
    #[must_use]
    pub fn nanoseconds(&self) -> u32 {
        u32::try_from(self.export_ms.rem_euclid(1000)).unwrap_or(0) * 1_000_000
    }

    /// FIRST_SWITCHED or LAST_SWITCHED of a moment that was admitted.
    #[inline]
    #[must_use]
    pub fn since_boot(&self, moment_ms: i64) -> u32 {
        u32::try_from(moment_ms - self.boot_ms).unwrap_or(0)
    }

    /// Of a packet whose records do not ask.
    pub const UNUSED: PacketTime = PacketTime {
        export_ms: 0,
        boot_ms: 0,
    };

    fn holds(&self, start_ms: i64) -> bool {
        // Some collectors take 0 for a time that is not known.
        let is_later = self.boot_ms < start_ms || self.boot_ms == 0;
        is_later && self.export_ms - self.boot_ms <= RANGE_MS
    }
}

/// The clock of one destination.
#[derive(Debug)]
pub struct Uptime {
    /// A header says multiples of this many milliseconds.
    unit_ms: i64,
    clock_ms: i64,
    boot_ms: Option<i64>,
    open: Option<PacketTime>,
}

impl Uptime {
    /// For headers that say multiples of `unit_ms`.
    #[must_use]
    pub fn new(unit_ms: i64) -> Self {
        Self {
            unit_ms,
            clock_ms: 0,
            boot_ms: None,
            open: None,
        }
    }

    /// It is now so late: by the clock of this host, or of the capture.
    pub fn set_clock(&mut self, now_ns: i64) {
        self.clock_ms = milliseconds(now_ns);
    }

    /// Whether any header can place a flow from one moment to another.
    #[inline]
    #[must_use]
    pub fn can_place(&self, start_ms: i64, end_ms: i64) -> bool {
        let end_ms = self.round_up(end_ms);
        end_ms - start_ms < RANGE_MS && end_ms <= LAST_MS
    }

    /// Asks for a place in the open packet, or in a new one if none is open, for a flow from one moment to another.
    #[inline]
    pub fn admit(&mut self, start_ms: i64, end_ms: i64) -> Admission {
        let end_ms = self.round_up(end_ms);
        match &mut self.open {
            Some(open) => {
                let later = PacketTime {
                    export_ms: open.export_ms.max(end_ms),
                    ..*open
                };
                if !later.holds(start_ms) || later.export_ms > LAST_MS {
                    return Admission::NextPacket;
                }
                *open = later;
                Admission::Fits
            }
            None => self.begin(start_ms, end_ms),
        }
    }

    #[cold]
    fn begin(&mut self, start_ms: i64, end_ms: i64) -> Admission {
        // Where it is now long after the flow (an old capture, a clock that was set), the packet is of the flow's time.
        let now_ms = self.round_up(self.clock_ms).max(end_ms);
        let is_near = |export_ms: &i64| *export_ms - start_ms < RANGE_MS && *export_ms <= LAST_MS;
        let Some(export_ms) = [now_ms, end_ms].into_iter().find(is_near) else {
            return Admission::Never;
        };
        self.open = Some(self.packet(export_ms, start_ms));
        Admission::Fits
    }

    /// A packet whose start is where it was, if that serves.
    fn packet(&mut self, export_ms: i64, start_ms: i64) -> PacketTime {
        let known = self.boot_ms.map(|boot_ms| PacketTime { export_ms, boot_ms });
        let serves = |packet: &PacketTime| packet.boot_ms <= export_ms && packet.holds(start_ms);
        let packet = known.filter(serves).unwrap_or_else(|| PacketTime {
            export_ms,
            boot_ms: (start_ms - 1).min(export_ms - LOOK_BACK_MS).max(0),
        });
        self.boot_ms = Some(packet.boot_ms);
        packet
    }

    /// Ends the open packet; with none open, gives the clocks of one without flows.
    pub fn close(&mut self) -> PacketTime {
        if let Some(open) = self.open.take() {
            return open;
        }
        let export_ms = self.round_up(self.clock_ms).min(LAST_MS);
        self.packet(export_ms, export_ms)
    }

    /// The clocks of the open packet as they are so far.
    #[inline]
    #[must_use]
    pub fn open(&self) -> Option<PacketTime> {
        self.open
    }

    /// Up, so that no flow ends after its packet left: at most a second ahead of the clock.
    #[inline]
    fn round_up(&self, ms: i64) -> i64 {
        match self.unit_ms {
            1 => ms,
            unit => (ms + unit - 1) / unit * unit,
        }
    }
}

/// Whole milliseconds since 1970, as flowStartMilliseconds has them.
#[inline]
#[must_use]
pub fn milliseconds(ns: i64) -> i64 {
    ns.max(0) / 1_000_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY_MS: i64 = 86_400_000;
    /// 2026-01-01T00:00:00 UTC.
    const NOW_MS: i64 = 1_767_225_600_000;

    /// What a collector makes of a time: RFC 3954 section 8 (sysUptime at which the packet was switched) and the header.
    fn heard(unit_ms: i64, packet: PacketTime, since_boot: u32) -> i64 {
        let fraction_ms = match unit_ms {
            1 => i64::from(packet.nanoseconds()) / 1_000_000,
            _ => 0,
        };
        let export_ms = i64::from(packet.seconds()) * 1000 + fraction_ms;
        export_ms - i64::from(packet.uptime_ms()) + i64::from(since_boot)
    }

    fn clock(unit_ms: i64, now_ms: i64) -> Uptime {
        let mut uptime = Uptime::new(unit_ms);
        uptime.set_clock(now_ms * 1_000_000);
        uptime
    }

    /// A flow in a packet of its own: the header, and what is heard of its start and end.
    fn alone(uptime: &mut Uptime, unit_ms: i64, start_ms: i64, end_ms: i64) -> Option<(PacketTime, i64, i64)> {
        if uptime.admit(start_ms, end_ms) == Admission::Never {
            return None;
        }
        let packet = uptime.close();
        let of = |ms| heard(unit_ms, packet, packet.since_boot(ms));
        Some((packet, of(start_ms), of(end_ms)))
    }

    #[test]
    fn an_exporter_that_runs_for_years_never_wraps() {
        for unit_ms in [1, 1000] {
            let mut uptime = Uptime::new(unit_ms);
            let (mut starts, mut last_boot) = (0, None);
            // Three years, a flow of up to five hours every 17 minutes and some milliseconds.
            for n in 0..93_000 {
                let now_ms = NOW_MS + n * 1_020_007;
                uptime.set_clock(now_ms * 1_000_000);
                let start_ms = now_ms - n % 7 * 3_000_001;
                let (packet, start, end) = alone(&mut uptime, unit_ms, start_ms, now_ms).unwrap();
                assert_eq!((start, end), (start_ms, now_ms));
                assert!(packet.uptime_ms() <= i32::MAX as u32);
                assert!((now_ms..now_ms + unit_ms).contains(&packet.export_ms));
                starts += i32::from(last_boot != Some(packet.boot_ms));
                last_boot = Some(packet.boot_ms);
            }
            // 1 098 days in steps of 23.8: it seems to start again no more often than that.
            assert_eq!(starts, 47);
        }
    }

    #[test]
    fn captures_of_long_ago_are_of_their_own_time() {
        let mut uptime = clock(1000, NOW_MS);
        for start_ms in [0, 1, 999, 1_262_304_000_123, 946_684_800_000, NOW_MS - 60 * DAY_MS] {
            let (packet, start, end) = alone(&mut uptime, 1000, start_ms, start_ms + 65_432).unwrap();
            assert_eq!((start, end), (start_ms, start_ms + 65_432));
            assert!(packet.export_ms >= end && packet.export_ms < end + 1000);
        }
    }

    #[test]
    fn flows_of_different_ages_share_no_packet() {
        let mut uptime = clock(1000, NOW_MS);
        assert_eq!(uptime.admit(NOW_MS - 5000, NOW_MS), Admission::Fits);
        assert_eq!(uptime.admit(NOW_MS - 60_000, NOW_MS - 1), Admission::Fits);
        // Began before the start that the header tells.
        assert_eq!(uptime.admit(NOW_MS - 3 * DAY_MS, NOW_MS), Admission::NextPacket);
        let first = uptime.close();
        assert_eq!(uptime.admit(NOW_MS - 3 * DAY_MS, NOW_MS), Admission::Fits);
        let second = uptime.close();
        assert!(second.boot_ms < first.boot_ms && second.export_ms == first.export_ms);
        // And there it stays, as long as it serves.
        assert_eq!(uptime.admit(NOW_MS - 5000, NOW_MS), Admission::Fits);
        assert_eq!(uptime.close().boot_ms, second.boot_ms);
    }

    #[test]
    fn what_no_header_can_place_is_told() {
        let mut uptime = clock(1, NOW_MS);
        assert_eq!(uptime.admit(NOW_MS - RANGE_MS, NOW_MS), Admission::Never);
        assert_eq!(uptime.admit(NOW_MS - RANGE_MS + 1, NOW_MS), Admission::Fits);
        assert_eq!(uptime.close().uptime_ms(), i32::MAX as u32);
        assert_eq!(uptime.admit(LAST_MS + 1, LAST_MS + 1), Admission::Never);
    }

    #[test]
    fn a_packet_without_flows_has_the_clocks_too() {
        let mut uptime = clock(1000, NOW_MS + 1);
        let packet = uptime.close();
        assert_eq!(packet.export_ms, NOW_MS + 1000);
        assert_eq!(i64::from(packet.uptime_ms()), DAY_MS);
        assert_eq!(Uptime::new(1000).close().uptime_ms(), 0);
    }

    proptest! {
        /// Clock, starts and lengths of any size in any order: whatever is admitted is heard as it was.
        #[test]
        fn what_is_admitted_is_heard_to_the_millisecond(
            unit_ms in prop_oneof![Just(1i64), Just(1000)],
            flows in proptest::collection::vec(
                (0i64..i64::MAX, 0i64..9_000_000_000_000_000_000, prop_oneof![0i64..100_000, 0i64..1 << 33]),
                1..50,
            ),
            near in any::<bool>(),
        ) {
            let mut uptime = Uptime::new(unit_ms);
            let mut waiting = Vec::new();
            let check = |uptime: &mut Uptime, waiting: &mut Vec<(i64, i64)>| {
                let packet = uptime.close();
                prop_assert!(packet.boot_ms >= 0 && packet.export_ms - packet.boot_ms <= RANGE_MS);
                for (start_ms, end_ms) in waiting.drain(..) {
                    for moment in [start_ms, end_ms] {
                        let since = packet.since_boot(moment);
                        prop_assert_eq!(heard(unit_ms, packet, since), moment);
                        prop_assert!(since <= packet.uptime_ms());
                    }
                }
                Ok(())
            };
            for (clock_ns, start_ns, length_ms) in flows {
                let (clock_ns, start_ns) = match near {
                    true => (NOW_MS * 1_000_000 + clock_ns % 1_000_000_000_000_000, NOW_MS * 1_000_000 + start_ns % 1_000_000_000_000_000),
                    false => (clock_ns, start_ns),
                };
                if uptime.open().is_none() {
                    uptime.set_clock(clock_ns);
                }
                let start_ms = milliseconds(start_ns);
                let end_ms = start_ms + length_ms;
                let mut admission = uptime.admit(start_ms, end_ms);
                if admission == Admission::NextPacket {
                    check(&mut uptime, &mut waiting)?;
                    admission = uptime.admit(start_ms, end_ms);
                    prop_assert_ne!(admission, Admission::NextPacket);
                }
                match admission {
                    Admission::Fits => waiting.push((start_ms, end_ms)),
                    _ => prop_assert!(length_ms + unit_ms >= RANGE_MS || end_ms + unit_ms > LAST_MS),
                }
            }
            check(&mut uptime, &mut waiting)?;
        }
    }
}
