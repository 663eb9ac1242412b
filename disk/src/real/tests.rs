//! Tests of real.
