//! `wharfd`: the server and its roles.

fn main() {}
