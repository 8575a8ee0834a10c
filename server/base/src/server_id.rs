//! The id of this server among those of its database.
//!
//! It is stored in the data directory, which one process uses at a time. So a server that starts knows that whatever has
//! its id was left by an earlier process of its own, which has ended, and takes it over at once. What other servers have
//! may still be in progress.

use std::path::Path;

use api::ids::ServerId;

use crate::secrets::write_private;

/// Reads the id from `file`, which is created at the first start. One that cannot be read is replaced: what it was
/// written to is then taken over when its lease has expired.
pub(crate) fn load(file: &Path) -> anyhow::Result<ServerId> {
    let known = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
    if let Some(id) = known {
        return Ok(id);
    }
    let id = ServerId::now_v7();
    write_private(file, &id.to_string())?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_id_and_another_has_another() {
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
