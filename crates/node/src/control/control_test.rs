//! Control end to end.
