//! `run`, `run:detached` and `ps:exec`: commands in dynos.

use std::{collections::BTreeMap, io::IsTerminal as _};

use anyhow::{Result, bail};
use api::dynos::{Dyno, DynoCreate, DynoExec};
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, Action, app as named, note},
    terminals::{self, Exit},
};

/// What `run` and `run:detached` have in common.
#[derive(Args)]
struct RunFlags {
    /// The command, or a process type; put -- before it if it has options of its own
    #[arg(required = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// The dyno size [default: that of the process type, or Standard-1X]
    #[arg(short, long)]
    size: Option<String>,
    /// An environment variable of this run; several with more options, or separated by semicolons
    #[arg(short, long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// The first part of the dyno's name, and the process type whose size it has [default: run]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Stop it after this many seconds [default: a day, which is the maximum]
    #[arg(long, value_name = "SECONDS")]
    time_to_live: Option<i64>,
    #[command(flatten)]
    app: AppFlags,
}

impl RunFlags {
    fn create(&self) -> Result<DynoCreate> {
        Ok(DynoCreate {
            command: Some(command_line(&self.command)),
            env: Some(environment(&self.env)?),
            size: self.size.clone(),
            kind: self.kind.clone(),
            time_to_live: self.time_to_live,
            ..DynoCreate::default()
        })
    }
}

/// Runs a command in a new dyno, attached to this terminal
///
/// It has the code and the config vars of the current release, and ends when you disconnect. Its exit status is that of
/// the command.
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    flags: RunFlags,
    /// No terminal: input and output are passed on unchanged, and stderr stays separate
    #[arg(long)]
    no_tty: bool,
    /// Exit with the command's status, which is always so
    #[arg(short = 'x', long = "exit-code", hide = true)]
    _exit_code: bool,
    /// No messages of wharf itself
    #[arg(long = "no-notify", hide = true)]
    _no_notify: bool,
}

impl Run {
    /// `run`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.flags.app.app(cx)?;
        let has_window = !self.no_tty && is_interactive();
        let mut create = self.flags.create()?;
        create.attach = Some(true);
        create.force_no_tty = Some(!has_window);
        create.window = has_window.then(terminals::window);
        with_terminal_type(&mut create.env, has_window);
        let text = create.command.clone().unwrap_or_default();
        let dyno = cx.client()?.dyno_create(&name, &create).await?;
        if has_window {
            note(format!("Running {text} on {}... {} ({})", named(&name), dyno.name, dyno.size));
        }
        attach(cx, &dyno, has_window).await
    }
}

/// Runs a command in a new dyno, without waiting for it
///
/// Its output goes to the app's log; wharf ps lists it, and wharf ps:stop stops it.
#[derive(Args)]
pub struct RunDetached {
    #[command(flatten)]
    flags: RunFlags,
}

impl RunDetached {
    /// `run:detached`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.flags.app.app(cx)?;
        let create = self.flags.create()?;
        let text = create.command.clone().unwrap_or_default();
        let action = Action::start(format!("Running {text} on {}", named(&name)));
        let dyno = cx.client()?.dyno_create(&name, &create).await?;
        action.done_with(&dyno.name);
        if cx.json {
            return output::json(&dyno);
        }
        out!("See its output with: wharf logs --app {name} --dyno {}", dyno.name);
        Ok(())
    }
}

/// Opens a shell in a running dyno, or runs another command there
///
/// It has the file system, the limits and the config vars of the dyno, and counts towards its memory.
#[derive(Args)]
pub struct Exec {
    /// The dyno
    #[arg(default_value = "web.1")]
    dyno: String,
    /// The command; put -- before it if it has options of its own
    #[arg(default_value = "bash")]
    command: Vec<String>,
    /// An environment variable of this process; several with more options, or separated by semicolons
    #[arg(short, long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// No terminal: input and output are passed on unchanged, and stderr stays separate
    #[arg(long)]
    no_tty: bool,
    #[command(flatten)]
    app: AppFlags,
}

impl Exec {
    /// `ps:exec`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let has_window = !self.no_tty && is_interactive();
        let mut exec = DynoExec {
            command: Some(command_line(&self.command)),
            env: Some(environment(&self.env)?),
            force_no_tty: Some(!has_window),
            window: has_window.then(terminals::window),
        };
        with_terminal_type(&mut exec.env, has_window);
        let dyno = cx.client()?.dyno_exec(&name, &self.dyno, &exec).await?;
        if has_window {
            note(format!("Connecting to {} on {}...", dyno.name, named(&name)));
        }
        attach(cx, &dyno, has_window).await
    }
}

/// Attaches to a process that was just created, and exits with its status.
async fn attach(cx: &Context, dyno: &Dyno, has_window: bool) -> Result<()> {
    let Some(path) = &dyno.terminal_path else { bail!("This platform does not support terminals. Upgrade it.") };
    let socket = cx.transport()?.socket(path).await?;
    match terminals::run(socket, has_window).await? {
        Exit::Status(0) => Ok(()),
        // The status is that of the command, and there is nothing to say about it.
        Exit::Status(status) => std::process::exit(status),
        Exit::Failed(why) => bail!("{}: {why}", dyno.name),
    }
}

/// Whether somebody types and reads.
fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The type of this terminal, for programs that draw on it.
fn with_terminal_type(env: &mut Option<BTreeMap<String, String>>, has_window: bool) {
    if has_window && let Ok(kind) = std::env::var("TERM") {
        env.get_or_insert_default().entry("TERM".into()).or_insert(kind);
    }
}

/// The command as bash reads it: one word is a command line itself, several are quoted.
fn command_line(words: &[String]) -> String {
    match words {
        [one] => one.clone(),
        several => several.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// `A=1;B=2`, in one option or several.
fn environment(options: &[String]) -> Result<BTreeMap<String, String>> {
    let mut env = BTreeMap::new();
    for pair in options.iter().flat_map(|option| option.split(';')).filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else { bail!("{pair:?} is not of the form KEY=VALUE.") };
        env.insert(key.to_owned(), value.to_owned());
    }
    Ok(env)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_reach_bash_as_they_were_typed() {
        let line = |words: &[&str]| command_line(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(line(&["echo $HOME && ls"]), "echo $HOME && ls");
        assert_eq!(line(&["bash", "-c", "echo x"]), "bash -c 'echo x'");
        assert_eq!(line(&["echo", "it's", ""]), r"echo 'it'\''s' ''");
        assert_eq!(line(&["ls", "-la", "./a_b"]), "ls -la ./a_b");
    }

    #[test]
    fn variables_come_in_one_option_or_several() {
        let options = ["A=1;B=x=y".to_owned(), "C=".to_owned()];
        let env = environment(&options).unwrap();
        let expected = [("A", "1"), ("B", "x=y"), ("C", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(env, expected.into());
        assert!(environment(&["A".to_owned()]).is_err());
    }
}
