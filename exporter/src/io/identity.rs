//! Asks the system who this exporter is, and how right its clock.

use std::fs;

use crate::exporting::identity::{Clock, Identity, InterfaceIdentity};
use crate::io::destination::now_ns;

/// What the system says of itself and of these interfaces.
pub fn identity<'n>(interfaces: impl IntoIterator<Item = &'n str>) -> Identity {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Identity {
        host: host.trim().to_owned(),
        software: format!("flowgauge-exporter {}", env!("CARGO_PKG_VERSION")),
        started_ns: now_ns(),
        interfaces: interfaces.into_iter().filter_map(interface).collect(),
        clock: cfg!(target_os = "linux").then_some(clock),
    }
}

/// None for `any`, whose frames name no interface, and for one that has gone.
fn interface(name: &str) -> Option<InterfaceIdentity> {
    let of = |what: &str| fs::read_to_string(format!("/sys/class/net/{name}/{what}"));
    Some(InterfaceIdentity {
        number: of("ifindex").ok()?.trim().parse().ok()?,
        name: name.to_owned(),
        description: of("ifalias").unwrap_or_default().trim().to_owned(),
    })
}

fn clock() -> Clock {
    // SAFETY: a timex is numbers only, for which zeros are a value; modes of 0 ask without setting, and the call writes
    // nothing but this one. There is no safe call for it, and no file that tells.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    Clock {
        is_synchronized: state >= 0 && state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0,
        error_us: u32::try_from(timex.maxerror).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_knows_its_loopback() {
        let identity = identity(["lo", "no such interface", "any"]);
        assert_eq!(identity.interfaces.len(), 1);
        let lo = &identity.interfaces[0];
        // By the tool that everybody asks.
        let said = std::process::Command::new("ip")
            .args(["-o", "link", "show", "lo"])
            .output()
            .unwrap();
        let number = String::from_utf8(said.stdout).unwrap();
        assert_eq!(
            (lo.name.as_str(), lo.number.to_string().as_str()),
            ("lo", number.split(':').next().unwrap())
        );
        assert!(!identity.host.is_empty() && identity.software.starts_with("flowgauge-exporter "));
        assert!(identity.clock.is_some_and(|ask| ask().error_us > 0));
    }
}
