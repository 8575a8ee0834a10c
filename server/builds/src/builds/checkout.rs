//! Writes the files of a commit to disk, with those of its submodules, and tells the user what is missing.

use std::{
    collections::VecDeque,
    fs::File,
    io::{Seek as _, SeekFrom},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use api::sanitize;
use outbound::Url;
use repositories::{Contents, Submodule};
use store::builds::Row;

use super::output::print;
use crate::{Builds, submodules};

/// The maximum number of submodules of a commit, including those of its submodules.
const MOST: usize = 100;
/// The time limit of all submodules together.
const TIME: Duration = Duration::from_secs(600);

/// Writes the files of `commit` to `into`. A submodule that cannot be fetched is an empty folder, and the output of the
/// build says why.
pub(super) async fn write(
    builds: &Builds,
    build: &Row,
    commit: &str,
    (into, uid): (&Path, u32),
) -> Result<(), builder::Error> {
    let archive = into.with_extension("tar");
    let outcome = match pack(builds, build, commit, (&archive, into)).await {
        Ok(()) => builder::unpack_tree(builds.workers(), &archive, into, uid).await,
        Err(err) => Err(builder::Error::Other(err)),
    };
    let _ = tokio::fs::remove_file(&archive).await;
    outcome
}

/// Writes the archive of a commit and its submodules.
async fn pack(builds: &Builds, build: &Row, commit: &str, (archive, into): (&Path, &Path)) -> anyhow::Result<()> {
    let archive = File::create(archive).context("create the archive")?;
    let contents = builds.git().checkout(build.app_id, commit, &archive).await?;
    say_pointers(builds, build, "", &contents).await?;
    if contents.submodules.is_empty() {
        return Ok(());
    }
    say(builds, build, "-----> Fetching submodules", None).await?;
    let (end, mut seen) = (Instant::now() + TIME, 0);
    let mut waiting: VecDeque<(Submodule, Option<Url>)> = contents.submodules.into_iter().map(|s| (s, None)).collect();
    while let Some((submodule, parent)) = waiting.pop_front() {
        seen += 1;
        if seen > MOST {
            let line = format!(" !     A commit can have at most {MOST} submodules. The others are empty.");
            return say(builds, build, &line, None).await;
        }
        let url = target(&submodule, parent.as_ref());
        let left = end.saturating_duration_since(Instant::now());
        let fetched = match &url {
            Ok(url) => fetch(builds, &submodule, url, (&archive, &into.with_extension("git")), left).await?,
            Err(why) => Err(why.clone()),
        };
        let url = url.ok();
        match fetched {
            Ok(contents) => {
                say(builds, build, &format!("       {}", submodule.path), None).await?;
                say_pointers(builds, build, &format!("{}/", submodule.path), &contents).await?;
                let inner = contents.submodules.into_iter().take(MOST);
                waiting.extend(inner.map(|inner| (below(&submodule, inner), url.clone())));
            }
            Err(why) => {
                let line = format!(" !     The submodule {} is empty: {why}.", submodule.path);
                say(builds, build, &line, url.as_ref()).await?;
            }
        }
    }
    Ok(())
}

/// Appends a submodule to the archive within this time, or leaves the archive as it was and returns why: a clause.
async fn fetch(
    builds: &Builds,
    submodule: &Submodule,
    url: &Url,
    (archive, folder): (&File, &Path),
    time: Duration,
) -> anyhow::Result<Result<Contents, String>> {
    if time.is_zero() {
        return Ok(Err(format!("all submodules together took longer than {} s", TIME.as_secs())));
    }
    let mut end = archive;
    let length = end.stream_position().context("measure the archive")?;
    let fetched = submodules::fetch(builds, (submodule, url), (archive, folder), time).await?;
    if fetched.is_err() {
        end.set_len(length).context("truncate the archive")?;
        end.seek(SeekFrom::Start(length)).context("truncate the archive")?;
    }
    Ok(fetched)
}

/// The URL of a submodule; `parent` is that of the repository that it is part of, if known. The error is a clause.
fn target(submodule: &Submodule, parent: Option<&Url>) -> Result<Url, String> {
    if !submodule.is_valid() {
        return Err("its path is not one that can be checked out".to_owned());
    }
    let url = submodule.url.as_deref().ok_or("it has no URL in .gitmodules")?;
    if url.starts_with("./") || url.starts_with("../") {
        let parent = parent.ok_or("its URL in .gitmodules is relative; only an https:// URL can be fetched")?;
        // As git does: relative to the repository as a folder.
        let mut folder = parent.clone();
        folder.set_path(&format!("{}/", parent.path().trim_end_matches('/')));
        return folder.join(url).map_err(|_| "its URL in .gitmodules is not valid".to_owned());
    }
    match Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => Ok(parsed),
        _ => Err(over_https(url)),
    }
}

/// Why a URL with another protocol cannot be fetched, with the URL that probably can.
fn over_https(url: &str) -> String {
    let place = match url.strip_prefix("ssh://git@") {
        Some(rest) => Some(rest.to_owned()),
        None => url.strip_prefix("git@").map(|rest| rest.replacen(':', "/", 1)),
    };
    match place.filter(|place| !place.starts_with('/') && !place.contains(':')) {
        Some(place) => format!("only https:// URLs can be fetched; in .gitmodules, use https://{place}"),
        None => "only https:// URLs can be fetched; change its URL in .gitmodules".to_owned(),
    }
}

/// A submodule of a submodule, with its path in the whole tree.
fn below(outer: &Submodule, inner: Submodule) -> Submodule {
    Submodule { path: format!("{}/{}", outer.path, inner.path), ..inner }
}

/// Prints a line, which may contain untrusted text, without the password of this URL.
async fn say(builds: &Builds, build: &Row, line: &str, url: Option<&Url>) -> anyhow::Result<()> {
    let line = builder::without_secrets(&sanitize::line(line), url.map(Url::as_str));
    print(builds, build.app_id, build.id, &line).await
}

async fn say_pointers(builds: &Builds, build: &Row, prefix: &str, contents: &Contents) -> anyhow::Result<()> {
    for line in pointer_lines(prefix, contents) {
        say(builds, build, &line, None).await?;
    }
    Ok(())
}

/// Lines about Git LFS pointers.
fn pointer_lines(prefix: &str, contents: &Contents) -> Vec<String> {
    if contents.pointers == 0 {
        return Vec::new();
    }
    let mut names: Vec<String> = contents.pointer_paths.iter().map(|path| format!("{prefix}{path}")).collect();
    if contents.pointers > names.len() {
        names.push("…".to_owned());
    }
    let names = names.join(", ");
    let files = match contents.pointers {
        1 => "1 file is a Git LFS pointer, not its content".to_owned(),
        n => format!("{n} files are Git LFS pointers, not their content"),
    };
    vec![
        format!(" !     {files}: {names}"),
        " !     Git LFS is not supported. Commit the files without it, or download them during the build.".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submodule(url: &str) -> Submodule {
        Submodule { path: "lib/words".into(), commit: "0".repeat(40), url: Some(url.into()) }
    }

    #[test]
    fn a_relative_url_is_relative_to_the_repository_around() {
        let parent = Url::parse("https://u:p@a.example/team/app.git").unwrap();
        let to = |url: &str| target(&submodule(url), Some(&parent)).unwrap().to_string();
        assert_eq!(to("../words.git"), "https://u:p@a.example/team/words.git");
        assert_eq!(to("../../other/words"), "https://u:p@a.example/other/words");
        assert_eq!(to("https://b.example/x.git"), "https://b.example/x.git");
        assert!(target(&submodule("../words.git"), None).unwrap_err().contains("relative"));
    }

    #[test]
    fn other_protocols_are_not_fetched() {
        let why = |url: &str| target(&submodule(url), None).unwrap_err();
        assert!(why("git@github.com:team/words.git").contains("use https://github.com/team/words.git"));
        assert!(why("ssh://git@github.com/team/words.git").contains("use https://github.com/team/words.git"));
        for url in
            ["git://a.example/x", "file:///etc", "/srv/x.git", "ext::sh -c id", "--upload-pack=x", "ssh://git@/x"]
        {
            assert!(why(url).contains("only https://"), "{url}");
        }
    }

    #[test]
    fn what_would_lead_out_of_the_tree_is_not_fetched() {
        let given = submodule("https://a.example/x.git");
        assert!(target(&given, None).is_ok());
        assert!(target(&Submodule { path: "../x".into(), ..given.clone() }, None).is_err());
        assert!(target(&Submodule { url: None, ..given }, None).is_err());
    }

    #[test]
    fn pointers_are_named() {
        let paths = |n: usize| (0..n).map(|n| format!("{n}.bin")).collect::<Vec<_>>();
        let lines = |pointers, named| {
            let contents = Contents { pointers, pointer_paths: paths(named), ..Contents::default() };
            pointer_lines("lib/", &contents)
        };
        assert!(lines(0, 0).is_empty());
        assert_eq!(lines(1, 1)[0], " !     1 file is a Git LFS pointer, not its content: lib/0.bin");
        let many = " !     9 files are Git LFS pointers, not their content: lib/0.bin, lib/1.bin, …";
        assert_eq!(lines(9, 2)[0], many);
    }
}
