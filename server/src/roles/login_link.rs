//! `wharfd login-link`: prints a one-time sign-in link.

use anyhow::{Context, Result};

use crate::{config::Settings, machine, socket};

/// Requests a link from the server of the data directory and prints it.
pub async fn run(mut settings: Settings) -> Result<()> {
    machine::must_be_root()?;
    settings.resolve()?;
    let result = socket::sign_in_link(&settings).await;
    let link = result.with_context(|| {
        format!(
            "No running Wharf uses the data directory {}. Start it with wharfd up, or set another directory with --data",
            settings.data.display()
        )
    })?;
    println!("{}", link.url);
    Ok(())
}
