//! `ps`: listing, restarting and stopping dynos.

use anyhow::{Result, bail};
use api::dynos::{Dyno, DynoState};
use chrono::Utc;
use clap::Args;

use crate::{
    context::{AppFlags, Context},
    output::{self, Action, DIM, GREEN, RED, YELLOW, app as named, heading, moment, note, paint},
    statuses,
};

/// Lists the dynos of an app
#[derive(Args)]
pub struct List {
    /// Only these process types
    #[arg(value_name = "TYPE")]
    kinds: Vec<String>,
    #[command(flatten)]
    app: AppFlags,
}

impl List {
    /// `ps`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let mut dynos = client.dyno_list(&name).await?;
        dynos.retain(|dyno| self.kinds.is_empty() || self.kinds.contains(&dyno.kind));
        if let Some(kind) = self.kinds.iter().find(|kind| !dynos.iter().any(|dyno| dyno.kind == **kind)) {
            bail!("No {kind} dynos on {}. See: wharf ps:scale --app {name}", named(&name));
        }
        if cx.json {
            return output::json(&dynos);
        }
        if dynos.is_empty() {
            out!("No dynos on {}", named(&name));
            return Ok(());
        }
        dynos.sort_by_key(order);
        for (i, group) in dynos.chunk_by(|a, b| a.kind == b.kind && a.command == b.command).enumerate() {
            if i > 0 {
                out!("");
            }
            show(group);
        }
        if let Some(held) = statuses::held(client, &name).await {
            out!("\n{}", paint(YELLOW, statuses::held_message(&held, Utc::now())));
        }
        Ok(())
    }
}

/// web first, then by name, and web.2 before web.10.
fn order(dyno: &Dyno) -> (bool, String, String, u64) {
    let number = dyno.name.rsplit('.').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    (dyno.kind != "web", dyno.kind.clone(), dyno.command.clone(), number)
}

fn show(group: &[Dyno]) {
    let Some(first) = group.first() else { return };
    heading(format!("{} ({}): {} ({})", first.kind, first.size, first.command, group.len()));
    for dyno in group {
        let colour = match dyno.state {
            DynoState::Up => GREEN,
            DynoState::Starting => YELLOW,
            DynoState::Crashed => RED,
            DynoState::Idle | DynoState::Down | DynoState::Unknown => DIM,
        };
        let state = paint(colour, dyno.state.as_str());
        out!("{}: {state} {}{}", dyno.name, moment(dyno.updated_at), paint(DIM, why(dyno)));
    }
}

/// Details about an unhealthy dyno.
fn why(dyno: &Dyno) -> String {
    let mut text = String::new();
    if dyno.state != DynoState::Up
        && let Some(exit) = &dyno.last_exit
    {
        text.push_str(&format!(" · {exit}"));
    }
    if let Some(next) = dyno.next_start_at {
        text.push_str(&format!(" · next start {}", statuses::next_try(next, Utc::now())));
    }
    text
}

/// One dyno, one process type or all, in the old and new syntax.
#[derive(Args)]
struct DynoFlags {
    /// A dyno (web.1) or a process type (web)
    #[arg(value_name = "DYNO|TYPE")]
    which: Option<String>,
    /// A dyno, e.g. web.1
    #[arg(short, long, value_name = "DYNO", conflicts_with_all = ["which", "process_type"])]
    dyno_name: Option<String>,
    /// A process type, e.g. web
    #[arg(short, long, value_name = "TYPE", conflicts_with = "which")]
    process_type: Option<String>,
}

enum Target {
    All,
    Dyno(String),
    Kind(String),
}

impl DynoFlags {
    fn target(self) -> Target {
        match (self.which, self.dyno_name, self.process_type) {
            (Some(dyno), ..) if dyno.contains('.') => Target::Dyno(dyno),
            (_, Some(dyno), _) => Target::Dyno(dyno),
            (Some(kind), ..) | (_, _, Some(kind)) => Target::Kind(kind),
            (None, None, None) => Target::All,
        }
    }
}

/// Restarts dynos: all, those of a process type, or one
#[derive(Args)]
pub struct Restart {
    #[command(flatten)]
    which: DynoFlags,
    #[command(flatten)]
    app: AppFlags,
}

impl Restart {
    /// `ps:restart`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let on = named(&name);
        let target = self.which.target();
        if matches!(target, Target::All) && client.dyno_list(&name).await?.is_empty() {
            note(format!("There are no dynos on {on}, so nothing was restarted. See: wharf ps:scale --app {name}"));
            return if cx.json { output::json(&serde_json::json!({})) } else { Ok(()) };
        }
        let held = statuses::held(client, &name).await;
        let action = Action::start(match &target {
            Target::All => format!("Restarting all dynos on {on}"),
            Target::Dyno(dyno) => format!("Restarting dyno {dyno} on {on}"),
            Target::Kind(kind) => format!("Restarting all {kind} dynos on {on}"),
        });
        match &target {
            Target::All => client.dyno_restart_all(&name).await?,
            Target::Dyno(dyno) => client.dyno_restart(&name, dyno).await?,
            Target::Kind(kind) => client.formation_restart(&name, kind).await?,
        };
        action.done();
        statuses::warn_if_held(held.as_ref());
        if cx.json { output::json(&serde_json::json!({})) } else { Ok(()) }
    }
}

/// Stops dynos; new ones are started to restore the quantities set with ps:scale
#[derive(Args)]
pub struct Stop {
    #[command(flatten)]
    which: DynoFlags,
    #[command(flatten)]
    app: AppFlags,
}

impl Stop {
    /// `ps:stop`
    pub async fn run(self, cx: &Context) -> Result<()> {
        let name = self.app.app(cx)?;
        let client = cx.client()?;
        let on = named(&name);
        let target = self.which.target();
        let action = Action::start(match &target {
            Target::All => bail!("Nothing to stop. Name a dyno or a process type: wharf ps:stop web.1"),
            Target::Dyno(dyno) => format!("Stopping dyno {dyno} on {on}"),
            Target::Kind(kind) => format!("Stopping all {kind} dynos on {on}"),
        });
        match &target {
            Target::All => serde_json::Value::Null,
            Target::Dyno(dyno) => client.dyno_stop(&name, dyno).await?,
            Target::Kind(kind) => client.formation_stop(&name, kind).await?,
        };
        action.finish(cx.json, &serde_json::json!({}))
    }
}
