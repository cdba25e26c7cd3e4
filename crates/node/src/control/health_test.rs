//! Tests of the health word.
