//! Apps: creating, renaming, maintenance mode, destroying.

use std::collections::BTreeMap;

use api::{builds::MOST_WATCH_SECONDS, ids::AppId};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Error, Result, Subject,
    links::Links,
    names::named_id,
    pages,
    web::{Created, Input},
};
use chrono::Utc;
use identity::{
    Actor, Can, Team, accounts,
    quotas::{self, Quota},
};
use rand::seq::IndexedRandom as _;
use store::apps::{Filter, LIST, Row};

use crate::{
    Platform,
    app_refs::{self, locked, owner_ref, team_ref},
    collaborators,
    config_layers::Layers,
    config_values::Config,
    destroy::Destroy,
    releases, stacks,
};

/// The app as it appears in responses.
pub fn shown(row: &Row, links: &Links) -> api::apps::App {
    api::apps::App {
        id: row.id,
        name: row.name.clone(),
        owner: owner_ref(row),
        region: stacks::region_ref(),
        stack: stacks::stack_ref(&row.stack),
        build_stack: stacks::stack_ref(&row.build_stack),
        git_url: links.repository(&row.name),
        web_url: links.app(&row.name),
        maintenance: row.maintenance,
        acm: false,
        locked: row.locked,
        archived_at: None,
        buildpack_provided_description: row.buildpack_description.clone(),
        repo_size: row.repo_size,
        slug_size: row.slug_size,
        released_at: row.released_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
        team: team_ref(row),
        organization: team_ref(row),
        space: None,
        internal_routing: None,
        generation: api::refs::Ref { id: named_id("generation cedar"), name: "cedar".into() },
        create_status: "complete".into(),
        process_tier: "production".into(),
        watch_seconds: row.watch_seconds,
    }
}

/// How many former names of an app are kept, by which clients find it for a while.
const FORMER_NAMES: i64 = 10;
/// How many names of destroyed apps are reserved for their owner, so that nobody reserves all.
const RESERVED_NAMES: i64 = 200;

/// Adjectives and nouns of generated names: short, friendly, easy to say on the phone.
const FIRST: [&str; 24] = [
    "amber", "brisk", "calm", "clear", "coral", "crisp", "dusky", "early", "fair", "gentle", "golden", "keen",
    "lively", "mellow", "misty", "noble", "pale", "quiet", "rapid", "salty", "silver", "steady", "tidal", "windy",
];
const SECOND: [&str; 24] = [
    "anchor", "bay", "beacon", "buoy", "canal", "cove", "current", "dock", "ferry", "harbor", "island", "jetty",
    "keel", "lagoon", "mast", "pier", "port", "reef", "sail", "shore", "strait", "tide", "vessel", "wave",
];

fn made_up_name() -> String {
    let mut rng = rand::rng();
    let pick = |words: &[&'static str; 24], rng: &mut rand::rngs::ThreadRng| *words.choose(rng).unwrap_or(&"wharf");
    format!("{}-{}-{:05}", pick(&FIRST, &mut rng), pick(&SECOND, &mut rng), rand::random::<u32>() % 100_000)
}

fn name_taken(err: sqlx::Error, name: &str) -> Error {
    match store::broken_constraint(&err).as_deref() {
        Some("apps_name_key") => taken(name),
        _ => err.into(),
    }
}

fn taken(name: &str) -> Error {
    Error::invalid(format!("Name is already taken: {name}"))
}

/// `POST /apps`: an app of one's own.
pub async fn app_create(
    State(platform): State<Platform>,
    actor: Actor,
    Input(create): Input<api::apps::AppCreate>,
) -> Result<Created<api::apps::App>> {
    actor.must_be_a_person().await?;
    make(&platform, &actor, create, None, false).await.map(Created)
}

/// Creates an app with its first release. It belongs to `team`, or else to the caller, who becomes a collaborator if it
/// is locked.
pub(crate) async fn make(
    platform: &Platform,
    actor: &Actor,
    create: api::apps::AppCreate,
    team: Option<&Team>,
    locked: bool,
) -> Result<api::apps::App> {
    let name = create.name.filter(|n| !n.is_empty()).unwrap_or_else(made_up_name);
    name.parse::<api::ids::AppName>().map_err(Error::invalid)?;
    let stack = stacks::known(create.stack.as_deref().unwrap_or(stacks::DEFAULT))?;
    stacks::known_region(create.region.as_deref())?;
    let (id, now) = (AppId::now_v7(), Utc::now());
    let mut tx = actor.change(Subject::app(id, &name)).await?;
    let owner = team.is_none().then_some(actor.account.id);
    let team_id = team.map(|team| team.id);
    quotas::admit(&mut tx, quotas::owner(owner, team_id), Quota::Apps, 1).await?;
    let new = store::apps::New { id, name: &name, owner, team: team_id, locked, stack, now };
    store::apps::app_create(&mut *tx, &new).await.map_err(|err| name_taken(err, &name))?;
    if !actor.take_app_name(&mut tx, &name).await? {
        return Err(taken(&name));
    }
    let first = releases::New { app: id, description: "Initial release", ..releases::New::default() };
    releases::create(platform, &mut tx, actor, &first, Config::Replace(&Layers::default())).await?;
    let data = serde_json::json!({ "stack": stack, "team": team_id });
    tx.record("app.create", format!("Created the app {name}."), data);
    if let Some(team) = team.filter(|_| locked && !actor.account.admin) {
        collaborators::join(actor, &mut tx, id, team.role()).await?;
    }
    tx.commit().await?;
    // The app's page answers from now on.
    platform.until_routed().await;
    platform.said(id, "api", &format!("Initial release by user {}", actor.account.email));
    let app = actor.app(&id.to_string(), Can::View).await?;
    Ok(shown(&app, &actor.links()))
}

/// `GET /apps`
pub async fn app_list(actor: Actor, headers: HeaderMap) -> Result<Response> {
    listed(&actor, &headers, &Filter::default()).await
}

/// A page of the matching apps that the caller can see.
pub(crate) async fn listed(actor: &Actor, headers: &HeaderMap, filter: &Filter<'_>) -> Result<Response> {
    let range = pages::requested(headers, &LIST)?;
    let page = actor.apps(filter, &range).await?;
    let links = actor.links();
    Ok(pages::respond(&LIST, &range, page.map(|app| shown(&app, &links))))
}

/// `GET /users/{user}/apps`
pub async fn app_list_of_user(actor: Actor, Path(user): Path<String>, headers: HeaderMap) -> Result<Response> {
    accounts::is_self(&actor, &user)?;
    listed(&actor, &headers, &Filter::default()).await
}

/// `GET /apps/{app}`
pub async fn app_info(actor: Actor, Path(app): Path<String>) -> Result<Json<api::apps::App>> {
    let row = actor.app(&app, Can::View).await?;
    Ok(Json(shown(&row, &actor.links())))
}

/// `POST /filters/apps`: `{"in": {"id": […]}}`
pub async fn app_filter(actor: Actor, headers: HeaderMap, Input(filter): Input<serde_json::Value>) -> Result<Response> {
    let ids: Vec<AppId> = serde_json::from_value(filter["in"]["id"].clone())
        .map_err(|_| Error::invalid("The filter must have the form {\"in\": {\"id\": [ids of apps]}}."))?;
    listed(&actor, &headers, &Filter { ids: Some(&ids), ..Filter::default() }).await
}

/// `PATCH /apps/{app}`
pub async fn app_update(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Input(update): Input<api::apps::AppUpdate>,
) -> Result<Json<api::apps::App>> {
    let old = actor.app(&app, Can::View).await?;
    let needed = [
        (update.name.is_some(), Can::Manage),
        (update.build_stack.is_some(), Can::Deploy),
        (update.maintenance.is_some(), Can::Operate),
        (update.watch_seconds.is_some(), Can::Deploy),
    ];
    let mut needed: Vec<Can> = needed.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, can)| can).collect();
    // An update without changes requires the same rights.
    if needed.is_empty() {
        needed.push(Can::Operate);
    }
    needed.into_iter().try_for_each(|can| old.must(can))?;
    let mut tx = actor.change(Subject::app(old.id, &old.name)).await?;
    let old = locked(&mut tx, &actor, old.id).await?;
    let mut row = old.clone();
    let mut said = Vec::new();
    if let Some(name) = update.name.filter(|n| *n != row.name) {
        name.parse::<api::ids::AppName>().map_err(Error::invalid)?;
        said.push(format!("Renamed {} to {name}", row.name));
        row.name = name;
    }
    if let Some(on) = update.maintenance.filter(|on| *on != row.maintenance) {
        said.push(format!("Maintenance mode {}", if on { "enabled" } else { "disabled" }));
        row.maintenance = on;
    }
    if let Some(stack) = update.build_stack {
        row.build_stack = stacks::known(&stack)?.into();
        if row.build_stack != old.build_stack {
            said.push(format!("Build stack set to {}", row.build_stack));
        }
    }
    if let Some(seconds) = update.watch_seconds.filter(|seconds| *seconds != row.watch_seconds) {
        if !(0..=MOST_WATCH_SECONDS).contains(&seconds) {
            return Err(Error::invalid(format!("watch_seconds must be from 0 to {MOST_WATCH_SECONDS}.")));
        }
        said.push(format!("Watch period set to {seconds} s"));
        row.watch_seconds = seconds;
    }
    if said.is_empty() {
        return Ok(Json(shown(&row, &actor.links())));
    }
    let now = Utc::now();
    store::apps::app_update(&mut *tx, &row, now).await.map_err(|err| name_taken(err, &row.name))?;
    if row.name != old.name {
        if !actor.take_app_name(&mut tx, &row.name).await? {
            return Err(taken(&row.name));
        }
        store::apps::app_name_release(&mut tx, row.id, &old.name, FORMER_NAMES, now).await?;
    }
    let data = serde_json::json!({
        "name": row.name,
        "maintenance": row.maintenance,
        "build_stack": row.build_stack,
        "watch_seconds": row.watch_seconds,
    });
    tx.record("app.update", format!("{}.", said.join(". ")), data);
    tx.commit().await?;
    if row.maintenance != old.maintenance || row.name != old.name {
        // The next request gets the page, or no longer, or is one to the new name.
        platform.until_routed().await;
    }
    for text in said {
        platform.said(row.id, "api", &format!("{text} by user {}", actor.account.email));
    }
    app_info(actor, Path(row.id.to_string())).await
}

/// `DELETE /apps/{app}`: hides it immediately; a job removes its resources. Its names stay reserved for its owner for a
/// while.
pub async fn app_delete(actor: Actor, Path(app): Path<String>) -> Result<Json<api::apps::App>> {
    let row = actor.app(&app, Can::Manage).await?;
    // A script that cleans up by an old name means an app that is no longer there.
    if app != row.name && app.parse::<AppId>().is_err() {
        return Err(Error::invalid(format!(
            "{app} was renamed to {name}. To destroy it, use {name}.",
            name = row.name
        )));
    }
    let mut tx = actor.change(Subject::app(row.id, &row.name)).await?;
    // It may have got another name or owner while this waited.
    if locked(&mut tx, &actor, row.id).await?.name != row.name {
        return Err(Error::conflict(format!("The app {} has just been renamed.", row.name)));
    }
    app_refs::concern_everybody(&mut tx, row.id).await?;
    let now = Utc::now();
    store::apps::app_name_reserve(&mut tx, row.id, RESERVED_NAMES, now).await?;
    if !store::apps::app_mark_deleted(&mut *tx, row.id, now).await? {
        return Err(Error::no_app());
    }
    store::releases::release_cancel_all(&mut *tx, row.id, now).await?;
    tx.record("app.delete", format!("Destroyed the app {}.", row.name), serde_json::json!({}));
    background::enqueue(&mut tx, &Destroy { app: row.id }).await?;
    tx.commit().await?;
    Ok(Json(shown(&row, &actor.links())))
}

/// `GET /apps/{app}/addons`: always empty.
pub async fn addon_list(actor: Actor, Path(app): Path<String>) -> Result<Json<Vec<serde_json::Value>>> {
    actor.app(&app, Can::View).await?;
    Ok(Json(Vec::new()))
}

/// `GET /apps/{app}/pipeline-couplings`: always empty.
pub async fn pipeline_coupling_info(actor: Actor, Path(app): Path<String>) -> Result<Json<serde_json::Value>> {
    actor.app(&app, Can::View).await?;
    Err(Error::not_found("pipeline_coupling", "Couldn't find that pipeline coupling."))
}

/// Any other path under an app: a missing app is reported first.
pub async fn no_such_thing(actor: Actor, Path(path): Path<BTreeMap<String, String>>) -> Error {
    let app = path.get("app").map(String::as_str).unwrap_or_default();
    match actor.app(app, Can::View).await {
        Ok(_) => Error::not_found("route", "The requested API endpoint was not found."),
        Err(err) => err,
    }
}
