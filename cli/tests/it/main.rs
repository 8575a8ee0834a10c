//! End-to-end tests of the program with real git and a real shell.

#![allow(clippy::unwrap_used)]

mod answers;
mod deploys;
mod hostile_tenant;
mod jobs;
mod platform;
mod quotas;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

const WHARF: &str = env!("CARGO_BIN_EXE_wharf");

/// A separate home directory, without the settings of the user who runs the test.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wharf-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.0).stdin(Stdio::null());
        command.env("HOME", &self.0).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    fn wharf(&self, args: &[&str]) -> Said {
        run(self.command(WHARF).args(args))
    }

    fn log_in(&self, url: &str, token: &str) {
        let dir = self.0.join(".config/wharf");
        fs::create_dir_all(&dir).unwrap();
        let text = format!(r#"{{"current":"{url}","logins":{{"{url}":{{"email":"a@b.c","token":"{token}"}}}}}}"#);
        fs::write(dir.join("credentials.json"), text).unwrap();
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// A port of this machine without a listener.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn help_lists_commands_and_explains_one() {
    let home = Home::new();
    for args in [&[][..], &["help"], &["--help"]] {
        let said = home.wharf(args);
        assert_eq!(said.code, Some(0));
        assert!(said.out.contains("\nDynos\n  ps ") && said.out.contains("  config:set "), "{}", said.out);
    }
    let one = home.wharf(&["help", "ps"]);
    assert!(one.out.contains("Usage: wharf ps") && one.out.contains("ps:scale"), "{}", one.out);
    assert_eq!(home.wharf(&["help", "nonsense"]).code, Some(1));
}

#[test]
fn wrong_usage_exits_with_1_and_names_what_is_missing() {
    let home = Home::new();
    let said = home.wharf(&["config:set"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.err.contains("KEY=VALUE"), "{}", said.err);
    let said = home.wharf(&["relases"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("'releases'"), "{}", said.err);
    let said = home.wharf(&["ps:scale", "web"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("web=2"), "{}", said.err);
}

#[test]
fn what_only_heroku_has_is_said_with_the_nearest_way() {
    let home = Home::new();
    for (args, words) in [
        (&["domains:add", "www.example.com", "--app", "dusk"][..], "Wharf has no domains:add. Custom domains do not"),
        (&["--json", "pg:psql"], "Wharf has no pg:psql. Databases do not exist yet."),
        (&["help", "labs:enable"], "Wharf has no labs:enable. There are no labs."),
    ] {
        let said = home.wharf(args);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{args:?}");
        assert!(said.err.contains(words) && !said.err.contains("similar"), "{args:?}: {}", said.err);
    }
}

#[test]
fn what_cannot_be_asked_says_what_to_do() {
    let home = Home::new();
    let said = home.wharf(&["apps"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("wharf login http://localhost:5000"), "{}", said.err);

    let url = format!("http://wharf.localhost:{}", free_port());
    let mut away = home.command(WHARF);
    let said = run(away.args(["apps"]).env("WHARF_URL", &url).env("WHARF_API_KEY", "x"));
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains(&url) && said.err.contains("wharfd up"), "{}", said.err);
    assert!(!said.err.contains('\x1b'), "no colours where nobody sees them");
}

#[test]
fn a_token_comes_from_either_variable() {
    let home = Home::new();
    let url = format!("http://localhost:{}", free_port());
    for set in [&["WHARF_API_KEY"][..], &["WHARF_TOKEN"], &["WHARF_API_KEY", "WHARF_TOKEN"]] {
        let mut helper = home.command(WHARF);
        helper.args(["git:credentials", "get"]).env("WHARF_URL", &url).stdin(Stdio::piped()).stdout(Stdio::piped());
        for name in set {
            helper.env(name, name.to_lowercase());
        }
        let mut child = helper.spawn().unwrap();
        let question = format!("protocol=http\nhost={}\n\n", url.trim_start_matches("http://"));
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), question.as_bytes()).unwrap();
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        assert!(said.contains(&format!("password={}\n", set[0].to_lowercase())), "{set:?}: {said}");
    }
}

#[test]
fn an_app_is_inferred_from_the_remotes_of_its_platform() {
    let home = Home::new();
    let url = format!("http://localhost:{}", free_port());
    home.log_in(&url, "x");
    let git = |args: &[&str]| assert!(home.command("git").args(args).status().unwrap().success(), "{args:?}");
    git(&["init", "-q"]);
    git(&["remote", "add", "origin", "https://example.com/other.git"]);
    let said = home.wharf(&["ps"]);
    assert!(said.err.contains("Which app?"), "{}", said.err);

    git(&["remote", "add", "wharf", &format!("{url}/dusk.git")]);
    // The app is known now, so the platform is contacted, which is down.
    assert!(home.wharf(&["ps"]).err.contains("Couldn't reach"));
    git(&["remote", "add", "staging", &format!("{url}/dusk-staging.git")]);
    let said = home.wharf(&["ps"]);
    assert!(said.err.contains("dusk-staging (staging)"), "{}", said.err);
    assert!(home.wharf(&["ps", "-r", "staging"]).err.contains("Couldn't reach"));
    assert!(home.wharf(&["ps", "-r", "origin"]).err.contains("no git remote origin"));
    git(&["config", "wharf.remote", "staging"]);
    assert!(home.wharf(&["ps"]).err.contains("Couldn't reach"));
}

#[test]
fn git_gets_the_token_of_exactly_one_address() {
    let home = Home::new();
    home.log_in("http://localhost:5000", "secret");
    // Every URL asks the helper here, so that it is the helper that refuses.
    let helper = format!("credential.helper=!{WHARF} git:credentials");
    let fill = |question: &str| {
        let mut git = home.command("git");
        let mut child = git
            .args(["-c", &helper, "credential", "fill"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), question.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let answer = fill("protocol=http\nhost=localhost:5000\n\n");
    assert!(answer.contains("username=wharf\npassword=secret\n"), "{answer}");
    for other in [
        "protocol=http\nhost=localhost:5001\n\n",
        "protocol=https\nhost=localhost:5000\n\n",
        "protocol=http\nhost=localhost\n\n",
    ] {
        assert!(!fill(other).contains("secret"), "{other}");
    }
}

#[test]
fn git_is_asked_to_prompt_for_a_login() {
    let home = Home::new();
    let mut helper = home.command(WHARF);
    let mut child = helper
        .args(["git:credentials", "get"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"protocol=http\nhost=localhost:5001\n\n").unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success() && done.stdout.is_empty(), "{done:?}");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("Log in first: wharf login http://localhost:5001"), "{said}");
}

#[test]
fn bash_completes_commands_with_colons() {
    let home = Home::new();
    let complete = |line: &str| {
        let script = "source <(\"$WHARF\" completion bash); COMP_WORDBREAKS=$' \\t\\n:='; COMP_POINT=${#COMP_LINE}; \
                      _wharf; echo \"${COMPREPLY[*]}\"";
        let mut bash = home.command("bash");
        run(bash.args(["-c", script]).env("WHARF", WHARF).env("COMP_LINE", line)).out.trim().to_owned()
    };
    assert_eq!(complete("wharf config:s"), "set");
    assert_eq!(complete("wharf config:"), "get set unset import export edit");
    assert_eq!(
        complete("wharf relea"),
        "releases releases:info releases:output releases:cancel releases:retry releases:wait releases:watch"
    );
    assert_eq!(complete("wharf logs --ta"), "--tail");
    assert_eq!(complete("wharf completion "), "bash zsh fish --json --help");
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let home = Home::new();
    let said = run(home.command("bash").args(["-c", "\"$1\" completion fish | head -n 1", "bash", WHARF]));
    assert_eq!((said.out.as_str(), said.err.as_str()), ("complete -c wharf -f\n", ""));
    assert!(Path::new(WHARF).exists());
}
