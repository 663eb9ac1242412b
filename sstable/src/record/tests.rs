//! Records come back as they were.
