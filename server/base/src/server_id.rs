//! The id of this server among those of its database.
//!
//! It is stored in the data directory, which one process uses at a time. So a starting server knows that everything
//! with its id was left by an earlier process of its own that has ended, and takes it over immediately. Work of other
//! servers may still be in progress.

use std::path::Path;

use api::ids::ServerId;

use crate::secrets::write_private;

/// Reads the id from `file`, which is created at the first start. An unreadable one is replaced: work with the old id
/// is then taken over when its lease expires.
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
