//! What a process is told about itself in environment variables: the names of Heroku's dyno metadata, and the same with
//! `WHARF_`. Always on.
//!
//! They take precedence over config vars: an app must be able to rely on them, and `HEROKU_` is reserved on Heroku, too.

use std::collections::BTreeMap;

use anyhow::anyhow;
use api::ids::AppId;
use chrono::SecondsFormat;
use uuid::Uuid;

use crate::{Platform, config_layers::Vars, config_values};

/// What a process runs for.
pub struct Process<'a> {
    pub app: AppId,
    pub app_name: &'a str,
    /// The dyno; the same after a restart.
    pub dyno: Uuid,
    pub release: &'a store::releases::Row,
    pub slug: &'a store::slugs::Row,
}

impl Process<'_> {
    /// The config vars of its release, with the metadata.
    ///
    /// # Errors
    /// If the config vars cannot be read.
    pub async fn vars(&self, platform: &Platform) -> anyhow::Result<Vars> {
        let vars = config_values::of_release(platform.secrets(), platform.db(), self.app, self.release.id)
            .await
            .map_err(|err| anyhow!("{err}"))?;
        let host = format!("{}.{}", self.app_name, platform.settings().apps_domain);
        Ok(added(vars, &metadata(self, host)))
    }
}

fn added(mut vars: Vars, metadata: &BTreeMap<&str, String>) -> Vars {
    for (name, value) in metadata {
        for prefix in ["HEROKU", "WHARF"] {
            vars.insert(format!("{prefix}_{name}"), value.clone());
        }
    }
    vars
}

/// By name, without a prefix; what is unknown is left out.
fn metadata(of: &Process<'_>, host: String) -> BTreeMap<&'static str, String> {
    let commit = of.slug.commit.clone().filter(|commit| !commit.is_empty());
    let description = commit.as_deref().map(|commit| format!("Deploy {}", commit.chars().take(8).collect::<String>()));
    let all = [
        ("APP_ID", Some(of.app.to_string())),
        ("APP_NAME", Some(of.app_name.to_owned())),
        ("APP_DEFAULT_DOMAIN_NAME", Some(host)),
        ("DYNO_ID", Some(of.dyno.to_string())),
        ("RELEASE_VERSION", Some(format!("v{}", of.release.version))),
        ("RELEASE_CREATED_AT", Some(of.release.created_at.to_rfc3339_opts(SecondsFormat::Secs, true))),
        ("SLUG_COMMIT", commit),
        ("SLUG_DESCRIPTION", description),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_has_both_prefixes_and_precedence() {
        let vars = Vars::from([("HEROKU_APP_NAME".into(), "mine".into()), ("WHARF_API_KEY".into(), "key".into())]);
        let added = added(vars, &BTreeMap::from([("APP_NAME", "dusk".to_owned())]));
        let expected = [("HEROKU_APP_NAME", "dusk"), ("WHARF_API_KEY", "key"), ("WHARF_APP_NAME", "dusk")];
        assert_eq!(added, Vars::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned()))));
    }
}
