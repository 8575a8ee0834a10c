//! `config:import`, `config:export` and `config:edit`: config vars as `.env` text, as in the console.

use std::{
    env, fs,
    fs::OpenOptions,
    io::{IsTerminal as _, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, bail};
use api::{
    config_vars::{ConfigVars, ConfigVarsUpdate},
    dotenv,
};
use clap::Args;

use crate::{
    config_vars::{change, show},
    context::{AppFlags, Context},
    output::{self, Action, app as named, note},
};

/// Sets the config vars of a .env file in one release; others stay as they are
#[derive(Args)]
pub struct Import {
    /// A file with lines of KEY=value, or - for stdin
    #[arg(default_value = ".env")]
    file: PathBuf,
    #[command(flatten)]
    app: AppFlags,
}

impl Import {
    /// `config:import`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let text = match self.file.to_str() {
            Some("-") => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).context("read stdin")?;
                text
            }
            _ => fs::read_to_string(&self.file).with_context(|| format!("read {}", self.file.display()))?,
        };
        let vars = dotenv::read(&text).map_err(|why| anyhow!("{}: {why} Nothing was changed.", self.file.display()))?;
        let name = self.app.app(cx)?;
        if vars.is_empty() {
            bail!("{} has no config vars. Nothing was changed.", self.file.display());
        }
        let update = vars.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        let count = counted(vars.len());
        let action = Action::start(format!("Setting {count} and restarting {}", named(&name)));
        let mut now = change(cx.client()?, &name, &update, action).await?;
        now.retain(|key, _| vars.contains_key(key));
        if cx.json {
            return output::json(&now);
        }
        // Without values: unlike those on a command line, they have not been on the screen.
        vars.keys().for_each(|key| out!("{key}"));
        Ok(())
    }
}

/// Prints all config vars as a .env file
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    app: AppFlags,
}

impl Export {
    /// `config:export`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let vars = cx.client()?.config_vars_info(&self.app.app(cx)?).await?;
        if cx.json {
            return output::json(&vars);
        }
        let text = dotenv::write(&vars);
        // A key or certificate must reach a file unchanged.
        if output::is_piped() {
            output::write_exactly(&text)
        } else {
            output::write(&text)
        }
        Ok(())
    }
}

/// Opens config vars in your editor, and sets and unsets what you change in one release
#[derive(Args)]
pub struct Edit {
    /// Edit the value of this config var only, as it is
    key: Option<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Edit {
    /// `config:edit`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        if !std::io::stdin().is_terminal() {
            bail!("This opens an editor, which needs a terminal. In scripts, use: wharf config:import FILE");
        }
        let old = client.config_vars_info(&name).await?;
        let new = match &self.key {
            Some(key) => with_edited(&old, key)?,
            None => edited(&dotenv::write(&old))?,
        };
        let update = differences(&old, &new);
        if update.is_empty() {
            note("Nothing was changed.");
            return Ok(());
        }
        let keys: Vec<&str> = update.keys().map(String::as_str).collect();
        let action = Action::start(format!("Changing {} and restarting {}", keys.join(", "), named(&name)));
        let mut now = change(client, &name, &update, action).await?;
        now.retain(|key, _| update.contains_key(key));
        if cx.json {
            return output::json(&now);
        }
        show(&now);
        Ok(())
    }
}

fn counted(vars: usize) -> String {
    if vars == 1 { "1 config var".to_owned() } else { format!("{vars} config vars") }
}

/// What turns `old` into `new`.
fn differences(old: &ConfigVars, new: &ConfigVars) -> ConfigVarsUpdate {
    let set = new.iter().filter(|(key, value)| old.get(*key) != Some(*value));
    let unset = old.keys().filter(|key| !new.contains_key(*key));
    set.map(|(key, value)| (key.clone(), Some(value.clone()))).chain(unset.map(|key| (key.clone(), None))).collect()
}

fn with_edited(old: &ConfigVars, key: &str) -> Result<ConfigVars> {
    let file = Draft::create(old.get(key).map(String::as_str).unwrap_or_default())?;
    let text = file.edit()?;
    let mut new = old.clone();
    // Editors end the last line.
    let value = text.strip_suffix('\n').unwrap_or(&text);
    if old.get(key).map(String::as_str) != Some(text.as_str()) {
        new.insert(key.to_owned(), value.to_owned());
    }
    Ok(new)
}

/// The vars after the user has edited `text`; asks again until it can be read.
fn edited(text: &str) -> Result<ConfigVars> {
    let file = Draft::create(text)?;
    loop {
        match dotenv::read(&file.edit()?) {
            Ok(vars) => return Ok(vars),
            Err(why) => {
                output::fail(why);
                if output::ask("Press Enter to edit again, or type q to discard your changes: ")? == "q" {
                    bail!("Nothing was changed.");
                }
            }
        }
    }
}

/// A file that only this user can read, for an editor; removed when it is dropped.
struct Draft(PathBuf);

impl Draft {
    fn create(text: &str) -> Result<Self> {
        let path = env::temp_dir().join(format!("wharf-config-{}.env", std::process::id()));
        let says = || format!("create {}", path.display());
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path).with_context(says)?;
        let draft = Self(path.clone());
        file.write_all(text.as_bytes()).with_context(says)?;
        Ok(draft)
    }

    /// Its text, after the user has closed the editor.
    fn edit(&self) -> Result<String> {
        let set =
            ["VISUAL", "EDITOR"].into_iter().find_map(|name| env::var(name).ok().filter(|e| !e.trim().is_empty()));
        let editor = set.unwrap_or_else(|| "vi".into());
        // Through a shell, as git does: the variable can contain options.
        let done = Command::new("sh").arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor).arg(&self.0).status();
        if !done.with_context(|| format!("start {editor}"))?.success() {
            bail!("{editor} failed. Nothing was changed. To use another editor, set EDITOR.");
        }
        let path: &Path = &self.0;
        fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_sent() {
        let vars = |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let old: ConfigVars = vars(&[("SAME", "1"), ("CHANGED", "1"), ("GONE", "1")]);
        let new: ConfigVars = vars(&[("SAME", "1"), ("CHANGED", "2"), ("NEW", "")]);
        let expected = [("CHANGED", Some("2")), ("GONE", None), ("NEW", Some(""))];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.map(str::to_owned)));
        assert_eq!(differences(&old, &new), ConfigVarsUpdate::from(expected));
        assert!(differences(&old, &old).is_empty());
    }
}
