//! A router alone, for benchmarks: `bench_router LISTEN DATA RUN [FILES]`. FILES limits the files that it can open.

use std::path::PathBuf;

use router::{Config, Router, Sockets};

/// The allocator of `wharfd`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "bench_router LISTEN DATA RUN [FILES]";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = |what: &str| args.next().ok_or_else(|| anyhow::anyhow!("{what} is missing: {USAGE}"));
    let listen = next("LISTEN")?.parse()?;
    let data = PathBuf::from(next("DATA")?);
    let run = PathBuf::from(next("RUN")?);
    let config = Config::new(listen, data, run);
    let sockets = Sockets::bind(&config)?;
    if let Some(files) = args.next() {
        limit_files(files.parse()?)?;
    }
    let stopped = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    Router::new(config, sockets)?.run(stopped).await
}

/// Not by the shell: the router raises the limit that it is started with.
fn limit_files(files: libc::rlim_t) -> anyhow::Result<()> {
    let limit = libc::rlimit { rlim_cur: files, rlim_max: files };
    // SAFETY: the call only reads the struct on our stack.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}
