//! Messages in, transactions out.
