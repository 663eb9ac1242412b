//! The log against a disk that fails, fills up, crashes and rots.
