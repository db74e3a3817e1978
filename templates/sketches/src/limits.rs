//! The named maxima of sketches: those of ours, and those of images that come from elsewhere.

/// Places for frequent items of a list; three quarters of them are used. The error is at most 3.5 / this of the weight.
pub const LIST_PLACES: usize = 1024;
/// Fewest places to which a list is shrunk so that its image fits into what the budget leaves.
pub const LEAST_LIST_PLACES: usize = 16;
/// Registers of a cardinality: 2^11 give a standard error of 2.3 %, and an image that fits into one Message.
pub const CARDINALITY_LG_K: u8 = 11;
/// Octets of an item that a foreign image may hold: a DNS name with every octet escaped.
pub const ITEM_OCTETS: usize = 1024;
/// Octets of an image that is looked at.
pub const IMAGE_OCTETS: usize = 1 << 20;
/// Largest parameters of a foreign image that are taken: they decide how much memory it gets.
pub const IMAGE_LG_K: u8 = 16;
/// Likewise of quantiles.
pub const IMAGE_K: u16 = 1024;
