//! `wharf`, the command line.

fn main() {}
