//! The hook that git runs on a push: a process of its own, which asks the server.
//!
//! It speaks git's `proc-receive` protocol (see git's `githooks` document) on its standard input
//! and output, and passes on what the server says to its standard error, which the client shows
//! after `remote:`.

use std::{
    ffi::OsString,
    io::{self, BufRead as _, BufReader, Read, Write},
    os::unix::net::UnixStream,
};

use serde::{Deserialize, Serialize};

/// A branch that is pushed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Push {
    pub(super) account: String,
    pub(super) base: String,
    pub(super) name: String,
    pub(super) old: String,
    pub(super) new: String,
}

/// The last line of the server's answer begins with this; before it is output for the client.
pub(super) const VERDICT: &str = "\u{1}wharf ";

/// Runs the hook named in `args`; its exit code.
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
            eprintln!(" !     The push could not be finished: {err}");
            1
        }
    }
}

/// Other branches are kept, and say so.
fn post_receive() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let Some(name) = line.split(' ').nth(2) else { continue };
        if let Some(branch) = name.strip_prefix("refs/heads/").filter(|b| !["main", "master"].contains(b)) {
            eprintln!("-----> Kept the branch {branch}. Only main and master are deployed:");
            eprintln!("       git push wharf {branch}:main");
        }
    }
    Ok(())
}

fn proc_receive(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    while read(input)?.is_some() {}
    write(output, "version=1\n")?;
    flush(output)?;
    let mut commands = Vec::new();
    while let Some(line) = read(input)? {
        let mut words = line.trim_end().splitn(3, ' ').map(String::from);
        if let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) {
            commands.push((old, new, name));
        }
    }
    let both = commands.len() > 1;
    for (old, new, name) in commands {
        let verdict = if both {
            Err("push main or master, not both at once".to_owned())
        } else if new.bytes().all(|b| b == b'0') {
            eprintln!(" !     {} cannot be deleted: it is what the app runs.", name.trim_start_matches("refs/heads/"));
            Err("deletion of the deployed branch is refused".to_owned())
        } else {
            ask(&name, &old, &new)
        };
        match verdict {
            Ok(()) => write(output, &format!("ok {name}"))?,
            Err(why) => write(output, &format!("ng {name} {why}"))?,
        }
    }
    flush(output)
}

/// Asks the server to deploy, and passes its output on.
fn ask(name: &str, old: &str, new: &str) -> Result<(), String> {
    let away = |err: io::Error| format!("the platform is being restarted ({err}); push again");
    let env = |key: &str| std::env::var(key).unwrap_or_default();
    let push = Push {
        account: env("WHARF_PUSH_ACCOUNT"),
        base: env("WHARF_PUSH_BASE"),
        name: name.into(),
        old: old.into(),
        new: new.into(),
    };
    let body = serde_json::to_string(&push).map_err(|err| err.to_string())?;
    let mut socket = UnixStream::connect(env("WHARF_SOCKET")).map_err(away)?;
    let head = format!(
        "POST /internal/pushes HTTP/1.0\r\nHost: internal\r\nAccept: application/json\r\nX-Wharf-Push: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        env("WHARF_PUSH"),
        body.len()
    );
    socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes())).map_err(away)?;
    let mut lines = BufReader::new(socket).split(b'\n');
    // The head of the answer ends with an empty line.
    for line in lines.by_ref() {
        if line.map_err(away)?.iter().all(|b| *b == b'\r') {
            break;
        }
    }
    let mut errors = io::stderr().lock();
    for line in lines {
        let line = line.map_err(away)?;
        let text = String::from_utf8_lossy(&line);
        match text.strip_prefix(VERDICT) {
            Some("ok") => return Ok(()),
            Some(why) => return Err(why.to_owned()),
            // One write a line, or git cuts lines in the middle.
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

    #[test]
    fn deleting_the_deployed_branch_is_refused() {
        let zeros = "0".repeat(40);
        let command = format!("{} {zeros} refs/heads/main", "1".repeat(40));
        let input = format!("000eversion=1\n0000{:04x}{command}0000", command.len() + 4);
        let mut output = Vec::new();
        proc_receive(&mut input.as_bytes(), &mut output).unwrap();
        let said = String::from_utf8(output).unwrap();
        assert!(said.starts_with("000eversion=1\n0000"), "{said}");
        assert!(said.contains("ng refs/heads/main deletion of the deployed branch is refused"), "{said}");
    }
}
