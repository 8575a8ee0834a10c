//! Pushes of unusual commits with real git to an entire server: from shallow clones, of tags, with submodules, with old
//! histories.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use std::{fs, io::Write as _, process::Stdio};

use world::{
    World,
    repo::{Repo, commit, git},
};

#[test]
fn a_push_from_a_shallow_clone_is_refused_before_anything_is_built() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "shallow");
    for n in 1..4 {
        repo.commit(&format!("echo {n} > made"));
    }
    let clone = |name: &str| {
        let from = format!("file://{}", repo.folder.display());
        git(world.dir.path(), &["clone", "-q", "--depth", "1", &from, name]);
        world.dir.path().join(name)
    };
    let shallow = clone("ci");
    let (ok, said) = repo.push_from(&shallow, &["HEAD:main"]);
    assert!(!ok && said.contains("shallow update not allowed"), "{said}");
    assert!(said.contains("git fetch --unshallow") && !said.contains("Building on"), "{said}");
    assert_eq!((repo.list("builds").len(), repo.tip("main")), (0, String::new()));
    // The advice helps.
    git(&shallow, &["fetch", "-q", "--unshallow"]);
    let (ok, said) = repo.push_from(&shallow, &["HEAD:main"]);
    assert!(ok, "{said}");
    assert_eq!(world.ask_host("shallow", "/made").trim(), "3");
    // What the repository has already need not be in the clone.
    let shallow = clone("next");
    fs::write(shallow.join("build"), "echo next > made").unwrap();
    commit(&shallow, "next");
    let (ok, said) = repo.push_from(&shallow, &["HEAD:main"]);
    assert!(ok && !said.contains("unshallow"), "{said}");
    git(world.dir.path(), &["clone", "-q", &repo.url(), "back"]);
    git(&world.dir.path().join("back"), &["fsck", "--full"]);
    assert!(up.stop().success());
}

#[test]
fn an_annotated_tag_is_deployed_as_its_commit() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "tagged");
    let tag = |name: &str| {
        git(&repo.folder, &["-c", "user.name=A", "-c", "user.email=a@b.c", "tag", "-a", name, "-m", name]);
    };
    let first = repo.commit("echo $SOURCE_VERSION > made");
    tag("v1");
    let (ok, said) = repo.push(&["v1:refs/heads/main"]);
    assert!(ok && said.contains("deployed to Wharf"), "{said}");
    assert_eq!((repo.tip("main"), world.ask_host("tagged", "/made").trim().to_owned()), (first.clone(), first.clone()));
    // Once more, there is nothing to do.
    let (ok, said) = repo.push(&["v1:main"]);
    assert!(ok && said.contains(&format!("main is at {} already.", &first[..8])), "{said}");
    assert_eq!(repo.list("builds").len(), 1);
    let second = repo.commit("echo two > made");
    tag("v2");
    let (ok, said) = repo.push(&["v2:main"]);
    assert!(ok, "{said}");
    assert_eq!((repo.tip("main"), world.ask_host("tagged", "/made").trim()), (second, "two"));
    // A file is still none.
    let (ok, said) = repo.push(&["-f", "HEAD:build:refs/heads/main"]);
    assert!(!ok, "{said}");
    assert!(up.stop().success());
}

#[test]
fn submodules_are_fetched_and_what_cannot_be_fetched_is_said() {
    let world = World::new();
    let mut up = world.up(&["--outbound-networks", "127.0.0.1"]);
    let words = Repo::new(&world, "words");
    fs::write(words.folder.join("words.txt"), "words of the submodule\n").unwrap();
    let inner = words.commit("true");
    let (ok, said) = words.push(&["main:refs/heads/stored"]);
    assert!(ok, "{said}");

    let repo = Repo::new(&world, "whole");
    let modules = [
        ("lib/words", words.url()),
        ("lib/by-ssh", "git@github.com:team/words.git".to_owned()),
        ("lib/gone", words.url().replace("words.git", "nothing.git")),
        ("lib/relative", "../words.git".to_owned()),
        ("lib/inside", "http://127.0.0.2/words.git".to_owned()),
    ];
    let mut text = String::new();
    for (path, url) in &modules {
        text.push_str(&format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n"));
        git(&repo.folder, &["update-index", "--add", "--cacheinfo", &format!("160000,{inner},{path}")]);
    }
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "a".repeat(64));
    let attributes = "build export-ignore\nrevision export-subst\n";
    let build = "cat lib/words/words.txt revision > made; ls -A lib/gone lib/inside | wc -w >> made";
    for (path, text) in [
        (".gitmodules", text.as_str()),
        ("model.bin", pointer.as_str()),
        (".gitattributes", attributes),
        ("revision", "$Format:%H$\n"),
        ("build", build),
    ] {
        fs::write(repo.folder.join(path), text).unwrap();
        git(&repo.folder, &["add", path]);
    }
    git(&repo.folder, &["-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-q", "-m", "With submodules"]);
    let (ok, said) = repo.push(&["HEAD:main"]);
    assert!(ok, "{said}");
    let page = world.ask_host("whole", "/made");
    let lines: Vec<&str> = page.lines().collect();
    // `ls` names both empty folders.
    assert_eq!(lines, ["words of the submodule", "$Format:%H$", "2"], "{said}");
    for words in [
        "Fetching submodules",
        "The submodule lib/by-ssh is empty: only https:// URLs can be fetched; in .gitmodules, use https://github.com/team/words.git.",
        "The submodule lib/gone is empty: ",
        "The submodule lib/relative is empty: its URL in .gitmodules is relative",
        "The submodule lib/inside is empty: 127.0.0.2 is a loopback address",
        "1 file is a Git LFS pointer, not its content: model.bin",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("lib/words is empty") && !said.contains(&world.token()), "{said}");
    assert!(up.stop().success());
}

#[test]
fn old_histories_are_accepted_and_dangerous_paths_are_not() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "old");
    let object = |kind: &str, content: &[u8]| {
        let mut git = repo.command(&repo.folder, &["hash-object", "-w", "--literally", "-t", kind, "--stdin"]);
        let mut git = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        git.stdin.take().unwrap().write_all(content).unwrap();
        String::from_utf8(git.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
    };
    let entry = |mode: &str, name: &str, id: &str| {
        let id = (0..20).map(|n| u8::from_str_radix(&id[2 * n..2 * n + 2], 16).unwrap());
        [format!("{mode} {name}\0").into_bytes(), id.collect()].concat()
    };
    let mut parent = String::new();
    let mut commit_of = |tree: &str, author: &str| {
        parent =
            object("commit", format!("tree {tree}\n{parent}author {author}\ncommitter {author}\n\nold\n").as_bytes());
        parent = format!("parent {parent}\n");
        parent["parent ".len()..].trim().to_owned()
    };
    let build = object("blob", b"true\n");
    let folder = object("tree", &entry("100644", "file", &build));
    let tree = object("tree", &[entry("100664", "build", &build), entry("040000", "folder", &folder)].concat());
    let mut last = String::new();
    for author in [
        "Ada <ada@example.com> 1234567890 +051800",
        "Ada <ada@example.com>1234567890 +0000",
        "Ada<ada@example.com> 1234567890 +0000",
        "<ada@example.com> 1234567890 +0000",
        "Ada <ada@example.com> 0123 +0000",
        "Ada <ada@<example.com>> 123 +0000",
    ] {
        last = commit_of(&tree, author);
    }
    let (ok, said) = repo.push(&[&format!("{last}:refs/heads/main")]);
    assert!(ok, "{said}");
    assert_eq!(repo.tip("main"), last);
    for name in [".git", "..", ".GIT", "git~1"] {
        let mut entries = [(name, entry("40000", name, &folder)), ("build", entry("100644", "build", &build))];
        entries.sort();
        let tree = object("tree", &entries.map(|(_, entry)| entry).concat());
        let bad = commit_of(&tree, "Ada <ada@example.com> 123 +0000");
        let (ok, said) = repo.push(&[&format!("{bad}:refs/heads/main")]);
        assert!(!ok, "{name}: {said}");
        let (ok, said) = repo.push(&[&format!("{bad}:refs/heads/other")]);
        assert!(!ok, "{name}: {said}");
    }
    assert_eq!(repo.tip("main"), last);
    assert!(up.stop().success());
}
