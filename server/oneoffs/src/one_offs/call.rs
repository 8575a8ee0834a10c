//! What the caller of a one-off dyno asks for, checked.

use std::collections::BTreeMap;

use api::dynos::{DynoCreate, Window};
use base::{
    Error, Result,
    dyno_sizes::{self, Size},
    secrets::Secrets,
};
use dyno::Terminal;
use platform::{config_layers::Vars, config_vars, formation};

use crate::terminals::window_size;

/// Bytes of a command.
const MOST_COMMAND: usize = 10_000;
/// Bytes of the environment of a call, names and values together: as for config vars.
const MOST_ENV: usize = 64 << 10;
/// Seconds that a one-off dyno may run.
const MOST_TIME: i32 = 24 * 3600;

/// A checked call.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    pub command: String,
    pub kind: String,
    /// The requested size.
    pub size: Option<Size>,
    pub env: Vars,
    /// `None` if nobody is going to attach.
    pub terminal: Option<Terminal>,
    /// In seconds.
    pub time_limit: i32,
}

impl Call {
    /// Checks everything that does not depend on the app.
    pub fn parse(create: DynoCreate) -> Result<Self> {
        let kind = create.kind.unwrap_or_else(|| "run".into());
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if kind.is_empty() || kind.len() > 50 || !kind.chars().all(is_name) {
            return Err(Error::invalid(format!("Invalid process type {kind:.100?}: use letters, digits and dashes.")));
        }
        formation::check_reserved(&kind)?;
        let time_limit = create.time_to_live.map_or(Some(MOST_TIME), |seconds| i32::try_from(seconds).ok());
        let time_limit = time_limit.filter(|seconds| (1..=MOST_TIME).contains(seconds));
        let env = env(create.env)?;
        let attach = create.attach.unwrap_or(false);
        Ok(Self {
            command: command(create.command.as_deref().unwrap_or_default())?,
            kind,
            size: create.size.as_deref().map(size).transpose()?,
            terminal: attach
                .then(|| terminal(create.force_no_tty.unwrap_or(false), create.window, &env))
                .transpose()?,
            env,
            time_limit: time_limit
                .ok_or_else(|| Error::invalid(format!("time_to_live must be from 1 to {MOST_TIME} seconds.")))?,
        })
    }

    /// The command with that of a process type in place of its first word, if that is its name.
    pub fn in_types(&self, types: &BTreeMap<String, String>) -> Result<String> {
        let (first, rest) = match self.command.split_once(char::is_whitespace) {
            Some((first, rest)) => (first, rest.trim_start()),
            None => (self.command.as_str(), ""),
        };
        match types.get(first) {
            Some(of_type) if rest.is_empty() => command(of_type),
            Some(of_type) => command(&format!("{of_type} {rest}")),
            None => Ok(self.command.clone()),
        }
    }
}

/// Checks a command.
pub(super) fn command(text: &str) -> Result<String> {
    let text = text.trim();
    match text {
        "" => Err(Error::invalid("The command is empty. Name one, such as bash.")),
        _ if text.len() > MOST_COMMAND => {
            Err(Error::invalid(format!("The command has {} bytes; at most {MOST_COMMAND} are allowed.", text.len())))
        }
        _ if text.contains('\0') => Err(Error::invalid("The command contains a NUL character.")),
        _ => Ok(text.to_owned()),
    }
}

/// Checks the environment of a call.
pub(super) fn env(given: Option<BTreeMap<String, String>>) -> Result<Vars> {
    let env = given.unwrap_or_default();
    for (key, value) in &env {
        config_vars::check_key(key)?;
        config_vars::check_value(key, value)?;
    }
    let bytes: usize = env.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MOST_ENV {
        return Err(Error::invalid(format!(
            "The environment takes {bytes} bytes, names and values together; at most {MOST_ENV} (64 KB) are allowed."
        )));
    }
    Ok(env.into_iter().collect())
}

/// The terminal of a call. Heroku's clients send its size in the environment.
pub(super) fn terminal(no_tty: bool, window: Option<Window>, env: &Vars) -> Result<Terminal> {
    if no_tty {
        return Ok(Terminal::Pipes);
    }
    if let Some(window) = window {
        return window_size(window).map(Terminal::Window);
    }
    let number = |name: &str| env.get(name).and_then(|value| value.trim().parse().ok());
    let given = number("COLUMNS").zip(number("LINES")).map(|(columns, rows)| Window { columns, rows });
    // These are variables like any other, so they are not rejected.
    let size = given.and_then(|window| window_size(window).ok()).unwrap_or_default();
    Ok(Terminal::Window(size))
}

fn size(name: &str) -> Result<Size> {
    dyno_sizes::size(name).ok_or_else(|| {
        Error::invalid(format!("Couldn't find the dyno size {name:.100}. Valid sizes: {}.", dyno_sizes::size_names()))
    })
}

/// The environment of a call, encrypted for one dyno.
pub(super) fn seal(secrets: &Secrets, dyno: api::ids::DynoId, env: &Vars) -> anyhow::Result<Option<Vec<u8>>> {
    if env.is_empty() {
        return Ok(None);
    }
    Ok(Some(secrets.seal(&purpose(dyno), &serde_json::to_vec(env)?)))
}

/// The environment that [`seal`] has encrypted.
pub(super) fn open(secrets: &Secrets, dyno: api::ids::DynoId, sealed: Option<&[u8]>) -> anyhow::Result<Vars> {
    let Some(sealed) = sealed else { return Ok(Vars::new()) };
    Ok(serde_json::from_slice(&secrets.open(&purpose(dyno), sealed)?)?)
}

fn purpose(dyno: api::ids::DynoId) -> String {
    format!("environment of the one-off dyno {dyno}")
}

#[cfg(test)]
mod tests {
    use dyno::WindowSize;

    use super::*;

    fn call(create: DynoCreate) -> Result<Call, String> {
        Call::parse(create).map_err(|err| err.to_string())
    }

    fn bash() -> DynoCreate {
        DynoCreate { command: Some("bash".into()), ..DynoCreate::default() }
    }

    #[test]
    fn calls_have_defaults() {
        let found = call(bash()).unwrap();
        let expected = Call {
            command: "bash".into(),
            kind: "run".into(),
            size: None,
            env: Vars::new(),
            terminal: None,
            time_limit: 86_400,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_terminal_has_the_size_that_the_client_says_in_either_way() {
        let env = |text: &[(&str, &str)]| Some(text.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let attached = DynoCreate { attach: Some(true), ..bash() };
        let terminal = |create: DynoCreate| call(create).map(|call| call.terminal);
        let size = |columns, rows| Ok(Some(Terminal::Window(WindowSize { columns, rows })));
        assert_eq!(terminal(attached.clone()), size(80, 24));
        let heroku = env(&[("TERM", "xterm"), ("COLUMNS", "132"), ("LINES", "43")]);
        assert_eq!(terminal(DynoCreate { env: heroku.clone(), ..attached.clone() }), size(132, 43));
        let window = Some(Window { columns: 100, rows: 30 });
        assert_eq!(terminal(DynoCreate { env: heroku, window, ..attached.clone() }), size(100, 30));
        assert_eq!(terminal(DynoCreate { force_no_tty: Some(true), ..attached.clone() }), Ok(Some(Terminal::Pipes)));
        let odd = env(&[("COLUMNS", "0"), ("LINES", "x")]);
        assert_eq!(terminal(DynoCreate { env: odd, ..attached.clone() }), size(80, 24));
        let window = Some(Window { columns: 0, rows: 30 });
        assert!(terminal(DynoCreate { window, ..attached }).unwrap_err().contains("from 1 to 1000"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |create: DynoCreate| call(create).unwrap_err();
        assert!(refused(DynoCreate::default()).contains("command is empty"));
        let long = Some("x".repeat(MOST_COMMAND + 1));
        assert!(refused(DynoCreate { command: long, ..bash() }).contains("10001 bytes"));
        assert!(refused(DynoCreate { kind: Some("a.b".into()), ..bash() }).contains("a.b"));
        // Its lines would look like those of the router.
        assert!(refused(DynoCreate { kind: Some("Router".into()), ..bash() }).contains("reserved for log sources"));
        assert!(refused(DynoCreate { size: Some("huge".into()), ..bash() }).contains("Valid sizes"));
        for seconds in [0, -1, 86_401, i64::MAX] {
            let text = refused(DynoCreate { time_to_live: Some(seconds), ..bash() });
            assert!(text.contains("from 1 to 86400"), "{text}");
        }
        let env = |key: &str, value: String| Some(BTreeMap::from([(key.to_owned(), value)]));
        assert!(refused(DynoCreate { env: env("A=B", "1".into()), ..bash() }).contains("A=B"));
        assert!(refused(DynoCreate { env: env("A", "x".repeat(MOST_ENV)), ..bash() }).contains("64 KB"));
    }

    #[test]
    fn a_process_type_stands_for_its_command() {
        let types = BTreeMap::from([("worker".to_owned(), "./work --fast".to_owned())]);
        let command = |text: &str| {
            let create = DynoCreate { command: Some(text.into()), ..DynoCreate::default() };
            Call::parse(create).unwrap().in_types(&types).unwrap()
        };
        assert_eq!(command("worker"), "./work --fast");
        assert_eq!(command("worker  --once 1"), "./work --fast --once 1");
        assert_eq!(command("workers"), "workers");
        assert_eq!(command("echo worker"), "echo worker");
    }

    #[test]
    fn an_environment_is_sealed_for_its_dyno() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::load(&dir.path().join("key"), None).unwrap();
        let (dyno, env) = (api::ids::DynoId::from_u128(1), Vars::from([("A".to_owned(), "secret".to_owned())]));
        let sealed = seal(&secrets, dyno, &env).unwrap().unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(open(&secrets, dyno, Some(&sealed)).unwrap(), env);
        assert!(open(&secrets, api::ids::DynoId::from_u128(2), Some(&sealed)).is_err());
        assert_eq!(seal(&secrets, dyno, &Vars::new()).unwrap(), None);
    }
}
