//! Counters of interfaces: generic ones (`if_counters`) and those of Ethernet (`ethernet_counters`).
//!
//! What Linux counts under the same meaning is sent; what it does not count is the largest number, as the specification
//! wants it for counters that are not there.

use std::collections::HashMap;

use crate::sflow::queue::SourceTotals;
use crate::sflow::sample::Records;
use crate::sflow::system::System;

const IF_COUNTERS: u32 = 1;
const ETHERNET_COUNTERS: u32 = 2;

/// A counter that is not there.
const UNKNOWN: u32 = u32::MAX;
const UNKNOWN_LONG: u64 = u64::MAX;

/// Flags of interfaces (netdevice(7)).
const UP: u64 = 0x1;
const PROMISCUOUS: u64 = 0x100;

/// Kinds of hardware (linux/if_arp.h).
const ARPHRD_ETHER: u64 = 1;

/// One row of /proc/net/dev: eight counters of what was received, eight of what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    counts: [u64; 16],
}

impl Device {
    fn at(&self, at: usize) -> u64 {
        self.counts.get(at).copied().unwrap_or_default()
    }
}

/// What all interfaces of this network namespace carried.
#[derive(Clone, Debug, Default)]
pub struct DeviceTable {
    devices: HashMap<String, Device>,
}

impl DeviceTable {
    /// Asks the system.
    pub fn read(system: &System) -> DeviceTable {
        DeviceTable::parse(&system.text("proc/self/net/dev").unwrap_or_default())
    }

    fn parse(text: &str) -> DeviceTable {
        let row = |line: &str| {
            let (name, counts) = line.split_once(':')?;
            let mut device = Device::default();
            for (place, count) in device.counts.iter_mut().zip(counts.split_whitespace()) {
                *place = count.parse().ok()?;
            }
            Some((name.trim().to_owned(), device))
        };
        DeviceTable {
            devices: text.lines().skip(2).filter_map(row).collect(),
        }
    }

    /// Octets, packets, errors and drops, received and sent, of all interfaces but loopback.
    pub fn sums(&self) -> [[u64; 4]; 2] {
        let mut sums = [[0u64; 4]; 2];
        for device in self
            .devices
            .iter()
            .filter(|(name, _)| *name != "lo")
            .map(|(_, device)| device)
        {
            for (way, sums) in sums.iter_mut().enumerate() {
                for (at, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.wrapping_add(device.at(way * 8 + at));
                }
            }
        }
        sums
    }
}

/// The counters of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Its number.
    pub index: u32,
    kind: u32,
    speed: u64,
    direction: u32,
    status: u32,
    promiscuous: u32,
    device: Option<Device>,
    /// As `ethernet_counters` has them, for Ethernet.
    ethernet: Option<[u32; 13]>,
}

impl InterfaceCounters {
    /// Asks the system; none when there is no such interface.
    pub fn read(system: &System, table: &DeviceTable, name: &str) -> Option<InterfaceCounters> {
        let number = |what| system.number_of_interface(name, what);
        let index = u32::try_from(number("ifindex")?).ok()?;
        let flags = number("flags").unwrap_or_default();
        let hardware = number("type").unwrap_or(u64::MAX);
        let is_running = match system.of_interface(name, "operstate").as_deref() {
            Some("up") => true,
            // Loopback and tunnels have no carrier that could be there or not.
            Some("unknown") => flags & UP != 0,
            _ => false,
        };
        let direction = match system.of_interface(name, "duplex").as_deref() {
            Some("full") => 1,
            Some("half") => 2,
            _ => 0,
        };
        Some(InterfaceCounters {
            index,
            kind: if_type(hardware),
            // In Mbit/s; -1, which is no number here, where nobody knows.
            speed: number("speed").unwrap_or_default().saturating_mul(1_000_000),
            direction,
            status: u32::from(flags & UP != 0) | u32::from(is_running) << 1,
            promiscuous: if flags & PROMISCUOUS != 0 { 1 } else { 2 },
            device: table.devices.get(name).copied(),
            ethernet: (hardware == ARPHRD_ETHER).then(|| ethernet(system, name)),
        })
    }

    /// Adds them to a sample.
    pub fn write(&self, records: &mut Records<'_>) {
        let long = |at| self.device.map_or(UNKNOWN_LONG, |device| device.at(at));
        // Counters of 32 bits that wrap.
        let short = |at| self.device.map_or(UNKNOWN, |device| device.at(at) as u32);
        let unicast = self
            .device
            .map_or(UNKNOWN, |device| device.at(1).saturating_sub(device.at(7)) as u32);
        records.add(IF_COUNTERS, |xdr| {
            xdr.words(&[self.index, self.kind]);
            xdr.hyper(self.speed);
            xdr.words(&[self.direction, self.status]);
            xdr.hyper(long(0));
            // Linux counts broadcasts that come in as multicasts, and what goes out not at all.
            xdr.words(&[unicast, short(7), UNKNOWN, short(3), short(2), UNKNOWN]);
            xdr.hyper(long(8));
            xdr.words(&[short(9), UNKNOWN, UNKNOWN, short(11), short(10), self.promiscuous]);
        });
        if let Some(ethernet) = &self.ethernet {
            records.add(ETHERNET_COUNTERS, |xdr| xdr.words(ethernet));
        }
    }
}

/// Adds what an interface of a file carried to a sample: all of it counts as received.
pub fn write_capture(totals: &SourceTotals, records: &mut Records<'_>) {
    let (traffic, packets) = (&totals.traffic, totals.pool());
    let unicast = packets.saturating_sub(traffic.multicast + traffic.broadcast);
    records.add(IF_COUNTERS, |xdr| {
        xdr.words(&[totals.interface, 0]);
        xdr.hyper(0);
        xdr.words(&[0, 3]);
        xdr.hyper(traffic.octets);
        xdr.words(&[unicast as u32, traffic.multicast as u32, traffic.broadcast as u32]);
        xdr.words(&[UNKNOWN; 3]);
        xdr.hyper(UNKNOWN_LONG);
        xdr.words(&[UNKNOWN; 5]);
        xdr.word(0);
    });
}

/// The ifType (IANAifType-MIB) of a kind of hardware.
fn if_type(hardware: u64) -> u32 {
    match hardware {
        ARPHRD_ETHER => 6,
        32 => 199,                          // InfiniBand
        512 => 23,                          // PPP
        768 | 769 | 776 | 778 | 823 => 131, // tunnels
        772 => 24,                          // loopback
        801..=803 => 71,                    // IEEE 802.11
        65534 => 53,                        // no header: virtual
        _ => 1,
    }
}

/// What Linux counts of what IEEE 802.3 counts.
fn ethernet(system: &System, name: &str) -> [u32; 13] {
    let count = |what: &str| {
        let count = system.number_of_interface(name, &format!("statistics/{what}"));
        count.map_or(UNKNOWN, |count| count as u32)
    };
    [
        count("rx_frame_errors"),
        count("rx_crc_errors"),
        UNKNOWN,
        UNKNOWN,
        UNKNOWN,
        UNKNOWN,
        count("tx_window_errors"),
        count("tx_aborted_errors"),
        UNKNOWN,
        count("tx_carrier_errors"),
        count("rx_length_errors"),
        UNKNOWN,
        UNKNOWN,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sflow::sample::{DataSource, Form};

    const TABLE: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  114000     120    0    0    0     0          0         0   114000     120    0    0    0     0       0          0
  eth0: 9876543210  5000    2    3    0     1          0        40  123456789    4000    5    6    0     0       0          0
";

    fn system() -> (tempfile::TempDir, System) {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("sys/class/net/eth0");
        std::fs::create_dir_all(folder.join("statistics")).unwrap();
        for (name, text) in [
            ("ifindex", "3\n"),
            ("type", "1\n"),
            ("flags", "0x1103\n"),
            ("operstate", "up\n"),
            ("duplex", "full\n"),
            ("speed", "10000\n"),
            ("statistics/rx_crc_errors", "7\n"),
            ("statistics/tx_carrier_errors", "8\n"),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let system = System::at(directory.path());
        (directory, system)
    }

    #[test]
    fn counters_stand_where_the_specification_has_them() {
        let (_directory, system) = system();
        let table = DeviceTable::parse(TABLE);
        let counters = InterfaceCounters::read(&system, &table, "eth0").unwrap();
        let mut out = Vec::new();
        let mut records = Records::counters(&mut out, 500, Form::Compact, DataSource::Interface(3), 1);
        counters.write(&mut records);
        assert_eq!(records.finish(), 2);
        let words: Vec<u32> = out
            .chunks(4)
            .map(|octets| u32::from_be_bytes(octets.try_into().unwrap()))
            .collect();
        assert_eq!(words[..5], [1, 3, 2, 1, 88]);
        let generic = &words[5..27];
        assert_eq!(generic[..6], [3, 6, 2, 0x540b_e400, 1, 3], "10 Gbit/s is 2 * 2^32 + ..");
        assert_eq!(generic[6..14], [2, 1_286_608_618, 4960, 40, UNKNOWN, 3, 2, UNKNOWN]);
        assert_eq!(generic[14..], [0, 123_456_789, 4000, UNKNOWN, UNKNOWN, 6, 5, 1]);
        assert_eq!(words[27..29], [2, 52]);
        assert_eq!((words[30], words[38], words[29]), (7, 8, UNKNOWN));
        assert_eq!(words.len(), 42);
    }

    #[test]
    fn loopback_is_not_in_the_sums() {
        let table = DeviceTable::parse(TABLE);
        assert_eq!(table.sums(), [[9_876_543_210, 5000, 2, 3], [123_456_789, 4000, 5, 6]]);
        assert_eq!(DeviceTable::parse("x\ny\neth0: a\n").sums(), [[0; 4]; 2]);
    }

    #[test]
    fn names_that_are_no_interface_have_no_counters() {
        let (_directory, system) = system();
        let table = DeviceTable::parse(TABLE);
        for name in ["eth1", "../net/eth0", "", ".."] {
            assert_eq!(InterfaceCounters::read(&system, &table, name), None, "{name}");
        }
        assert_eq!(system.interfaces(), ["eth0"]);
    }
}
