//! The routes that run something: a one-off dyno, and a further process in a running dyno.

use std::collections::HashSet;

use anyhow::anyhow;
use api::{
    dynos::{Dyno, DynoCreate, DynoExec, DynoState},
    ids::{DynoId, ReleaseId, RunId},
};
use axum::extract::{Path, State};
use base::{
    Error, Result, Subject, dyno_sizes,
    web::{Created, Input},
};
use chrono::Utc;
use dyno::Terminal;
use identity::{
    Actor, Can,
    quotas::{self, Quota},
    row_limits,
};
use platform::{Platform, dyno_metadata, dynos};
use store::one_offs::Row;

use super::call::{self, Call};
use crate::{
    OneOffs,
    terminals::{self, Opening, Target},
};

/// The size of a one-off dyno without a process type.
const SIZE: &str = "Standard-1X";
/// Characters of a command in the audit log.
const SHOWN: usize = 1000;

/// `POST /apps/{app}/dynos`
pub async fn dyno_create(
    State(one_offs): State<OneOffs>,
    actor: Actor,
    Path(app): Path<String>,
    Input(create): Input<DynoCreate>,
) -> Result<Created<Dyno>> {
    let app = actor.app(&app, Can::Run).await?;
    let is_wharf = create.window.is_some() || create.force_no_tty.is_some();
    let call = Call::parse(create)?;
    if call.terminal.is_some() {
        can_attach(&one_offs, is_wharf)?;
    }
    // Reserved first, so that nothing runs that cannot be attached to.
    let opening = call.terminal.map(|_| one_offs.terminals().reserve(&actor)).transpose()?;
    let row = create_row(&one_offs, &actor, &app, call).await.inspect_err(|_| {
        opening.iter().for_each(|secret| one_offs.terminals().forget(secret));
    })?;
    let text = format!("Starting process with command `{}` by user {}", row.command, actor.account.email);
    one_offs.said(app.id, "api", &text);
    let mut shown = dynos::shown_one_off(&one_offs, &row, &app);
    if let Some(opening) = opening {
        let target = Target::OneOff { dyno: row.id, run: row.run_id };
        announce(
            &one_offs,
            &mut shown,
            opening,
            Opening { actor, app: app.id, has_pipes: row.columns.is_none(), target },
        );
    }
    Ok(Created(shown))
}

async fn create_row(platform: &Platform, actor: &Actor, app: &store::apps::Row, call: Call) -> Result<Row> {
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    // Nothing stops what is run in an app that is being destroyed after its destruction has.
    if !actor.lock_app(&mut tx, app.id).await? {
        return Err(Error::no_app());
    }
    let release = store::releases::release_current(&mut *tx, app.id).await?;
    let slug = match release.as_ref().and_then(|release| release.slug_id) {
        Some(slug) => store::slugs::slug_info(&mut *tx, slug).await?,
        None => None,
    };
    let (Some(release), Some(slug)) = (release, slug) else {
        return Err(Error::invalid("This app has no code yet, so nothing can be run in it. Deploy it first."));
    };
    let formation = store::formation::formation_list(&mut *tx, app.id).await?;
    let of_type = formation.into_iter().find(|row| row.kind == call.kind).map(|row| row.size);
    let size = call.size.map_or_else(|| of_type.unwrap_or_else(|| SIZE.into()), |size| size.name.to_owned());
    row_limits::admit(&mut tx, &row_limits::ONE_OFFS, app.id).await?;
    let taken = store::one_offs::one_off_names(&mut *tx, app.id).await?.into_iter().collect();
    let (id, window) = (DynoId::now_v7(), window(call.terminal));
    let row = Row {
        id,
        app_id: app.id,
        name: free_name(&call.kind, &taken).ok_or_else(|| anyhow!("no name is free"))?,
        size,
        command: call.in_types(&slug.process_types)?,
        release_id: release.id,
        version: release.version,
        run_id: RunId::now_v7(),
        env: call::seal(platform.secrets(), id, &call.env)?,
        attached: call.terminal.is_some(),
        columns: window.map(|size| i32::from(size.columns)),
        lines: window.map(|size| i32::from(size.rows)),
        time_limit: call.time_limit,
        created_by: Some(actor.account.id),
        state: DynoState::Starting,
        started_at: None,
        stopping_at: None,
        ended_at: None,
        exit_status: None,
        last_exit: None,
        created_at: Utc::now(),
        updated_at: Utc::now(),
        kind: call.kind,
    };
    store::one_offs::one_off_create(&mut *tx, &row).await?;
    quotas::admit_for_app(&mut tx, app.id, Quota::Dynos, 0).await?;
    quotas::admit_for_app(&mut tx, app.id, Quota::Memory, 0).await?;
    let command = shortened(&row.command);
    let data = serde_json::json!({
        "dyno": row.name, "command": command, "size": row.size, "attached": row.attached,
        "env": call.env.keys().collect::<Vec<_>>(), "release": row.version,
    });
    tx.record("dyno.run", format!("Ran `{command}` in the one-off dyno {}.", row.name), data);
    tx.commit().await?;
    Ok(row)
}

/// `POST /apps/{app}/dynos/{dyno}`: a further process in a running dyno, to attach to.
pub async fn dyno_exec(
    State(one_offs): State<OneOffs>,
    actor: Actor,
    Path((app, dyno)): Path<(String, String)>,
    Input(exec): Input<DynoExec>,
) -> Result<Created<Dyno>> {
    let app = actor.app(&app, Can::Run).await?;
    let running = find(&one_offs, &app, &dyno).await?;
    can_attach(&one_offs, exec.window.is_some() || exec.force_no_tty.is_some())?;
    let command = call::command(exec.command.as_deref().unwrap_or("bash"))?;
    let env = call::env(exec.env)?;
    let terminal = call::terminal(exec.force_no_tty.unwrap_or(false), exec.window, &env)?;
    let size = dyno_sizes::size(&running.shown.size).ok_or_else(|| anyhow!("the dyno has an unknown size"))?;
    let (release, slug) = dynos::code(&one_offs, running.release).await?;
    let (app_name, dyno) = (app.name.as_str(), running.shown.id.get());
    let of = dyno_metadata::Process { app: app.id, app_name, dyno, release: &release, slug: &slug };
    let mut vars = of.vars(&one_offs).await?;
    vars.extend(env);
    if running.shown.kind == "web" {
        vars.insert("PORT".into(), dynos::PORT.to_string());
    }
    let reserved = one_offs.terminals().reserve(&actor)?;
    let name = running.shown.name.clone();
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    let shown = shortened(&command);
    let data = serde_json::json!({ "dyno": name, "command": shown });
    tx.record("dyno.exec", format!("Ran `{shown}` inside the dyno {name}."), data);
    tx.commit().await?;
    one_offs.said(app.id, "api", &format!("Running `{shown}` inside {name} by user {}", actor.account.email));
    let exec =
        dyno::Exec { name, uid: app.uid as u32, command, env: vars, memory_bytes: size.memory_mb << 20, terminal };
    let mut answer = running.shown;
    let target = Target::Exec { run: running.run, exec: Box::new(exec) };
    let has_pipes = terminal == Terminal::Pipes;
    announce(&one_offs, &mut answer, reserved, Opening { actor, app: app.id, has_pipes, target });
    Ok(Created(answer))
}

/// Fails if the client would have nowhere to attach to. Wharf's clients say how, and use websockets.
fn can_attach(one_offs: &OneOffs, is_wharf: bool) -> Result<()> {
    if is_wharf || one_offs.terminals().port().is_some() {
        return Ok(());
    }
    Err(Error::conflict(
        "This platform has no port for the terminals of Heroku's CLI. Use wharf run, or heroku run:detached, or ask its \
         operator to set --rendezvous.",
    ))
}

/// Lets the caller attach, and says where.
fn announce(one_offs: &OneOffs, dyno: &mut Dyno, secret: String, opening: Opening) {
    dyno.attach_url = terminals::rendezvous_url(one_offs, &secret);
    dyno.terminal_path = Some(format!("/terminals/{secret}"));
    one_offs.terminals().announce(secret, opening);
}

/// A running dyno, of the formation or a one-off.
struct Running {
    shown: Dyno,
    run: RunId,
    release: ReleaseId,
}

async fn find(platform: &Platform, app: &store::apps::Row, dyno: &str) -> Result<Running> {
    let missing = || Error::not_found("dyno", "Couldn't find that dyno.");
    let rows = dynos::visible(store::dynos::dyno_list(platform.db(), app.id).await?);
    if let Some(row) = rows.iter().find(|row| row.name == dyno || row.id.to_string() == dyno) {
        if row.state.has_ended() {
            return Err(Error::conflict(format!("The dyno {} is {}. Try again when it is up.", row.name, row.state)));
        }
        return Ok(Running { shown: dynos::shown(platform, row, app), run: row.run_id, release: row.release_id });
    }
    let row = store::one_offs::one_off_info(platform.db(), app.id, dyno).await?.ok_or_else(missing)?;
    if row.state != DynoState::Up {
        return Err(Error::conflict(format!("The one-off dyno {} is {}.", row.name, row.state)));
    }
    Ok(Running { shown: dynos::shown_one_off(platform, &row, app), run: row.run_id, release: row.release_id })
}

fn window(terminal: Option<Terminal>) -> Option<dyno::WindowSize> {
    match terminal? {
        Terminal::Window(size) => Some(size),
        Terminal::Pipes => None,
    }
}

/// A name like Heroku's: `run.1234`. Dynos of the formation have smaller numbers.
fn free_name(kind: &str, taken: &HashSet<String>) -> Option<String> {
    let start = rand::random::<u32>() % 9000;
    let mut names = (0..9000).map(|n| format!("{kind}.{}", 1000 + (start + n) % 9000));
    names.find(|name| !taken.contains(name))
}

fn shortened(command: &str) -> String {
    match command.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &command[..end]),
        None => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_free_until_all_are_taken() {
        let mut taken = HashSet::new();
        for _ in 0..9000 {
            let name = free_name("run", &taken).unwrap();
            let number: u32 = name.strip_prefix("run.").unwrap().parse().unwrap();
            assert!((1000..10_000).contains(&number));
            taken.insert(name);
        }
        assert_eq!(free_name("run", &taken), None);
    }

    #[test]
    fn long_commands_are_shortened_between_characters() {
        assert_eq!(shortened("bash"), "bash");
        assert_eq!(shortened(&"ä".repeat(SHOWN + 1)), format!("{}…", "ä".repeat(SHOWN)));
    }
}
