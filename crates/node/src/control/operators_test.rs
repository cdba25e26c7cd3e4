//! Tests of what a node makes of its end.
