//! FORMAT.md says what the constants say.
