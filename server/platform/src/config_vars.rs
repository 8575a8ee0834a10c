//! Config vars: an app's settings. Every change creates a release; values are encrypted at rest.
//!
//! The routes change the app's own vars, and return the environment of its dynos. Add-ons and pipelines replace their
//! layers with [`config_layer_replace`].

use std::collections::BTreeMap;

use api::ids::{AccountId, AppId};
use axum::{
    Json,
    extract::{Path, State},
};
use base::{Change, Error, Kind, Result, Subject, web::Input};
use identity::{Actor, Can};

use crate::{
    Platform,
    config_layers::{Layers, Source, Vars},
    config_values::{self, Config},
    releases,
};

/// The total size of all keys and values. (Heroku's limit, devcenter "config vars".)
const MOST_BYTES: usize = 64 << 10;

/// `GET /apps/{app}/config-vars`
pub async fn config_vars_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
) -> Result<Json<Vars>> {
    let app = actor.app(&app, Can::Config).await?;
    Ok(Json(config_values::current(platform.secrets(), platform.db(), app.id).await?))
}

/// `GET /apps/{app}/releases/{release}/config-vars`
pub async fn release_config_vars(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, release)): Path<(String, String)>,
) -> Result<Json<Vars>> {
    let app = actor.app(&app, Can::Config).await?;
    let release = releases::find(platform.db(), &app, &release).await?;
    Ok(Json(config_values::of_release(platform.secrets(), platform.db(), app.id, release.id).await?))
}

/// `PATCH /apps/{app}/config-vars`: creates one release for all changes, or none if nothing changes.
pub async fn config_vars_update(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Input(update): Input<BTreeMap<String, serde_json::Value>>,
) -> Result<Json<Vars>> {
    let app = actor.app(&app, Can::Config).await?;
    // The response contains all values, and a release is created.
    app.must(Can::Deploy)?;
    let update = update.into_iter().map(|(k, v)| Ok((k, value(v)?))).collect::<Result<BTreeMap<_, _>>>()?;
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    // Concurrent updates must not overwrite each other's keys.
    actor.lock_app(&mut tx, app.id).await?;
    let old = config_values::layers(platform.secrets(), &mut *tx, app.id).await?;
    let changes = apply(&old, &update)?;
    let vars = changes.layers.effective();
    if changes.set.is_empty() && changes.unset.is_empty() {
        return Ok(Json(vars));
    }
    let description = changes.description();
    let new = releases::New { app: app.id, description: &description, keeps_slug: true, ..releases::New::default() };
    let version = releases::create(&platform, &mut tx, &actor, &new, Config::Replace(&changes.layers)).await?;
    let data = serde_json::json!({ "set": changes.set, "unset": changes.unset, "release": version });
    tx.record("config_vars.update", format!("{description} (v{version})."), data);
    tx.commit().await?;
    platform.said(app.id, "api", &format!("{description} by user {}", actor.account.email));
    releases::announce(&platform, app.id, version, &actor.account.email);
    Ok(Json(vars))
}

/// The new contents of a layer of an app's config vars.
pub struct LayerReplace<'a> {
    pub app: AppId,
    pub source: Source,
    /// All vars of the layer; none to remove it.
    pub vars: Vars,
    /// The description of the release, such as `Attach DATABASE`.
    pub description: &'a str,
    /// The account to which the release is attributed.
    pub account: AccountId,
}

/// Replaces a layer of an app's config vars, and creates a release. Returns its version; `None` if nothing changes.
///
/// Rejects invalid names and values, vars of another add-on, and a layer with which the environment would be too large;
/// removing one is never rejected. The app is locked until the end of `tx`; when it is committed, the dynos restart.
/// The caller records an event, commits, and then writes the release to the app's log ([`releases::announce`]).
pub async fn config_layer_replace(
    platform: &Platform,
    tx: &mut Change,
    wanted: LayerReplace<'_>,
) -> Result<Option<i32>> {
    let LayerReplace { app, source, vars, description, account } = wanted;
    store::apps::app_lock(&mut **tx, app).await?;
    let old = config_values::layers(platform.secrets(), &mut **tx, app).await?;
    let Some(layers) = with_layer(&old, source, vars)? else { return Ok(None) };
    let new = releases::New { app, description, keeps_slug: true, ..releases::New::default() };
    let version = releases::create_for(platform, tx, account, &new, Config::Replace(&layers)).await?;
    tx.publish(Kind::Release, Some(app));
    Ok(Some(version))
}

fn with_layer(old: &Layers, source: Source, vars: Vars) -> Result<Option<Layers>> {
    if old.of(&source) == vars {
        return Ok(None);
    }
    let mut layers = old.clone();
    layers.replace(source.clone(), Vars::new());
    for (key, value) in &vars {
        check_key(key)?;
        check_value(key, value)?;
        if let (Source::Addon(_), Some((addon, _))) = (&source, layers.addon_of(key)) {
            return Err(set_by(addon, key));
        }
    }
    if !vars.is_empty() {
        layers.replace(source, vars);
        check_size(old, &layers)?;
    }
    Ok(Some(layers))
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
    layers: Layers,
    set: Vec<String>,
    unset: Vec<String>,
}

impl Changes {
    fn description(&self) -> String {
        // The plural for a single var is Heroku's.
        let set = (!self.set.is_empty()).then(|| format!("Set {} config vars", self.set.join(", ")));
        let unset = (!self.unset.is_empty()).then(|| format!("Remove {} config vars", self.unset.join(", ")));
        [set, unset].into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }
}

/// Applies an update to the app's own vars.
fn apply(old: &Layers, update: &BTreeMap<String, Option<String>>) -> Result<Changes> {
    let mut own = old.of(&Source::Own);
    let mut changes = Changes { layers: old.clone(), set: Vec::new(), unset: Vec::new() };
    for (key, value) in update {
        check_key(key)?;
        if let Some((addon, current)) = old.addon_of(key) {
            // Some clients send all vars back.
            if value.as_deref() == Some(current) {
                continue;
            }
            return Err(set_by(addon, key));
        }
        match value {
            Some(value) => {
                check_value(key, value)?;
                if own.insert(key.clone(), value.clone()).as_ref() != Some(value) {
                    changes.set.push(key.clone());
                }
            }
            None => {
                if own.remove(key).is_some() {
                    changes.unset.push(key.clone());
                }
            }
        }
    }
    changes.layers.replace(Source::Own, own);
    check_size(old, &changes.layers)?;
    Ok(changes)
}

fn set_by(addon: &str, key: &str) -> Error {
    Error::invalid(format!(
        "{key} is set by the add-on {addon} and cannot be changed or removed while it is attached. Use another name or \
         detach the add-on."
    ))
}

/// Rejects values that no environment can contain.
pub fn check_value(key: &str, value: &str) -> Result<()> {
    if value.contains('\0') {
        return Err(Error::invalid(format!(
            "The value of {key} contains a NUL character, which environment variables cannot contain."
        )));
    }
    Ok(())
}

/// Limits the size of the environment. Removing a layer or a rollback can exceed it; then, reducing it is allowed.
fn check_size(old: &Layers, new: &Layers) -> Result<()> {
    let size_of = |layers: &Layers| layers.effective().iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
    let size = size_of(new);
    if size > MOST_BYTES && size > size_of(old) {
        return Err(Error::invalid(format!(
            "Config vars take {size} bytes, keys and values together; at most {MOST_BYTES} (64 KB) are allowed."
        )));
    }
    Ok(())
}

/// Rejects invalid names.
pub fn check_key(key: &str) -> Result<()> {
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

    fn vars(all: &[(&str, &str)]) -> Vars {
        all.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn addon(name: &str) -> Source {
        Source::Addon(name.into())
    }

    fn own() -> Layers {
        let mut layers = Layers::default();
        layers.replace(Source::Own, vars(&[("A", "1"), ("B", "2")]));
        layers
    }

    fn check_in(old: &Layers, update: &[(&str, Option<&str>)], expected: &str) {
        let update = update.iter().map(|(k, v)| (k.to_string(), v.map(String::from))).collect();
        let found = match apply(old, &update) {
            Ok(changes) => changes.description(),
            Err(err) => err.to_string(),
        };
        assert_eq!(found, expected);
    }

    fn check(update: &[(&str, Option<&str>)], expected: &str) {
        check_in(&own(), update, expected);
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

    const DATABASE: &str = "DATABASE_URL is set by the add-on DATABASE and cannot be changed or removed while it is \
                            attached. Use another name or detach the add-on.";

    #[test]
    fn vars_of_an_add_on_are_its_own() {
        let mut old = own();
        old.replace(addon("DATABASE"), vars(&[("DATABASE_URL", "x")]));
        old.replace(Source::Pipeline, vars(&[("P", "1")]));
        check_in(&old, &[("A", Some("3")), ("DATABASE_URL", Some("y"))], DATABASE);
        check_in(&old, &[("DATABASE_URL", None)], DATABASE);
        check_in(&old, &[("A", Some("3")), ("DATABASE_URL", Some("x"))], "Set A config vars");
        // Vars of a pipeline can be overridden; without an override, there is nothing to remove.
        check_in(&old, &[("P", Some("1"))], "Set P config vars");
        check_in(&old, &[("P", None)], "");
    }

    #[test]
    fn a_layer_leaves_the_others_alone() {
        let old = with_layer(&own(), addon("DATABASE"), vars(&[("DATABASE_URL", "x"), ("B", "3")])).unwrap().unwrap();
        assert_eq!(old.effective(), vars(&[("A", "1"), ("B", "3"), ("DATABASE_URL", "x")]));
        assert_eq!(with_layer(&old, addon("DATABASE"), vars(&[("DATABASE_URL", "x"), ("B", "3")])).unwrap(), None);
        assert_eq!(with_layer(&old, addon("DATABASE"), Vars::new()).unwrap(), Some(own()));
        let refused = |source, of: &[(&str, &str)]| with_layer(&old, source, vars(of)).unwrap_err().to_string();
        assert_eq!(refused(addon("OTHER"), &[("DATABASE_URL", "y")]), DATABASE);
        assert!(refused(addon("OTHER"), &[("A=B", "y")]).starts_with("Invalid config var name"));
        assert!(refused(addon("OTHER"), &[("C", "\0")]).contains("NUL"));
    }

    #[test]
    fn the_limit_is_that_of_all_layers_together() {
        let half = "x".repeat(MOST_BYTES / 2);
        let old = with_layer(&Layers::default(), addon("DATABASE"), vars(&[("D", &half)])).unwrap().unwrap();
        let most = &half[2..];
        check_in(&old, &[("A", Some(most))], "Set A config vars");
        let size = MOST_BYTES + 1;
        let large =
            format!("Config vars take {size} bytes, keys and values together; at most 65536 (64 KB) are allowed.");
        check_in(&old, &[("A", Some(&half[1..]))], &large);
        let refused = with_layer(&old, Source::Pipeline, vars(&[("P", &half[1..])])).unwrap_err();
        assert_eq!(refused.to_string(), large);
        // Hidden values do not reach processes.
        let hidden = with_layer(&old, Source::Pipeline, vars(&[("D", &half)])).unwrap().unwrap();
        assert_eq!(hidden.effective(), old.effective());
    }

    #[test]
    fn whoever_has_too_much_may_have_less() {
        let half = "x".repeat(MOST_BYTES / 2);
        let mut old = own();
        old.replace(Source::Own, vars(&[("A", &half), ("B", &half), ("C", "1")]));
        old.replace(addon("SMALL"), vars(&[("A", "1")]));
        // It hides a large value, which could not be removed first.
        let all = with_layer(&old, addon("SMALL"), Vars::new()).unwrap().unwrap();
        check_in(&all, &[("C", None)], "Remove C config vars");
        let size = MOST_BYTES + 5;
        check_in(
            &all,
            &[("C", Some("22"))],
            &format!("Config vars take {size} bytes, keys and values together; at most 65536 (64 KB) are allowed."),
        );
    }
}
