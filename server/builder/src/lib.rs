//! Turns source code into slugs.
