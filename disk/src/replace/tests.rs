//! Tests of replace.
