//! The executable: the console's front end and the allocator, around the library, which can be compiled while the front
//! end is being built.

use std::process::ExitCode;

use rust_embed::RustEmbed;

/// Rendering allocates a lot: the system's allocator took a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(RustEmbed)]
#[folder = "../target/site"]
#[exclude = ".inputs"]
#[exclude = "*.map"]
struct Site;

/// The names of the other files carry a hash of their content, so this one changes with the front end, and the compiler
/// embeds the new one.
const _: &[u8] = include_bytes!("../../target/site/manifest.json");

fn main() -> ExitCode {
    server::main(Site::get)
}
