//! Streamed output of builds and release phases.

use std::time::Duration;

use anyhow::{Result, bail};
use api::{Error, sanitize};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};

use crate::{output, transport};

/// How long to wait for a stream that does not exist yet.
const BEGIN: Duration = Duration::from_secs(20);
/// How often to resume a broken stream before giving up.
const TRIES: u32 = 5;

/// Prints the output at `url` to its end. A lost connection is resumed where it broke off.
pub async fn show(url: &str) -> Result<()> {
    let started = Instant::now();
    let mut shown = 0;
    let mut broken = 0;
    let mut text = sanitize::Stream::default();
    loop {
        let response = transport::open(url, &[("accept", "text/plain".into())]).await?;
        match response.status().as_u16() {
            200 => {}
            // The process that writes it has not started.
            404 if started.elapsed() < BEGIN => {
                sleep(Duration::from_millis(500)).await;
                continue;
            }
            404 => bail!("There is no output: it was never written, or it has been deleted."),
            status => {
                return Err(Error::unreadable(status, format!("The output cannot be read: status {status}.")).into());
            }
        }
        match copy(response.into_body(), &mut shown, &mut text).await {
            Ok(()) => {
                output::write_exactly(&text.finish());
                return Ok(());
            }
            Err(err) if broken == TRIES => {
                bail!("The connection was lost {TRIES} times: {err}. Try again.")
            }
            Err(_) => broken += 1,
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Prints a body without its first `shown` bytes, and updates the count.
async fn copy(
    mut body: hyper::body::Incoming,
    shown: &mut usize,
    text: &mut sanitize::Stream,
) -> Result<(), hyper::Error> {
    let mut skip = *shown;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let skipped = skip.min(data.len());
        skip -= skipped;
        output::write_exactly(&text.feed(&data[skipped..]));
        *shown += data.len() - skipped;
    }
    Ok(())
}
