//! Counters of the host, as the host structures of sFlow have them (formats 2000, 2001, and 2003 to 2006).

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;

use super::interface::DeviceTable;
use crate::sflow::limits::{MAX_ADAPTERS, MAX_FILE_SYSTEMS, NAME_OCTETS};
use crate::sflow::sample::Records;
use crate::sflow::system::System;

const DESCRIPTION: u32 = 2000;
const ADAPTERS: u32 = 2001;
const CPU: u32 = 2003;
const MEMORY: u32 = 2004;
const DISK: u32 = 2005;
const NETWORK: u32 = 2006;

/// A counter that is not there.
const UNKNOWN: u32 = u32::MAX;

/// /proc counts time in hundredths of a second, whatever the kernel does (proc(5), USER_HZ).
const MS_PER_TICK: u64 = 10;
/// Sectors of /proc/diskstats.
const SECTOR_OCTETS: u64 = 512;

/// Who the host is. Asked once, because some of it only root may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostIdentity {
    name: String,
    uuid: [u8; 16],
    machine: u32,
    release: String,
}

impl HostIdentity {
    /// Asks the system.
    pub fn read(system: &System) -> HostIdentity {
        let line = |path| system.text(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        // The number of the hardware; a host without one has that of its installation.
        let uuid = [line("sys/class/dmi/id/product_uuid"), line("etc/machine-id")];
        HostIdentity {
            name: line("proc/sys/kernel/hostname"),
            uuid: uuid.iter().find_map(|text| parse_uuid(text)).unwrap_or_default(),
            machine: match std::env::consts::ARCH {
                "x86" => 2,
                "x86_64" => 3,
                "powerpc" | "powerpc64" => 7,
                "mips" | "mips64" => 9,
                "arm" | "aarch64" => 10,
                "s390x" => 12,
                _ => 1,
            },
            release: line("proc/sys/kernel/osrelease"),
        }
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != '-')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let mut uuid = [0; 16];
    if digits.len() != 32 {
        return None;
    }
    for (octet, pair) in uuid.iter_mut().zip(digits.chunks(2)) {
        *octet = pair.iter().fold(0, |octet, digit| octet << 4 | digit);
    }
    Some(uuid)
}

/// What is polled of the host.
#[derive(Debug)]
pub struct Host<'s> {
    system: &'s System,
    identity: &'s HostIdentity,
    table: DeviceTable,
    /// Which record is next.
    next: usize,
}

impl<'s> Host<'s> {
    /// Asks for what all interfaces carried; the rest is asked for when it is written.
    pub fn new(system: &'s System, identity: &'s HostIdentity) -> Host<'s> {
        Host {
            system,
            identity,
            table: DeviceTable::read(system),
            next: 0,
        }
    }

    /// Adds as many records to a sample as it has room for; says whether others are left for the next one.
    pub fn write(&mut self, records: &mut Records<'_>) -> bool {
        let writers: [fn(&Self, &mut Records<'_>) -> bool; 6] = [
            Self::describe,
            Self::adapters,
            Self::cpu,
            Self::memory,
            Self::disk,
            Self::network,
        ];
        while let Some(write) = writers.get(self.next) {
            // A record that not even an empty sample takes is left out.
            if !write(self, records) && !records.is_empty() {
                return true;
            }
            self.next += 1;
        }
        false
    }

    fn describe(&self, records: &mut Records<'_>) -> bool {
        let [name_octets, release_octets] = NAME_OCTETS;
        records.add(DESCRIPTION, |xdr| {
            xdr.opaque(self.identity.name.as_bytes(), name_octets);
            xdr.fixed(&self.identity.uuid);
            xdr.words(&[self.identity.machine, if cfg!(target_os = "linux") { 2 } else { 1 }]);
            xdr.opaque(self.identity.release.as_bytes(), release_octets);
        })
    }

    fn adapters(&self, records: &mut Records<'_>) -> bool {
        let adapter = |name: &String| {
            let index = u32::try_from(self.system.number_of_interface(name, "ifindex")?).ok()?;
            let address = parse_mac(&self.system.of_interface(name, "address")?)?;
            (address != [0; 6]).then_some((index, address))
        };
        let names = self.system.interfaces();
        let adapters: Vec<_> = names.iter().filter_map(adapter).take(MAX_ADAPTERS).collect();
        records.add(ADAPTERS, |xdr| {
            xdr.word(adapters.len() as u32);
            for (index, address) in &adapters {
                xdr.words(&[*index, 1]);
                xdr.fixed(address);
            }
        })
    }

    fn cpu(&self, records: &mut Records<'_>) -> bool {
        let text = |path| self.system.text(path).unwrap_or_default();
        let (loads, stat) = (text("proc/loadavg"), text("proc/stat"));
        let load = Load::parse(&loads);
        let uptime = text("proc/uptime");
        let uptime = uptime.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let stat = Stat::parse(&stat);
        let speed = mhz(&text("proc/cpuinfo"));
        records.add(CPU, |xdr| {
            load.averages.iter().for_each(|average| xdr.float(*average));
            xdr.words(&[load.running, load.total, stat.processors, speed, uptime]);
            // user, nice, system, idle, waiting, interrupts, soft interrupts: as /proc/stat begins.
            for ticks in stat.ticks {
                xdr.word(ticks.saturating_mul(MS_PER_TICK) as u32);
            }
            xdr.words(&[stat.interrupts as u32, stat.contexts as u32]);
        })
    }

    fn memory(&self, records: &mut Records<'_>) -> bool {
        let text = self.system.text("proc/meminfo").unwrap_or_default();
        let octets = |name| kib(&text, name).map_or(0, |kib| kib.saturating_mul(1024));
        let vmstat = self.system.text("proc/vmstat").unwrap_or_default();
        let count = |name| value(&vmstat, name).map_or(UNKNOWN, |count| count as u32);
        records.add(MEMORY, |xdr| {
            for name in [
                "MemTotal:",
                "MemFree:",
                "Shmem:",
                "Buffers:",
                "Cached:",
                "SwapTotal:",
                "SwapFree:",
            ] {
                xdr.hyper(octets(name));
            }
            xdr.words(&["pgpgin", "pgpgout", "pswpin", "pswpout"].map(count));
        })
    }

    fn disk(&self, records: &mut Records<'_>) -> bool {
        let space = Space::of(self.system);
        let disks = Disks::parse(&self.system.text("proc/diskstats").unwrap_or_default());
        records.add(DISK, |xdr| {
            xdr.hyper(space.total);
            xdr.hyper(space.free);
            xdr.word(space.most_used);
            let [reads, sectors_read, read_ms, writes, sectors_written, write_ms] = disks.sums;
            xdr.word(reads as u32);
            xdr.hyper(sectors_read.wrapping_mul(SECTOR_OCTETS));
            xdr.words(&[read_ms as u32, writes as u32]);
            xdr.hyper(sectors_written.wrapping_mul(SECTOR_OCTETS));
            xdr.word(write_ms as u32);
        })
    }

    fn network(&self, records: &mut Records<'_>) -> bool {
        let sums = self.table.sums();
        records.add(NETWORK, |xdr| {
            for [octets, packets, errors, drops] in sums {
                xdr.hyper(octets);
                xdr.words(&[packets as u32, errors as u32, drops as u32]);
            }
        })
    }
}

/// The address of an interface, in the words of the system.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut address = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut address {
        *octet = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(address)
}

/// /proc/loadavg.
#[derive(Debug, PartialEq)]
struct Load {
    /// Negative where nobody knows.
    averages: [f32; 3],
    running: u32,
    total: u32,
}

impl Load {
    fn parse(text: &str) -> Load {
        let mut words = text.split_whitespace();
        let mut load = Load {
            averages: [-1.0; 3],
            running: 0,
            total: 0,
        };
        for average in &mut load.averages {
            *average = words.next().and_then(|word| word.parse().ok()).unwrap_or(-1.0);
        }
        if let Some((running, total)) = words.next().and_then(|word| word.split_once('/')) {
            load.running = running.parse().unwrap_or(0);
            load.total = total.parse().unwrap_or(0);
        }
        load
    }
}

/// /proc/stat.
#[derive(Debug, Default, PartialEq)]
struct Stat {
    ticks: [u64; 7],
    processors: u32,
    interrupts: u64,
    contexts: u64,
}

impl Stat {
    fn parse(text: &str) -> Stat {
        let mut stat = Stat::default();
        for line in text.lines() {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            let mut counts = rest.split_whitespace().map(|word| word.parse().unwrap_or(0));
            match name {
                "cpu" => stat
                    .ticks
                    .iter_mut()
                    .zip(counts)
                    .for_each(|(place, count)| *place = count),
                "intr" => stat.interrupts = counts.next().unwrap_or(0),
                "ctxt" => stat.contexts = counts.next().unwrap_or(0),
                _ => stat.processors += u32::from(name.starts_with("cpu")),
            }
        }
        stat
    }
}

/// The speed of the first processor that says one.
fn mhz(cpuinfo: &str) -> u32 {
    let line = cpuinfo.lines().find(|line| line.starts_with("cpu MHz"));
    let text = line.and_then(|line| line.split(':').nth(1));
    text.and_then(|text| text.trim().parse::<f64>().ok()).unwrap_or(0.0) as u32
}

fn value(text: &str, name: &str) -> Option<u64> {
    let mut words = text.lines().map(str::split_whitespace);
    words.find_map(|mut words| {
        (words.next() == Some(name))
            .then(|| words.next()?.parse().ok())
            .flatten()
    })
}

fn kib(meminfo: &str, name: &str) -> Option<u64> {
    value(meminfo, name)
}

/// /proc/diskstats: reads, sectors read, ms of them, writes, sectors written, ms of them, of whole disks.
#[derive(Debug, Default, PartialEq)]
struct Disks {
    sums: [u64; 6],
}

impl Disks {
    fn parse(text: &str) -> Disks {
        let mut disks = Disks::default();
        // Names of whole disks seen: their parts follow them and begin with their name.
        let mut wholes: Vec<&str> = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(name) = words.get(2) else { continue };
            // Their data is on other disks, or in memory.
            let is_virtual = ["loop", "ram", "dm-", "md", "zram", "sr", "fd"]
                .iter()
                .any(|kind| name.starts_with(kind));
            let is_part = wholes
                .iter()
                .any(|whole| name.strip_prefix(whole).is_some_and(is_part_of_disk));
            if is_virtual || is_part {
                continue;
            }
            wholes.push(name);
            for (sum, at) in disks.sums.iter_mut().zip([3, 5, 6, 7, 9, 10]) {
                let count: u64 = words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0);
                *sum = sum.wrapping_add(count);
            }
        }
        disks
    }
}

/// `1` of sda1, `p1` of nvme0n1p1.
fn is_part_of_disk(rest: &str) -> bool {
    let digits = rest.strip_prefix('p').unwrap_or(rest);
    !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit())
}

/// The file systems on disks.
#[derive(Debug, PartialEq)]
struct Space {
    total: u64,
    free: u64,
    /// Of the fullest, in hundredths of a percent; all ones where nobody knows.
    most_used: u32,
}

impl Space {
    fn of(system: &System) -> Space {
        let mut space = Space {
            total: 0,
            free: 0,
            most_used: UNKNOWN,
        };
        let mounts = system.text("proc/self/mounts").unwrap_or_default();
        let mut devices: Vec<&str> = Vec::new();
        for line in mounts.lines() {
            let mut words = line.split(' ');
            let (Some(device), Some(folder)) = (words.next(), words.next()) else {
                continue;
            };
            // Those of networks may not answer; those in memory are in the counters of memory.
            if !device.starts_with("/dev/") || devices.contains(&device) || devices.len() == MAX_FILE_SYSTEMS {
                continue;
            }
            devices.push(device);
            let folder = folder.replace("\\040", " ");
            if let Some([total, free, available]) = blocks(system, &folder) {
                space.add(total, free, available);
            }
        }
        space
    }

    fn add(&mut self, total: u64, free: u64, available: u64) {
        if total == 0 {
            return;
        }
        self.total += total;
        self.free += available;
        let used = total.saturating_sub(free);
        // What only root may use is out of reach, as df(1) has it.
        let reachable = (used + available).max(1);
        let part = (used as f64 / reachable as f64 * 10_000.0) as u32;
        self.most_used = match self.most_used {
            UNKNOWN => part,
            most => most.max(part),
        };
    }
}

/// Octets of a file system: all, free, and free for everybody.
fn blocks(system: &System, folder: &str) -> Option<[u64; 3]> {
    let path = system.path(folder.trim_start_matches('/'));
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut answer = MaybeUninit::<libc::statvfs>::uninit();
    // The standard library does not tell the space of file systems.
    // SAFETY: the path ends with a zero, and the system writes what it points to, whole, when it answers 0.
    let answer = unsafe {
        if libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) != 0 {
            return None;
        }
        answer.assume_init()
    };
    let unit = answer.f_frsize;
    Some([answer.f_blocks, answer.f_bfree, answer.f_bavail].map(|blocks| blocks.saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sflow::sample::{DataSource, Form};

    #[test]
    fn files_of_proc_are_read() {
        assert_eq!(
            Load::parse("0.25 1.50 2.00 3/456 7890\n"),
            Load {
                averages: [0.25, 1.5, 2.0],
                running: 3,
                total: 456
            }
        );
        assert_eq!(Load::parse("").averages, [-1.0; 3]);
        let stat = Stat::parse("cpu  1 2 3 4 5 6 7 8 0 0\ncpu0 1 1 1\ncpu1 0 0\nintr 99 1 2\nctxt 1234\nbtime 5\n");
        assert_eq!(stat.ticks, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((stat.processors, stat.interrupts, stat.contexts), (2, 99, 1234));
        assert_eq!(mhz("processor: 0\ncpu MHz\t\t: 2249.998\n"), 2249);
        assert_eq!(kib("MemTotal:  8000 kB\nMemFree: 10 kB\n", "MemFree:"), Some(10));
        assert_eq!(value("pgpgin 5\npgpgin2 6\n", "pgpgin2"), Some(6));
        assert_eq!(parse_mac("02:00:00:00:00:ff"), Some([2, 0, 0, 0, 0, 255]));
        assert_eq!(parse_mac("02:00:00:00:00"), None);
        assert_eq!(
            parse_uuid("4c4c4544-0042-3510-8052-b4c04f4d3232").unwrap()[..3],
            [0x4c, 0x4c, 0x45]
        );
        assert_eq!(parse_uuid("none"), None);
    }

    #[test]
    fn parts_of_disks_do_not_count_twice() {
        let text = "\
   8       0 sda 10 0 100 7 20 0 200 9 0 0 0
   8       1 sda1 9 0 90 6 19 0 190 8 0 0 0
 259       0 nvme0n1 1 0 2 3 4 0 5 6 0 0 0
 259       1 nvme0n1p1 1 0 2 3 4 0 5 6 0 0 0
   7       0 loop0 5 5 5 5 5 5 5 5 0 0 0
 253       0 dm-0 5 5 5 5 5 5 5 5 0 0 0
";
        assert_eq!(Disks::parse(text).sums, [11, 102, 10, 24, 205, 15]);
    }

    #[test]
    fn the_fullest_file_system_counts() {
        let mut space = Space {
            total: 0,
            free: 0,
            most_used: UNKNOWN,
        };
        space.add(0, 0, 0);
        assert_eq!(space.most_used, UNKNOWN);
        space.add(1000, 500, 400);
        space.add(1000, 900, 900);
        assert_eq!((space.total, space.free, space.most_used), (2000, 1300, 5555));
    }

    #[test]
    fn records_that_do_not_fit_go_into_the_next_sample() {
        let system = System::default();
        let identity = HostIdentity::read(&system);
        let of = |most: usize| {
            let mut host = Host::new(&system, &identity);
            let (mut samples, mut out, mut lengths) = (0, Vec::new(), Vec::new());
            loop {
                let mut records = Records::counters(&mut out, most, Form::Compact, DataSource::Host, 1);
                let goes_on = host.write(&mut records);
                assert!(!records.is_empty());
                records.finish();
                samples += 1;
                lengths.push(out.len());
                if !goes_on {
                    return (samples, lengths.iter().map(|length| length - 12).sum::<usize>());
                }
            }
        };
        let ((one, whole), (several, parts)) = (of(1400), of(300));
        assert_eq!((one, whole), (1, parts));
        assert!(several > 1);
    }
}
