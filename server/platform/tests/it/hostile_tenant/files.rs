//! Attempts to access files of the machine, or to fill its disk, through uploads.

use std::io::Write;

use serde_json::json;
use tar::EntryType;

use crate::world::{World, path, slug_archive};

/// An entry of a tar archive with these fields, valid or not.
pub fn entry(kind: EntryType, path: &str, target: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o6777);
    header.set_size(size);
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// The entries followed by this many zeros, compressed with zstd.
pub fn packed(entries: &[Vec<u8>], zeros: u64) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&entries.concat()).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), zeros), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn an_upload_that_is_no_slug_is_rejected_and_never_usable() {
    let t = World::start().await;
    t.app("dusk").await;
    let wish = json!({ "process_types": { "web": "ls -R /app" } });
    let slug = t.owner.post("/apps/dusk/slugs", wish).await.json();
    let put = path(slug["blob"]["url"].as_str().unwrap());
    let link = |path, target| entry(EntryType::Symlink, path, target, 0);
    for (archive, said) in [
        (packed(&[link("app", "/var/lib/wharf/slugs")], 1024), "`app` is not under ./app"),
        (packed(&[link("./app/", "../../../slugs")], 1024), "`./app/` is not under ./app"),
        (packed(&[link("app/l", "/etc"), link("app/l/x", "y")], 1024), "would be written through a link"),
        (
            packed(&[entry(EntryType::Link, "app/p", "/etc/passwd", 0)], 1024),
            "`/etc/passwd` points outside the archive",
        ),
        (packed(&[entry(EntryType::Regular, "app/../x", "", 0)], 1024), "points outside"),
        (packed(&[entry(EntryType::GNULongName, "x", "", 1 << 40)], 1 << 20), "longer than 64 KB"),
        (packed(&[entry(EntryType::XHeader, "x", "", 1 << 40)], 1 << 20), "longer than 64 KB"),
        (packed(&[entry(EntryType::Regular, "app/x", "", 1 << 40)], 1 << 20), "it contains more than 1024 MB"),
        (packed(&[entry(EntryType::Char, "app/x", "", 1 << 40)], 2 << 30), "it contains more than 1024 MB"),
        (packed(&[], 1024), "it is empty"),
        (packed(&[b"no archive at all".repeat(100)], 0), "not a readable tar archive"),
    ] {
        let answer = t.anonymous.ask("PUT", &put).body(archive).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(answer.text().contains(said) && answer.text().contains("not a slug"), "{said}: {answer:?}");
        let release = t.owner.post("/apps/dusk/releases", json!({ "slug": slug["id"] })).await;
        assert_eq!(release.error().2, "The slug has no content yet. Upload it to its blob URL first.");
    }
    assert_eq!(std::fs::read_dir(t.data().join("tmp")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(t.data().join("slugs")).unwrap().count(), 0);
    // There is still space for a slug.
    assert_eq!(t.anonymous.ask("PUT", &put).body(slug_archive()).await.status, 200);
    assert_eq!(t.anonymous.ask("PUT", &put).body(slug_archive()).await.status, 409);
    t.owner.post("/apps/dusk/releases", json!({ "slug": slug["id"] })).await;
    t.dynos("dusk", &["web.1 up v2"]).await;
}
