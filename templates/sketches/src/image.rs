//! What every image has to pass before it is believed: its family, its size, and a library that may still stumble.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::limits::IMAGE_OCTETS;

/// Family numbers of Apache DataSketches (sketchFamily, enterprise element 130).
pub const FAMILY_HLL: u8 = 7;
/// Frequent items.
pub const FAMILY_FREQUENCY: u8 = 10;
/// KLL quantiles.
pub const FAMILY_KLL: u8 = 15;
/// Relative error quantiles.
pub const FAMILY_REQ: u8 = 17;

/// Why an image was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Shorter than it says.
    Cut,
    /// Of another kind of sketch.
    Family,
    /// Too large, or with a parameter that would take too much memory.
    Size,
    /// It contradicts itself.
    Corrupt,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 4] = [Refusal::Cut, Refusal::Family, Refusal::Size, Refusal::Corrupt];

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Refusal::Cut => "cut",
            Refusal::Family => "family",
            Refusal::Size => "size",
            Refusal::Corrupt => "corrupt",
        }
    }
}

/// All families keep their number in the third octet.
pub(super) fn check_family(octets: &[u8], family: u8) -> Result<(), Refusal> {
    if octets.len() > IMAGE_OCTETS {
        return Err(Refusal::Size);
    }
    match octets.get(2) {
        None => Err(Refusal::Cut),
        Some(found) if *found != family => Err(Refusal::Family),
        Some(_) => Ok(()),
    }
}

/// Has the library read; where it panics on outside octets, that is a corrupt image too.
pub(super) fn read<T, E>(read: impl FnOnce() -> Result<T, E>) -> Result<T, Refusal> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(sketch)) => Ok(sketch),
        Ok(Err(_)) | Err(_) => Err(Refusal::Corrupt),
    }
}
