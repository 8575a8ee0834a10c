//! Config vars: an app's settings. Every change is a release; values are encrypted at rest.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use base::{Error, Result, Subject, web::Input};
use identity::{Actor, Can};

use crate::{Platform, config_values, releases};

/// All keys and values together. (Heroku's limit, devcenter "config vars".)
const MOST_BYTES: usize = 64 << 10;

/// `GET /apps/{app}/config-vars`
pub async fn config_vars_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
) -> Result<Json<BTreeMap<String, String>>> {
    let app = actor.app(&app, Can::Config).await?;
    Ok(Json(config_values::current(platform.secrets(), platform.db(), app.id).await?))
}

/// `GET /apps/{app}/releases/{release}/config-vars`
pub async fn release_config_vars(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, release)): Path<(String, String)>,
) -> Result<Json<BTreeMap<String, String>>> {
    let app = actor.app(&app, Can::Config).await?;
    let release = releases::find(platform.db(), &app, &release).await?;
    Ok(Json(config_values::of_release(platform.secrets(), platform.db(), app.id, release.id).await?))
}

/// `PATCH /apps/{app}/config-vars`: all changes are one release; none, when nothing changes.
pub async fn config_vars_update(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Input(update): Input<BTreeMap<String, serde_json::Value>>,
) -> Result<Json<BTreeMap<String, String>>> {
    let app = actor.app(&app, Can::Config).await?;
    // It is answered with all values, and makes a release.
    app.must(Can::Deploy)?;
    let update = update.into_iter().map(|(k, v)| Ok((k, value(v)?))).collect::<Result<BTreeMap<_, _>>>()?;
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    // Two updates at once must not lose one another's keys.
    store::apps::app_lock(&mut *tx, app.id).await?;
    let old = config_values::current(platform.secrets(), &mut *tx, app.id).await?;
    let changes = apply(&old, &update)?;
    if changes.set.is_empty() && changes.unset.is_empty() {
        return Ok(Json(changes.vars));
    }
    config_values::save(&platform, &mut tx, app.id, &changes.vars).await?;
    let description = changes.description();
    let new = releases::New { app: app.id, description: &description, keeps_slug: true, ..releases::New::default() };
    let version = releases::create(&platform, &mut tx, &actor, &new, &changes.vars).await?;
    let data = serde_json::json!({ "set": changes.set, "unset": changes.unset, "release": version });
    tx.record("config_vars.update", format!("{description} (v{version})."), data);
    tx.commit().await?;
    platform.said(app.id, "api", &format!("{description} by user {}", actor.account.email));
    releases::announce(&platform, app.id, version, &actor.account.email);
    Ok(Json(changes.vars))
}

fn value(value: serde_json::Value) -> Result<Option<String>> {
    match value {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::String(s) => Ok(Some(s)),
        serde_json::Value::Number(n) => Ok(Some(n.to_string())),
        serde_json::Value::Bool(b) => Ok(Some(b.to_string())),
        _ => Err(Error::invalid("The value of a config var must be a string, or null to remove it.")),
    }
}

#[derive(Debug)]
struct Changes {
    vars: BTreeMap<String, String>,
    set: Vec<String>,
    unset: Vec<String>,
}

impl Changes {
    fn description(&self) -> String {
        // The plural of one var is Heroku's.
        let set = (!self.set.is_empty()).then(|| format!("Set {} config vars", self.set.join(", ")));
        let unset = (!self.unset.is_empty()).then(|| format!("Remove {} config vars", self.unset.join(", ")));
        [set, unset].into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }
}

fn apply(old: &BTreeMap<String, String>, update: &BTreeMap<String, Option<String>>) -> Result<Changes> {
    let mut changes = Changes { vars: old.clone(), set: Vec::new(), unset: Vec::new() };
    for (key, value) in update {
        check_key(key)?;
        match value {
            Some(value) if value.contains('\0') => {
                return Err(Error::invalid(format!(
                    "The value of {key} contains a NUL character, which environment variables cannot contain."
                )));
            }
            Some(value) => {
                if changes.vars.insert(key.clone(), value.clone()).as_ref() != Some(value) {
                    changes.set.push(key.clone());
                }
            }
            None => {
                if changes.vars.remove(key).is_some() {
                    changes.unset.push(key.clone());
                }
            }
        }
    }
    let size: usize = changes.vars.iter().map(|(k, v)| k.len() + v.len()).sum();
    if size > MOST_BYTES {
        return Err(Error::invalid(format!(
            "Config vars take {size} bytes, keys and values together; at most {MOST_BYTES} (64 KB) are allowed."
        )));
    }
    Ok(changes)
}

fn check_key(key: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && key.len() <= 255 && key.chars().all(good) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Invalid config var name {key:?}: use letters, digits and underscores, starting with a letter."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(update: &[(&str, Option<&str>)], expected: &str) {
        let old = BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())]);
        let update = update.iter().map(|(k, v)| (k.to_string(), v.map(String::from))).collect();
        let found = match apply(&old, &update) {
            Ok(changes) => changes.description(),
            Err(err) => err.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn changes_are_described_as_heroku_describes_them() {
        check(&[("C", Some("3"))], "Set C config vars");
        check(&[("A", Some("2")), ("C", Some("3"))], "Set A, C config vars");
        check(&[("A", None)], "Remove A config vars");
        check(&[("A", None), ("B", Some("3"))], "Set B config vars and Remove A config vars");
        check(&[("A", Some("1")), ("Z", None)], "");
    }

    #[test]
    fn what_no_process_can_be_given_is_refused() {
        let name = |n: &str| {
            format!("Invalid config var name {n:?}: use letters, digits and underscores, starting with a letter.")
        };
        check(&[("1A", Some("x"))], &name("1A"));
        check(&[("A=B", Some("x"))], &name("A=B"));
        check(&[("", Some("x"))], &name(""));
        check(
            &[("A", Some("x\0"))],
            "The value of A contains a NUL character, which environment variables cannot contain.",
        );
        let long = "x".repeat(70_000);
        check(
            &[("A", Some(&long))],
            "Config vars take 70003 bytes, keys and values together; at most 65536 (64 KB) are allowed.",
        );
    }
}
