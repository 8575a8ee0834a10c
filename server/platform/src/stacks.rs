//! Stacks, regions and dyno sizes.

use axum::{Json, extract::Path};
use base::{
    Error, Result,
    dyno_sizes::{self, SIZES, Size},
    names::named_id,
};
use chrono::{DateTime, Utc};
use identity::{Actor, Can};

/// The default stack.
pub(crate) const DEFAULT: &str = "heroku-24";
/// There is one stack, the machine itself; it has all of these names, so that clients find the one that they request.
const NAMES: [&str; 5] = ["host", "heroku-22", "heroku-24", "heroku-26", "cedar"];
const REGION: &str = "us";

/// The stack called `name`, or with that id.
pub fn known(name: &str) -> Result<&'static str> {
    NAMES
        .into_iter()
        .find(|n| *n == name || named_id(&format!("stack {n}")).to_string() == name)
        .ok_or_else(|| Error::invalid(format!("Stack {name} does not exist. Valid stacks: {}.", NAMES.join(", "))))
}

/// The reference to a stack.
pub fn stack_ref(name: &str) -> api::refs::Ref {
    api::refs::Ref { id: named_id(&format!("stack {name}")), name: name.into() }
}

/// The reference to the region.
pub(crate) fn region_ref() -> api::refs::Ref {
    api::refs::Ref { id: named_id("region us"), name: REGION.into() }
}

/// Rejects a region that does not exist.
pub(crate) fn known_region(name: Option<&str>) -> Result<()> {
    match name {
        None | Some(REGION | "eu") => Ok(()),
        Some(id) if id == region_ref().id.to_string() => Ok(()),
        Some(other) => {
            Err(Error::invalid(format!("Region {other} does not exist. The only region is {REGION}, this machine.")))
        }
    }
}

fn since() -> DateTime<Utc> {
    // The date of the first version with this stack; stacks have no rows.
    DateTime::from_timestamp(1_793_491_200, 0).unwrap_or_default()
}

fn stack(name: &str) -> api::stacks::Stack {
    api::stacks::Stack {
        id: named_id(&format!("stack {name}")),
        name: name.into(),
        default: name == DEFAULT,
        state: "public".into(),
        created_at: since(),
        updated_at: since(),
    }
}

/// `GET /stacks`
pub async fn stack_list(_: Actor) -> Json<Vec<api::stacks::Stack>> {
    Json(NAMES.map(stack).to_vec())
}

/// `GET /apps/{app}/available-stacks`
pub async fn stack_list_of_app(actor: Actor, Path(app): Path<String>) -> Result<Json<Vec<api::stacks::Stack>>> {
    actor.app(&app, Can::View).await?;
    Ok(Json(NAMES.map(stack).to_vec()))
}

/// `GET /stacks/{stack}`
pub async fn stack_info(_: Actor, Path(name): Path<String>) -> Result<Json<api::stacks::Stack>> {
    known(&name).map(|n| Json(stack(n))).map_err(|_| Error::not_found("stack", "Couldn't find that stack."))
}

fn region() -> api::stacks::Region {
    api::stacks::Region {
        id: region_ref().id,
        name: REGION.into(),
        description: "This machine".into(),
        country: "Your own".into(),
        locale: "Here".into(),
        private_capable: false,
        provider: api::stacks::Provider { name: "wharf".into(), region: "local".into() },
        created_at: since(),
        updated_at: since(),
    }
}

/// `GET /regions`
pub async fn region_list(_: Actor) -> Json<Vec<api::stacks::Region>> {
    Json(vec![region()])
}

/// `GET /regions/{region}`
pub async fn region_info(_: Actor, Path(name): Path<String>) -> Result<Json<api::stacks::Region>> {
    let region = region();
    if name == region.name || name == region.id.to_string() {
        return Ok(Json(region));
    }
    Err(Error::not_found("region", "Couldn't find that region."))
}

fn size_shown(size: Size) -> api::dynos::DynoSize {
    api::dynos::DynoSize {
        id: dyno_sizes::size_id(size.name),
        name: size.name.into(),
        memory: size.memory_mb as f64 / 1024.0,
        compute: size.compute,
        dedicated: false,
        precise_dyno_units: 0.0,
        cost: None,
        architecture: "amd64".into(),
        private_space_only: false,
    }
}

/// `GET /dyno-sizes`
pub async fn dyno_size_list(_: Actor) -> Json<Vec<api::dynos::DynoSize>> {
    Json(SIZES.map(size_shown).to_vec())
}

/// `GET /dyno-sizes/{size}`
pub async fn dyno_size_info(_: Actor, Path(name): Path<String>) -> Result<Json<api::dynos::DynoSize>> {
    dyno_sizes::size(&name)
        .map(|s| Json(size_shown(s)))
        .ok_or_else(|| Error::not_found("dyno_size", "Couldn't find that dyno size."))
}

/// `GET /apps/{app}/available-dyno-sizes`
pub async fn dyno_size_list_of_app(actor: Actor, Path(app): Path<String>) -> Result<Json<Vec<api::dynos::DynoSize>>> {
    actor.app(&app, Can::View).await?;
    Ok(Json(SIZES.map(size_shown).to_vec()))
}
