//! Tests of bytes.
