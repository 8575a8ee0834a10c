//! `config`: the config vars of an app, its dynos' environment variables.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use api::{client::Client, config_vars::ConfigVarsUpdate};
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, Action, app as named, heading, note, shell_quote},
    releases, statuses,
};

/// Shows all config vars of an app
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    app: AppFlags,
    /// Print in shell format
    #[arg(short, long)]
    shell: bool,
}

impl List {
    /// `config`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let vars = cx.client()?.config_vars_info(&name).await?;
        if cx.json {
            return output::json(&vars);
        }
        if self.shell {
            for (key, value) in &vars {
                out!("{key}={}", shell_quote(value));
            }
            return Ok(());
        }
        heading(format!("{name} Config Vars"));
        show(&vars);
        Ok(())
    }
}

/// Prints config vars with their values.
pub fn show(vars: &BTreeMap<String, String>) {
    let width = vars.keys().map(|key| key.chars().count()).max().unwrap_or(0);
    for (key, value) in vars {
        let gap = " ".repeat(width - key.chars().count());
        out!("{}{gap} {value}", output::paint(output::CYAN, format!("{key}:")));
    }
}

/// Prints the values of config vars
#[derive(Args)]
pub struct Get {
    /// Names of config vars
    #[arg(required = true)]
    keys: Vec<String>,
    #[command(flatten)]
    app: AppFlags,
    /// Print in shell format
    #[arg(short, long)]
    shell: bool,
}

impl Get {
    /// `config:get`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let vars = cx.client()?.config_vars_info(&self.app.app(cx)?).await?;
        let empty = String::new();
        if cx.json {
            let found: BTreeMap<&String, Option<&String>> = self.keys.iter().map(|key| (key, vars.get(key))).collect();
            return output::json(&found);
        }
        for key in &self.keys {
            // Scripts test for the empty line, as with Heroku's CLI.
            let value = vars.get(key).unwrap_or(&empty);
            match self.shell {
                true => out!("{key}={}", shell_quote(value)),
                // A key or certificate must reach a file unchanged.
                false if output::is_piped() => output::write_exactly(&format!("{value}\n")),
                false => out!("{value}"),
            }
        }
        Ok(())
    }
}

/// Sets config vars in one release
#[derive(Args)]
#[command(
    after_help = "From a file with lines of KEY=value: wharf config:import [FILE]\nIn an editor: wharf config:edit"
)]
pub struct Set {
    /// Config vars to set
    #[arg(required = true, value_name = "KEY=VALUE")]
    pairs: Vec<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Set {
    /// `config:set`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let pairs = parse_pairs(&self.pairs)?;
        let name = self.app.app(cx)?;
        let keys: Vec<&str> = pairs.keys().map(String::as_str).collect();
        let action = Action::start(format!("Setting {} and restarting {}", keys.join(", "), named(&name)));
        let update: ConfigVarsUpdate = pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        let mut vars = change(cx.client()?, &name, &update, action).await?;
        vars.retain(|key, _| pairs.contains_key(key));
        if cx.json {
            return output::json(&vars);
        }
        show(&vars);
        Ok(())
    }
}

fn parse_pairs(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let mut parsed = BTreeMap::new();
    for pair in pairs {
        match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => parsed.insert(key.to_owned(), value.to_owned()),
            _ => bail!("{pair} is invalid. Must be in the format KEY=VALUE, e.g. wharf config:set FOO=bar"),
        };
    }
    Ok(parsed)
}

/// Unsets config vars in one release
#[derive(Args)]
pub struct Unset {
    /// Names of config vars
    #[arg(required = true)]
    keys: Vec<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl Unset {
    /// `config:unset`
    pub async fn run(self, cx: &Context) -> Result<()> {
        if let Some(key) = self.keys.iter().find(|key| key.contains('=')) {
            bail!("{key} is not the name of a config var. Use names only: wharf config:unset FOO");
        }
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let mut vars = client.config_vars_info(&name).await?;
        let (set, unknown): (Vec<_>, Vec<_>) = self.keys.into_iter().partition(|key| vars.contains_key(key));
        for key in unknown {
            note(format!("{key} is not set on {}.", named(&name)));
        }
        if set.is_empty() {
            note("Nothing was changed.");
        } else {
            let action = Action::start(format!("Unsetting {} and restarting {}", set.join(", "), named(&name)));
            let update: ConfigVarsUpdate = set.into_iter().map(|key| (key, None)).collect();
            vars = change(client, &name, &update, action).await?;
        }
        if cx.json { output::json(&vars) } else { Ok(()) }
    }
}

/// Changes config vars, and prints the new release and what keeps it from taking effect.
pub async fn change(
    client: &Client,
    app: &str,
    update: &ConfigVarsUpdate,
    action: Action,
) -> Result<BTreeMap<String, String>> {
    // Checked first: for a moment, the new release has no dynos.
    let held = statuses::held(client, app).await;
    let vars = client.config_vars_update(app, update).await?;
    let newest = client.release_list(app, 1).await?.pop();
    action.done_with(newest.as_ref().map(|release| format!("v{}", release.version)).unwrap_or_default());
    if let Some(release) = &newest {
        releases::note_phase(release, app);
    }
    statuses::warn_if_held(held.as_ref());
    Ok(vars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_at_the_first_equals_sign() {
        let pairs = parse_pairs(&["A=b=c".into(), "EMPTY=".into(), "A=d e".into()]).unwrap();
        assert_eq!(
            pairs.into_iter().collect::<Vec<_>>(),
            [("A".to_owned(), "d e".to_owned()), ("EMPTY".to_owned(), String::new())]
        );
        for bad in ["A", "=b", ""] {
            assert!(parse_pairs(&[bad.into()]).is_err(), "{bad}");
        }
    }
}
