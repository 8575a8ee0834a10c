//! A router alone, for benchmarks: `bench_router LISTEN DATA RUN`.

use std::path::PathBuf;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next =
        |what: &str| args.next().ok_or_else(|| anyhow::anyhow!("{what} is missing: bench_router LISTEN DATA RUN"));
    let listen = next("LISTEN")?.parse()?;
    let data = PathBuf::from(next("DATA")?);
    let run = PathBuf::from(next("RUN")?);
    let config = router::Config::new(listen, data, run);
    router::serve(config, async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await
}
