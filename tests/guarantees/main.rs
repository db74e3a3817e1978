//! Guarantees that hold across both programs.
