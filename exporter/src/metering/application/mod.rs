//! Application protocols: names that the first octets of a flow's payload tell.

pub mod record;

pub use record::ApplicationRecord;
