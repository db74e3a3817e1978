//! NetFlow, which IPFIX grew out of: version 9 with templates (RFC 3954), versions 5 and 7 with records of one form.
//!
//! All of them end in the same Data Records: version 9 through templates accepted as those of IPFIX are, versions 5 and 7
//! through a template that is built in.

pub mod fixed;
pub mod v9;
