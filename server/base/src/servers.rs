//! The id of this server among those of its database.
//!
//! It is stored in the data directory, and held in the database for as long as this process runs. So a server that starts
//! and gets its id knows that whatever has this id was left by an earlier process, which has ended, and takes it over at
//! once. What other servers have may still be in progress. A data directory can be copied, with everything that identifies
//! the machine, while both run: the one that starts second gets another id.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use api::ids::ServerId;
use sqlx::PgPool;
use store::servers::{ServerHold, server_hold};

use crate::secrets::write_private;

/// How often, and with which pause, the id is tried: Postgres may take a moment to notice that the previous process has
/// ended.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// The id in `file`, held until the second value is dropped. If another process holds it, or if there is none, a new one is
/// written: what has the old one is then taken over when its lease has expired.
pub(crate) async fn claim(file: &Path, db: &PgPool) -> anyhow::Result<(ServerId, ServerHold)> {
    let id = load(file)?;
    for _ in 0..TRIES {
        if let Some(hold) = hold(db, id).await? {
            return Ok((id, hold));
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::warn!(file = %file.display(), "another server has the id of this one, which gets a new one; was its data \
                    directory copied?");
    let id = create(file)?;
    let hold = hold(db, id).await?.context("a new server id is already in use")?;
    Ok((id, hold))
}

async fn hold(db: &PgPool, id: ServerId) -> anyhow::Result<Option<ServerHold>> {
    server_hold(db, id).await.context("hold the server's id in the database")
}

/// Reads the id. One that cannot be read is replaced.
fn load(file: &Path) -> anyhow::Result<ServerId> {
    let known = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
    known.map_or_else(|| create(file), Ok)
}

fn create(file: &Path) -> anyhow::Result<ServerId> {
    let id = ServerId::now_v7();
    write_private(file, &id.to_string())?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_and_one_that_cannot_be_read_is_replaced() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = here.path().join("server-id");
        let id = load(&file).unwrap();
        assert_eq!(load(&file).unwrap(), id);
        assert_ne!(load(&there.path().join("server-id")).unwrap(), id);
        std::fs::write(&file, "0190").unwrap();
        let new = load(&file).unwrap();
        assert!(new != id && load(&file).unwrap() == new);
    }
}
