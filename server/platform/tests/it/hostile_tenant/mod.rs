//! A hostile tenant, who has an account and means no good. One module for each target that they try to reach.

mod outside;
