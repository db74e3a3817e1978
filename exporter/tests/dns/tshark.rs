//! Real captures: message by message what tshark reads.
