//! Attempts to exhaust memory, disk and time of the platform through git.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::world::{
    World,
    repo::{Repo, git},
};

/// git's response to `input`.
fn told(folder: &Path, args: &[&str], input: &[u8]) -> String {
    let mut git = Command::new("git");
    let git = git.arg("-C").arg(folder).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = git.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{args:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// Commits this tree; returns the id.
fn commit_of(folder: &Path, tree: &str, message: &str) -> String {
    let who = ["-c", "user.name=Eve", "-c", "user.email=eve@example.com"];
    told(folder, &[&who[..], &["commit-tree", tree, "-F", "-"]].concat(), message.as_bytes())
}

/// A tree with the same entry under ten names, nested `levels` times.
fn unfolding(folder: &Path, mut what: String, levels: usize) -> String {
    let mut kind = "100644 blob";
    for _ in 0..levels {
        let lines: String = (0..10).map(|n| format!("{kind} {what}\t{n}\n")).collect();
        what = told(folder, &["mktree"], lines.as_bytes());
        kind = "040000 tree";
    }
    what
}

/// The memory usage of the server, in KB.
fn memory(world: &World) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", world.pid_of("server"))).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn trees_that_unfold_are_refused_before_they_are_unfolded() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "bomb");
    let folder = repo.folder.clone();

    let megabyte = told(&folder, &["hash-object", "-w", "--stdin"], &vec![b'x'; 1 << 20]);
    let nothing = told(&folder, &["hash-object", "-w", "--stdin"], b"");
    let mut deep = told(&folder, &["mktree"], format!("100644 blob {nothing}\tfile\n").as_bytes());
    for _ in 0..1000 {
        deep = told(&folder, &["mktree"], format!("040000 tree {deep}\tdeep\n").as_bytes());
    }
    for (tree, why) in [
        (unfolding(&folder, megabyte, 9), "more than 1024 MB of files"),
        (unfolding(&folder, nothing, 9), "more than 250000 files and folders"),
        (deep, "a path that is too long"),
    ] {
        let commit = commit_of(&folder, &tree, "boom");
        let (ok, said) = repo.push(&[&format!("{commit}:refs/heads/main")]);
        assert!(!ok && said.contains(why) && said.contains("the commit is too large"), "{said}");
    }
    assert!(repo.list("builds").is_empty());
    assert_eq!(repo.tip("main"), "");

    // The next one is not affected.
    repo.commit("true");
    let (ok, said) = repo.push(&["main"]);
    assert!(ok, "{said}");
    assert!(up.stop().success());
}

#[test]
fn a_too_large_push_fails_alone() {
    let world = World::new();
    let mut up = world.up(&["--git-push-mb", "4", "--git-memory-mb", "64"]);
    let repo = Repo::new(&world, "large");

    // Random data does not compress.
    fs::copy("/proc/self/exe", repo.folder.join("noise")).unwrap();
    let noise = Command::new("head").args(["-c", "8000000", "/dev/urandom"]).output().unwrap().stdout;
    fs::write(repo.folder.join("noise"), noise).unwrap();
    repo.commit("true");
    let (ok, said) = repo.push(&["main"]);
    assert!(!ok && said.contains("[remote rejected] main -> main (The push is larger than 4 MB)"), "{said}");
    assert!(!said.contains("unpacker error"), "{said}");

    // A message compresses well, and is parsed as a whole.
    fs::remove_file(repo.folder.join("noise")).unwrap();
    let tree = told(&repo.folder, &["mktree"], b"");
    let long = commit_of(&repo.folder, &tree, &"boom ".repeat(60_000_000));
    let (ok, said) = repo.push(&[&format!("{long}:refs/heads/main")]);
    assert!(!ok && said.contains("it needed more than 64 MB of memory"), "{said}");

    // Only one line of a message is shown.
    let loud = commit_of(&repo.folder, &tree, &format!("\u{1b}[31mred\u{202e}{}\u{7}\n", "x".repeat(5000)));
    repo.push(&[&format!("{loud}:refs/heads/main")]);
    let builds = repo.list("builds");
    assert_eq!(builds.len(), 1);
    let subject = builds[0]["source_blob"]["version_description"].as_str().unwrap();
    assert_eq!(subject.chars().count(), 200, "{subject}");
    assert!(!subject.chars().any(|c| c.is_control() || c == '\u{202e}'), "{subject}");
    assert!(up.stop().success());
}

#[test]
fn bodies_that_unfold_and_questions_without_end_cost_the_server_nothing() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "asked");
    repo.commit("true");
    assert!(repo.push(&["main"]).0);

    let packed = |bytes: &[u8]| {
        let mut gzip = Command::new("gzip").args(["-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = gzip.stdin.take().unwrap();
        let bytes = bytes.to_vec();
        let writing = std::thread::spawn(move || input.write_all(&bytes));
        let done = gzip.wait_with_output().unwrap();
        writing.join().unwrap().unwrap();
        done.stdout
    };
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let wants: String = (0..200_000).map(|n| line(&format!("want {n:040x}\n"))).collect();
    let depths: String = (0..1_000_000).map(|n| line(&format!("deepen {n}\n"))).collect();
    let tip = repo.tip("main");
    let shallow = line(&format!("want {tip} filter shallow no-progress\n")) + &depths + "0000";
    let filter = line(&format!("want {tip} filter\n"))
        + &line(&format!("filter {}\n", "combine:".repeat(5000)))
        + "00000009done\n";
    let v2 = line("command=fetch") + "0001" + &line(&format!("want {tip}\n")).repeat(100_000) + "0009done\n0000";

    let auth = base64(&format!("x:{}", world.token()));
    let before = memory(&world);
    let ask = |service: &str, body: &[u8], gzip: bool, version: &str| {
        let auth = format!("Basic {auth}");
        let kind = format!("application/x-{service}-request");
        let mut headers = vec![("Authorization", auth.as_str()), ("Content-Type", &kind), ("Git-Protocol", version)];
        if gzip {
            headers.push(("Content-Encoding", "gzip"));
        }
        // A response or a closed connection: both are fine.
        world.ask("POST", &format!("/asked.git/{service}"), &headers, body);
    };
    let zeros = packed(&vec![0; 400 << 20]);
    for service in ["git-upload-pack", "git-receive-pack"] {
        ask(service, &zeros, true, "version=1");
        ask(service, &packed(&b"0000".repeat(20 << 20)), true, "version=2");
        ask(service, b"not gzip at all", true, "version=1");
        ask(service, b"zzzz", false, "version=0");
    }
    for (body, version) in [(&wants, "version=0"), (&shallow, "version=1"), (&filter, "version=1"), (&v2, "version=2")]
    {
        ask("git-upload-pack", body.as_bytes(), false, version);
        ask("git-upload-pack", &packed(body.as_bytes()), true, version);
    }
    let grown = memory(&world).saturating_sub(before);
    assert!(grown < 150_000, "the server has grown by {grown} KB");
    assert_eq!(world.api("GET", "/account", Value::Null)["email"], "admin@wharf.localhost");
    assert_eq!(
        git(&repo.folder, &["ls-remote", &repo.url(), "refs/heads/main"]).split_whitespace().next().unwrap(),
        tip
    );
    assert!(up.stop().success());
}

/// For a header, once.
fn base64(text: &str) -> String {
    let mut child = Command::new("base64").arg("-w0").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}
