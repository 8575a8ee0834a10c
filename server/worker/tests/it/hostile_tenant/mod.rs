//! What somebody can try who has taken a worker over, by what they try to reach.

mod crowd;
mod files;
mod host;
mod memory;
