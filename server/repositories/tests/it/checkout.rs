//! The files that a build gets.

use repositories::Submodule;

use crate::world::{World, read};

#[tokio::test]
async fn a_build_gets_the_files_of_a_clone() {
    let world = World::new();
    let attributes = "[attr]hidden export-ignore\ntests/ export-ignore\nseeds.json export-ignore\n*.key hidden\n\
                      revision.txt export-subst\nwin.bat text eol=crlf\n";
    world.write(".gitattributes", attributes);
    world.write("tests/fixtures.py", "NAME = 1\n");
    world.write("tests/.gitattributes", "* export-ignore\n");
    world.write("seeds.json", "{}\n");
    world.write("app.key", "key\n");
    world.write("revision.txt", "rev $Format:%H$\n");
    world.write("win.bat", "echo\n");
    let commit = world.commit("With attributes");
    world.store().await;
    let (folder, contents) = world.checkout(&commit).await;
    for (path, text) in [
        (".gitattributes", attributes),
        ("tests/fixtures.py", "NAME = 1\n"),
        ("tests/.gitattributes", "* export-ignore\n"),
        ("seeds.json", "{}\n"),
        ("app.key", "key\n"),
        ("revision.txt", "rev $Format:%H$\n"),
        ("win.bat", "echo\r\n"),
    ] {
        assert_eq!(read(&folder, path), text, "{path}");
    }
    assert_eq!(contents, repositories::Contents::default());
}

#[tokio::test]
async fn what_is_missing_in_a_commit_is_known() {
    let world = World::new();
    let inner = "0123456789012345678901234567890123456789";
    let module = |name: &str, url: &str| format!("[submodule \"{name}\"]\n\tpath = lib/{name}\n\turl = {url}\n");
    // The limit, and one byte more.
    let longest = format!("https://a.example/{}", "x".repeat(2048 - 18));
    let longer = format!("{longest}x");
    let modules = [("words", "https://a.example/words.git"), ("long", longest.as_str()), ("longer", longer.as_str())];
    world.write(".gitmodules", &modules.map(|(name, url)| module(name, url)).concat());
    for name in ["words", "other", "long", "longer"] {
        world.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{inner},lib/{name}")]);
    }
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "a".repeat(64));
    world.write("data/a b.bin", &pointer);
    world.write("data/no.bin", &"x".repeat(pointer.len()));
    // Not with `add -A`, which would remove the submodules, whose folders do not exist.
    world.git(&["add", ".gitmodules", "data"]);
    world.git(&["commit", "-q", "-m", "With a submodule"]);
    let commit = world.git(&["rev-parse", "HEAD"]);
    world.store().await;
    let (folder, contents) = world.checkout(&commit).await;
    assert!(folder.join("lib/words").is_dir());
    let submodule =
        |path: &str, url: Option<&str>| Submodule { path: path.into(), commit: inner.into(), url: url.map(Into::into) };
    let expected = [
        submodule("lib/long", Some(longest.as_str())),
        submodule("lib/longer", None),
        submodule("lib/other", None),
        submodule("lib/words", Some("https://a.example/words.git")),
    ];
    assert_eq!(contents.submodules, expected);
    assert_eq!((contents.pointers, contents.pointer_paths), (1, vec!["data/a b.bin".to_owned()]));
}
