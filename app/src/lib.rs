//! The console: what people see in a browser.
#![recursion_limit = "512"]
