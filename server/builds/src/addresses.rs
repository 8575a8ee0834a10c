//! URLs with secrets at rest: those of buildpacks and sources.
//!
//! A row has the masked URLs, which can be shown, and the originals, encrypted, if they differ. If they do not match,
//! an older server has written the row: then the masked column has the originals.

use anyhow::Context as _;
use api::ids::{AppId, BuildId};
use base::secrets::Secrets;
use platform::Platform;
use store::addresses::Sealed;

/// Rows that are encrypted per query.
const BATCH: i64 = 500;

fn purpose(app: AppId) -> String {
    format!("addresses of {app}")
}

/// A URL as stored without encryption. A URL of the platform itself grants access, and contains the id of its target.
fn shown(address: &str) -> String {
    match address.split_once("/blobs/sources/") {
        Some((host, _)) => format!("{}/blobs/sources/***", builder::masked(host)),
        None => builder::masked(address),
    }
}

/// The address of a source without its fragment (the part after `#`), which is never sent to a server, and may contain
/// a secret. The fragment of a buildpack's URL is its branch.
pub(crate) fn without_fragment(source: &str) -> &str {
    source.split('#').next().unwrap_or_default()
}

fn all_shown(addresses: &[String]) -> Vec<String> {
    addresses.iter().map(|address| shown(address)).collect()
}

/// The stored form of an app's URLs.
pub(crate) fn seal(secrets: &Secrets, app: AppId, buildpacks: &[String], source: Option<&str>) -> Sealed {
    let source = source.map(without_fragment);
    let seal = |plain: &[String]| {
        let is_open = all_shown(plain) == plain;
        let text = serde_json::to_vec(plain).expect("a list of strings always serialises");
        (!is_open).then(|| secrets.seal(&purpose(app), &text))
    };
    Sealed {
        buildpacks: all_shown(buildpacks),
        buildpacks_sealed: seal(buildpacks),
        source_url: source.map(shown),
        source_sealed: source.and_then(|source| seal(&[source.to_owned()])),
    }
}

fn open(secrets: &Secrets, app: AppId, kept: &[String], sealed: Option<&[u8]>) -> anyhow::Result<Vec<String>> {
    let Some(sealed) = sealed else { return Ok(kept.to_vec()) };
    let text = secrets.open(&purpose(app), sealed)?;
    let opened: Vec<String> = serde_json::from_slice(&text).context("read addresses")?;
    Ok(if all_shown(&opened) == kept { opened } else { kept.to_vec() })
}

/// The buildpacks of an app as the user entered them.
pub(crate) fn buildpacks(secrets: &Secrets, app: &store::apps::Row) -> anyhow::Result<Vec<String>> {
    open(secrets, app.id, &app.buildpacks, app.buildpacks_sealed.as_deref())
}

/// The address of a build's source as the user entered it.
pub(crate) fn source(secrets: &Secrets, build: &store::builds::Row) -> anyhow::Result<Option<String>> {
    let Some(kept) = &build.source_url else { return Ok(None) };
    let opened = open(secrets, build.app_id, std::slice::from_ref(kept), build.source_sealed.as_deref())?;
    Ok(opened.into_iter().next())
}

/// A build with its addresses as the user entered them, for running it.
pub(crate) fn opened(secrets: &Secrets, build: store::builds::Row) -> anyhow::Result<store::builds::Row> {
    let buildpacks = open(secrets, build.app_id, &build.buildpacks, build.buildpacks_sealed.as_deref())?;
    Ok(store::builds::Row { buildpacks, source_url: source(secrets, &build)?, ..build })
}

/// Encrypts URLs that an older server has stored unencrypted, some rows at a time. Returns a line with their number.
pub(crate) async fn seal_old(platform: &Platform) -> anyhow::Result<Vec<String>> {
    Ok(match seal_apps(platform).await? + seal_builds(platform).await? {
        0 => Vec::new(),
        sealed => vec![format!("encrypted the URLs of {sealed} apps and builds")],
    })
}

async fn seal_apps(platform: &Platform) -> anyhow::Result<usize> {
    let (db, mut after, mut done) = (platform.db(), AppId::nil(), 0);
    loop {
        let rows =
            store::addresses::address_open_of_apps(db, after, BATCH).await.context("find unencrypted addresses")?;
        let Some(last) = rows.last() else { return Ok(done) };
        after = last.id;
        for was in &rows {
            let Some(now) = sealed(platform, was) else { continue };
            let is_done = store::addresses::address_seal_of_app(db, was, &now).await;
            done += usize::from(is_done.context("seal addresses")?);
        }
    }
}

async fn seal_builds(platform: &Platform) -> anyhow::Result<usize> {
    let (db, mut after, mut done) = (platform.db(), BuildId::nil(), 0);
    loop {
        let rows =
            store::addresses::address_open_of_builds(db, after, BATCH).await.context("find unencrypted addresses")?;
        let Some(last) = rows.last() else { return Ok(done) };
        after = last.id;
        for was in &rows {
            let Some(now) = sealed(platform, was) else { continue };
            let is_done = store::addresses::address_seal_of_build(db, was, &now).await;
            done += usize::from(is_done.context("seal addresses")?);
        }
    }
}

/// The replacement of a row; `None` if it contains no secret after all.
fn sealed<Id>(platform: &Platform, was: &store::addresses::Row<Id>) -> Option<Sealed> {
    let now = seal(platform.secrets(), was.app_id, &was.buildpacks, was.source_url.as_deref());
    (now.buildpacks != was.buildpacks || now.source_url != was.source_url).then_some(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_in_the_open_has_no_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let (secrets, app) = (Secrets::load(&dir.path().join("key"), None).unwrap(), AppId::now_v7());
        let given = ["heroku/go", "https://me:hush@example.com/pack.git"].map(String::from);
        let source = "http://localhost:5000/blobs/sources/hush";
        let kept = seal(&secrets, app, &given, Some(source));
        assert_eq!(kept.buildpacks, ["heroku/go", "https://***@example.com/pack.git"]);
        assert_eq!(kept.source_url.as_deref(), Some("http://localhost:5000/blobs/sources/***"));
        let sealed = kept.buildpacks_sealed.as_deref();
        assert_eq!(open(&secrets, app, &kept.buildpacks, sealed).unwrap(), given);
        // An older server, which does not encrypt, has changed it since.
        let changed = ["https://you:hush@example.com/pack.git".to_owned()];
        assert_eq!(open(&secrets, app, &changed, sealed).unwrap(), changed);
        assert!(open(&secrets, AppId::now_v7(), &kept.buildpacks, sealed).is_err());

        let plain = seal(&secrets, app, &given[..1], Some("https://example.com/a.tgz#hush"));
        assert_eq!(plain.source_url.as_deref(), Some("https://example.com/a.tgz"));
        assert!(plain.buildpacks_sealed.is_none() && plain.source_sealed.is_none());
    }
}
