//! `wharfd login-link`: prints a link that signs a browser in, once.

use anyhow::{Context, Result};

use crate::{config::Settings, machine, socket};

/// Asks the server that runs on the data directory for a link and prints it.
pub async fn run(mut settings: Settings) -> Result<()> {
    machine::must_be_root()?;
    settings.resolve()?;
    let answer = socket::sign_in_link(&settings).await;
    let link = answer.with_context(|| {
        format!(
            "Wharf does not answer for {}. Start it with wharfd up, or name its directory with --data",
            settings.data.display()
        )
    })?;
    println!("{}", link.url);
    Ok(())
}
