//! A manifest survives what it should and nothing else.
