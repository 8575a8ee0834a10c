//! Leftovers when clients disconnect, and when processes are killed during a push.

use std::{
    fs,
    io::Write as _,
    net::{Shutdown, TcpStream},
    os::unix::{
        fs::{MetadataExt as _, lchown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::world::{World, repo::Repo, wait_until};

/// Processes below the server, by their command lines.
pub fn below_server(world: &World) -> Vec<(i32, String)> {
    let server = world.pid_of("server");
    let parent = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<i32>().ok()).unwrap_or(0)
    };
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let is_below = |pid: &i32| {
        let mut above = *pid;
        while above > 1 && above != server {
            above = parent(above);
        }
        above == server && *pid != server
    };
    let line = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        (pid, String::from_utf8_lossy(&line).replace('\0', " "))
    };
    // A process without a command line is about to exit.
    all.filter(is_below).map(line).filter(|(_, line)| !line.is_empty()).collect()
}

pub fn is_git(line: &str) -> bool {
    line.contains("receive-pack") || line.contains("upload-pack") || line.contains("index-pack")
}

/// Begins a push or a clone of an app, until git is running, and then stalls.
pub fn begin(world: &World, app: &str, service: &str, token: &str, commit: &str) -> TcpStream {
    let line = |text: String| format!("{:04x}{text}", text.len() + 4);
    let nothing = "0".repeat(40);
    let begun = match service {
        "git-receive-pack" => {
            line(format!("{nothing} {commit} refs/heads/begun\0 report-status side-band-64k")) + "0000"
        }
        // This many of these are waited for.
        _ => line(format!("want {commit}\n")).repeat(4000),
    };
    let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /{app}.git/{service} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-{service}-request\r\nContent-Length: 1000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(begun.as_bytes()).unwrap();
    stream
}

/// The only repository of the platform.
fn repository(world: &World) -> PathBuf {
    let all = fs::read_dir(world.data().join("git")).unwrap().flatten().map(|e| e.path());
    all.into_iter().find(|path| path.extension().is_some_and(|e| e == "git")).unwrap()
}

/// Everything below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut at = 0;
    while at < found.len() {
        if found[at].is_dir() && !found[at].is_symlink() {
            found.extend(fs::read_dir(&found[at]).unwrap().flatten().map(|e| e.path()));
        }
        at += 1;
    }
    found
}

fn is_left_over(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    name.ends_with(".lock") || name.starts_with("incoming-") || name.starts_with("tmp_") || name.ends_with(".keep")
}

#[test]
fn a_client_that_goes_away_takes_its_processes_with_it() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "away");
    let commit = repo.commit("true");
    assert!(repo.push(&["main"]).0);
    wait_until("the push is over", || below_server(&world).iter().all(|(_, line)| !is_git(line)));

    // In the middle of an upload, and with a response that it does not read.
    for service in ["git-receive-pack", "git-upload-pack"] {
        let stream = begin(&world, "away", service, &world.token(), &commit);
        let verb = service.trim_start_matches("git-").to_owned();
        wait_until("git is at work", || below_server(&world).iter().any(|(_, line)| line.contains(&verb)));
        stream.shutdown(Shutdown::Both).unwrap();
        drop(stream);
        wait_until("it is gone", || below_server(&world).iter().all(|(_, line)| !is_git(line)));
    }
    assert!(repo.push(&["HEAD:refs/heads/next"]).0);
    assert!(up.stop().success());
}

#[test]
fn kills_in_the_middle_of_a_push_do_not_affect_others() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "kills");
    let url = repo.url();
    let victims = |of: &str| {
        let found = below_server(&world).into_iter().filter(|(_, line)| line.contains(of));
        found.map(|(pid, _)| Pid::from_raw(pid)).collect::<Vec<_>>()
    };
    // git, its hook, the supervisor of its worker, the server: each in the middle of a build.
    for (round, victim) in ["receive-pack", "git-hook", "wharfd worker ", "server"].iter().enumerate() {
        repo.commit(&format!("echo round {round}; sleep 30"));
        let mut push = repo.command(&repo.folder, &["push", "-f", &url, "main"]);
        let mut client = push.stderr(Stdio::null()).process_group(0).spawn().unwrap();
        wait_until("it builds", || repo.list("builds").len() == 2 * round + 1);
        match *victim {
            "server" => kill(Pid::from_raw(world.pid_of("server")), Signal::SIGKILL).unwrap(),
            _ => victims(victim).into_iter().for_each(|pid| {
                let _ = kill(pid, Signal::SIGKILL);
            }),
        }
        let _ = client.wait();
        if *victim == "server" {
            let json = [("Accept", "application/json")];
            let back = || world.ask("GET", "/account", &json, b"").is_some_and(|a| a.status == 401);
            wait_until("the server is back", back);
            // Its client is gone, and it would continue.
            let last = repo.list("builds").last().unwrap()["id"].as_str().unwrap().to_owned();
            world.api("DELETE", &format!("/apps/kills/builds/{last}"), serde_json::Value::Null);
        }
        wait_until("its build is over", || repo.last_build().as_deref() != Some("pending"));
        repo.commit("true");
        let (ok, said) = repo.push(&["-f", "main"]);
        assert!(ok, "{victim}: {said}");
    }
    assert!(up.stop().success());
    let left: Vec<PathBuf> = files(&repository(&world)).into_iter().filter(|path| is_left_over(path)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_an_older_version_and_the_killed_left_is_taken_over_and_swept() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "older");
    repo.commit("true");
    assert!(repo.push(&["main"]).0);
    assert!(up.stop().success());

    let folder = repository(&world);
    for left in [
        "HEAD.lock",
        "packed-refs.lock",
        "refs/heads/main.lock",
        "objects/tmp_objdir-incoming-abc/pack/tmp_pack_x",
        "objects/incoming-def/aa/bb",
        "objects/pack/tmp_idx_x",
    ] {
        fs::create_dir_all(folder.join(left).parent().unwrap()).unwrap();
        fs::write(folder.join(left), "left").unwrap();
    }
    for path in files(&folder) {
        lchown(&path, Some(0), Some(0)).unwrap();
    }

    let mut up = world.up(&[]);
    repo.commit("echo again");
    let (ok, said) = repo.push(&["main"]);
    assert!(ok, "{said}");
    let found = files(&folder);
    let left: Vec<&PathBuf> = found.iter().filter(|path| is_left_over(path)).collect();
    assert!(left.is_empty(), "{left:?}");
    let owners: Vec<u32> = found.iter().map(|path| fs::symlink_metadata(path).unwrap().uid()).collect();
    assert!(owners.iter().all(|uid| *uid == 0x7800_0100), "{owners:?}");
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);

    // A process group that is killed as a whole.
    let mut push = repo.command(&repo.folder, &["push", &repo.url(), "HEAD:refs/heads/side"]);
    let mut client = push.stderr(Stdio::null()).process_group(0).spawn().unwrap();
    let _ = killpg(Pid::from_raw(client.id() as i32), Signal::SIGKILL);
    client.wait().unwrap();
    wait_until("nothing of it is left", || below_server(&world).iter().all(|(_, line)| !is_git(line)));
    assert!(repo.push(&["HEAD:refs/heads/side"]).0);
    assert!(up.stop().success());
}
