//! Stacks, regions and dyno sizes: what there is to choose from.

use std::collections::BTreeMap;

use axum::{Json, extract::Path};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    actor::Actor,
    error::{Error, Result},
    rights::Can,
};

/// The stack of an app that names none.
pub(crate) const DEFAULT: &str = "heroku-24";
/// There is one stack, the machine itself; these are names for it, so that clients find the one they ask for.
const NAMES: [&str; 5] = ["host", "heroku-22", "heroku-24", "heroku-26", "cedar"];
const REGION: &str = "us";

/// An id for something that has only a name: the same name has the same id for ever.
pub(crate) fn named_id(name: &str) -> Uuid {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// The stack called `name`, or with that id.
pub(crate) fn known(name: &str) -> Result<&'static str> {
    NAMES
        .into_iter()
        .find(|n| *n == name || named_id(&format!("stack {n}")).to_string() == name)
        .ok_or_else(|| Error::invalid(format!("Stack {name} does not exist. Valid stacks: {}.", NAMES.join(", "))))
}

/// How resources name a stack.
pub(crate) fn stack_ref(name: &str) -> api::refs::Ref {
    api::refs::Ref { id: named_id(&format!("stack {name}")), name: name.into() }
}

/// How resources name the region.
pub(crate) fn region_ref() -> api::refs::Ref {
    api::refs::Ref { id: named_id("region us"), name: REGION.into() }
}

/// An error when a region is named that does not exist.
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
    // When the first version with this stack was made; stacks have no row of their own.
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

/// How big a dyno may get.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    pub name: &'static str,
    /// Above this, R14.
    pub memory_mb: u64,
    /// Above this many times the quota, the dyno is killed (R15). See behaviour.md 7.4.
    pub hard_factor: f64,
    pub cpu_shares: u64,
    pub pids: u64,
    compute: i32,
}

/// Memory, processes and shares as Heroku documents them (devcenter "dyno types", "limits").
const SIZES: [Size; 8] = [
    Size { name: "Eco", memory_mb: 512, hard_factor: 2.0, cpu_shares: 512, pids: 256, compute: 1 },
    Size { name: "Basic", memory_mb: 512, hard_factor: 2.0, cpu_shares: 512, pids: 256, compute: 1 },
    Size { name: "Standard-1X", memory_mb: 512, hard_factor: 2.0, cpu_shares: 1024, pids: 256, compute: 1 },
    Size { name: "Standard-2X", memory_mb: 1024, hard_factor: 2.0, cpu_shares: 2048, pids: 512, compute: 2 },
    Size { name: "Performance-M", memory_mb: 2560, hard_factor: 1.1, cpu_shares: 12288, pids: 32768, compute: 12 },
    Size { name: "Performance-L", memory_mb: 14336, hard_factor: 1.1, cpu_shares: 51200, pids: 32768, compute: 50 },
    Size { name: "Performance-L-RAM", memory_mb: 30720, hard_factor: 1.1, cpu_shares: 24576, pids: 32768, compute: 24 },
    Size { name: "Performance-XL", memory_mb: 63488, hard_factor: 1.1, cpu_shares: 102_400, pids: 32768, compute: 100 },
];

/// The size called `name` in any case, or with that id. `1X` and the like are old names.
pub(crate) fn size(name: &str) -> Option<Size> {
    let name = match name.to_ascii_lowercase().as_str() {
        "1x" | "free" | "hobby" => "standard-1x".to_owned(),
        "2x" => "standard-2x".to_owned(),
        "px" => "performance-l".to_owned(),
        other => other.to_owned(),
    };
    SIZES.into_iter().find(|s| s.name.eq_ignore_ascii_case(&name) || size_id(s.name).to_string() == name)
}

/// The id of a size.
pub(crate) fn size_id(name: &str) -> Uuid {
    named_id(&format!("dyno size {name}"))
}

/// All names, for sentences.
pub(crate) fn size_names() -> String {
    SIZES.map(|s| s.name).join(", ")
}

fn size_shown(size: Size) -> api::dynos::DynoSize {
    api::dynos::DynoSize {
        id: size_id(size.name),
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
    size(&name)
        .map(|s| Json(size_shown(s)))
        .ok_or_else(|| Error::not_found("dyno_size", "Couldn't find that dyno size."))
}

/// `GET /apps/{app}/available-dyno-sizes`
pub async fn dyno_size_list_of_app(actor: Actor, Path(app): Path<String>) -> Result<Json<Vec<api::dynos::DynoSize>>> {
    actor.app(&app, Can::View).await?;
    Ok(Json(SIZES.map(size_shown).to_vec()))
}

/// MB of memory of each size.
pub(crate) fn memory() -> Vec<(&'static str, i64)> {
    SIZES.iter().map(|size| (size.name, i64::try_from(size.memory_mb).unwrap_or(i64::MAX))).collect()
}

/// The sizes by name, for charts and checks.
pub(crate) fn quotas() -> BTreeMap<&'static str, u64> {
    SIZES.into_iter().map(|s| (s.name, s.memory_mb << 20)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_found_in_any_case_and_by_old_names() {
        for (given, name) in [("standard-2x", "Standard-2X"), ("STANDARD-1X", "Standard-1X"), ("2X", "Standard-2X")] {
            assert_eq!(size(given).map(|s| s.name), Some(name));
        }
        assert_eq!(size("huge"), None);
        assert_eq!(size(&size_id("Basic").to_string()).map(|s| s.name), Some("Basic"));
    }
}
