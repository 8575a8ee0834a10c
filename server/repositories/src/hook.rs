//! The hooks that git runs on a push, inside the worker.
//!
//! `proc-receive` implements git's protocol of that name (see git's `githooks` document) on its standard input and
//! output, sends the server a request, one line of JSON, over a descriptor of this push alone, and forwards the
//! server's output to its standard error, which the client shows after `remote:`. The server does not trust any
//! decision of a hook; the hook's checks only give the user better messages.
//!
//! The pkt-lines of that protocol are our own code, since crates for the format include an entire implementation of
//! git.

use std::{
    ffi::OsString,
    io::{self, BufRead as _, BufReader, Read, Write},
    os::{fd::FromRawFd as _, unix::net::UnixStream},
};

use serde::{Deserialize, Serialize};

use crate::{branches::DEPLOYED, commits::line};

/// The descriptor of the socket to the server, and that of our own executable.
pub(crate) const LINE: i32 = 3;
pub(crate) const EXECUTABLE: i32 = 4;
/// Maximum number of listed branches; if there are more, only their number is shown.
const NAMED: usize = 10;

/// A branch that is pushed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Push {
    /// Its full name.
    pub name: String,
    /// Its commit before; zeros if it did not exist.
    pub old: String,
    /// The commit to which it is to be moved, or an annotated tag of it.
    pub new: String,
    /// The push option `wait`: `git push -o wait=no`.
    #[serde(default)]
    pub wait: Option<String>,
}

/// The prefix of the last line of the server's response; everything before it is output for the client. What follows is
/// `ok` and the commit to which the branch has been moved, or the reason why it has not.
pub const VERDICT: &str = "\u{1}wharf ";

/// Runs the hook named in `args`; returns its exit code.
pub fn main(args: &[OsString]) -> i32 {
    let name = args.first().and_then(|a| a.to_str()).unwrap_or_default();
    let outcome = match name {
        "proc-receive" => proc_receive(&mut io::stdin().lock(), &mut io::stdout().lock()),
        "post-receive" => post_receive(),
        _ => Err(io::Error::other(format!("there is no hook {name}"))),
    };
    match outcome {
        Ok(()) => 0,
        Err(err) => {
            eprintln!(" !     The push failed: {err}");
            1
        }
    }
}

/// Reports that other branches were stored but not deployed.
fn post_receive() -> io::Result<()> {
    let mut kept = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let name = line.splitn(3, ' ').nth(2).unwrap_or_default();
        // What git makes of `v1.0:main` if there is no branch main yet.
        if let Some(branch @ ("main" | "master")) = name.strip_prefix("refs/tags/") {
            eprintln!("-----> Stored the tag {branch}, which is not deployed. To deploy it as a branch:");
            eprintln!("       git push wharf TAG:refs/heads/{branch}");
        }
        if name.starts_with("refs/heads/") && !DEPLOYED.contains(&name) {
            kept.push(short(name));
        }
    }
    for branch in kept.iter().take(NAMED) {
        eprintln!("-----> Stored the branch {branch}. Only main and master are deployed:");
        eprintln!("       git push wharf {branch}:main");
    }
    if kept.len() > NAMED {
        eprintln!("-----> Stored {} more branches.", kept.len() - NAMED);
    }
    Ok(())
}

/// The short name of a branch.
fn short(name: &str) -> String {
    line(name.trim_start_matches("refs/heads/"), 200)
}

/// What git passes to `proc-receive`.
struct Received {
    /// Old commit, new commit and name of each ref.
    commands: Vec<(String, String, String)>,
    options: Vec<String>,
}

/// Reads commands and push options.
fn receive(input: &mut impl Read, output: &mut impl Write) -> io::Result<Received> {
    let mut has_options = false;
    while let Some(line) = read(input)? {
        // `version=1`, a zero byte, and features.
        let features = line.trim_end().split_once('\0').map_or("", |(_, features)| features);
        has_options |= features.split(' ').any(|feature| feature == "push-options");
    }
    write(output, if has_options { "version=1\0push-options\n" } else { "version=1\n" })?;
    flush(output)?;
    let mut received = Received { commands: Vec::new(), options: Vec::new() };
    while let Some(line) = read(input)? {
        let mut words = line.trim_end().splitn(3, ' ').map(String::from);
        if let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) {
            received.commands.push((old, new, name));
        }
    }
    while has_options && let Some(option) = read(input)? {
        received.options.push(line(&option, 100));
    }
    Ok(received)
}

/// The value of the push option `wait`. Others have no effect, as those for other servers that the user also pushes to.
fn wait_of(options: &[String]) -> Option<String> {
    let mut wait = None;
    for option in options {
        match option.split_once('=') {
            Some(("wait", value)) => wait = Some(value.trim().to_owned()),
            _ => eprintln!(
                " !     The push option {option} has no effect here. There is: wait=no, wait=up, wait=SECONDS"
            ),
        }
    }
    wait
}

fn proc_receive(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let Received { commands, options } = receive(input, output)?;
    let wait = wait_of(&options);
    let both = commands.len() > 1;
    for (old, new, name) in commands {
        let verdict = if !DEPLOYED.contains(&name.as_str()) {
            Err("only main and master are deployed".to_owned())
        } else if both {
            Err("push either main or master, not both".to_owned())
        } else if new.bytes().all(|b| b == b'0') {
            eprintln!(" !     {} cannot be deleted: the app runs it.", name.trim_start_matches("refs/heads/"));
            Err("the deployed branch cannot be deleted".to_owned())
        } else {
            ask(&Push { name: name.clone(), old, new: new.clone(), wait: wait.clone() })
        };
        match verdict {
            Ok(commit) => {
                write(output, &format!("ok {name}"))?;
                if commit != new {
                    write(output, &format!("option new-oid {commit}"))?;
                }
            }
            Err(why) => write(output, &format!("ng {name} {why}"))?,
        }
    }
    flush(output)
}

/// Asks the server to deploy, and forwards its output. Returns the commit of the branch.
fn ask(push: &Push) -> Result<String, String> {
    let away = |err: io::Error| format!("the platform is restarting ({err}); push again");
    let mut question = serde_json::to_vec(push).map_err(|err| err.to_string())?;
    question.push(b'\n');
    // SAFETY: the worker gets this descriptor, git does not use it, and nothing else here does.
    let mut server = unsafe { UnixStream::from_raw_fd(LINE) };
    server.write_all(&question).map_err(away)?;
    let lines = BufReader::new(server).split(b'\n');
    let mut errors = io::stderr().lock();
    for line in lines {
        let line = line.map_err(away)?;
        let text = String::from_utf8_lossy(&line);
        match text.strip_prefix(VERDICT) {
            Some(verdict) => return verdict.strip_prefix("ok ").map(str::to_owned).ok_or_else(|| verdict.to_owned()),
            // One write per line, or git splits lines.
            None => errors.write_all(&[line.as_slice(), b"\n"].concat()).map_err(away)?,
        }
    }
    Err("the platform was restarted during the push; push again".to_owned())
}

/// One pkt-line; `None` for a flush.
fn read(input: &mut impl Read) -> io::Result<Option<String>> {
    let mut head = [0; 4];
    input.read_exact(&mut head)?;
    let length = std::str::from_utf8(&head).ok().and_then(|h| usize::from_str_radix(h, 16).ok());
    let length = length.ok_or_else(|| io::Error::other("git sent a line without length"))?;
    if length < 4 {
        return Ok(None);
    }
    let mut line = vec![0; length - 4];
    input.read_exact(&mut line)?;
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

fn write(output: &mut impl Write, line: &str) -> io::Result<()> {
    write!(output, "{:04x}{line}", line.len() + 4)
}

fn flush(output: &mut impl Write) -> io::Result<()> {
    output.write_all(b"0000")?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(commands: &[(&str, &str)]) -> String {
        let lines = commands.iter().map(|(new, name)| format!("{} {} {name}", "1".repeat(40), new.repeat(40)));
        let lines: String = lines.map(|line| format!("{:04x}{line}", line.len() + 4)).collect();
        let mut output = Vec::new();
        proc_receive(&mut format!("000eversion=1\n0000{lines}0000").as_bytes(), &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn options_of_a_push_are_read_if_the_client_sends_any() {
        let packet = |line: &str| format!("{:04x}{line}", line.len() + 4);
        let command = packet(&format!("{} {} refs/heads/x", "1".repeat(40), "2".repeat(40)));
        let options = [packet("wait=no"), packet("ci.skip"), packet("wait=30")].concat();
        let with = format!("{}0000{command}0000{options}0000", packet("version=1\0atomic push-options"));
        let without = format!("{}0000{command}0000", packet("version=1\n"));
        for (input, answer, wait) in [(with, "version=1\0push-options\n", Some("30")), (without, "version=1\n", None)] {
            let mut output = Vec::new();
            let received = receive(&mut input.as_bytes(), &mut output).unwrap();
            assert_eq!(String::from_utf8(output).unwrap(), packet(answer) + "0000");
            assert_eq!((received.commands.len(), wait_of(&received.options).as_deref()), (1, wait));
        }
    }

    #[test]
    fn what_only_begins_like_a_deployed_branch_is_not_deployed() {
        for name in ["refs/heads/main/x", "refs/heads/mainly", "refs/heads/Main", "refs/tags/main"] {
            let said = answer(&[("2", name)]);
            assert!(said.contains(&format!("ng {name} only main and master are deployed")), "{said}");
        }
    }

    #[test]
    fn deleting_the_deployed_branch_is_refused() {
        let said = answer(&[("0", "refs/heads/main")]);
        assert!(said.starts_with("000eversion=1\n0000"), "{said}");
        assert!(said.contains("ng refs/heads/main the deployed branch cannot be deleted"), "{said}");
    }
}
