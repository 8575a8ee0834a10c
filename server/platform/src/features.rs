//! Features: flags of an app. Wharf always rolls out like `preboot`; the flag exists for clients.

use axum::{Json, extract::Path};
use base::{Error, Result, Subject, names::named_id, web::Input};
use chrono::Utc;
use identity::{Actor, Can};

/// Name, description.
const FEATURES: [(&str, &str); 2] = [
    ("preboot", "New web dynos receive traffic only once they are up. Always enabled on Wharf."),
    ("http-session-affinity", "Requests of one client are sent to the same dyno."),
];

fn shown(row: &store::apps::Row, (name, description): (&str, &str)) -> api::features::Feature {
    api::features::Feature {
        id: named_id(&format!("feature {name}")),
        name: name.into(),
        display_name: name.into(),
        description: description.into(),
        doc_url: String::new(),
        enabled: row.features.iter().any(|f| f == name),
        state: "general".into(),
        feedback_email: String::new(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn find(name: &str) -> Result<(&'static str, &'static str)> {
    FEATURES
        .into_iter()
        .find(|(n, _)| *n == name || named_id(&format!("feature {n}")).to_string() == name)
        .ok_or_else(|| Error::not_found("feature", "Couldn't find that feature."))
}

/// `GET /apps/{app}/features`
pub async fn feature_list(actor: Actor, Path(app): Path<String>) -> Result<Json<Vec<api::features::Feature>>> {
    let row = actor.app(&app, Can::View).await?;
    Ok(Json(FEATURES.map(|f| shown(&row, f)).to_vec()))
}

/// `GET /apps/{app}/features/{feature}`
pub async fn feature_info(
    actor: Actor,
    Path((app, feature)): Path<(String, String)>,
) -> Result<Json<api::features::Feature>> {
    let row = actor.app(&app, Can::View).await?;
    Ok(Json(shown(&row, find(&feature)?)))
}

/// `PATCH /apps/{app}/features/{feature}`
pub async fn feature_update(
    actor: Actor,
    Path((app, feature)): Path<(String, String)>,
    Input(update): Input<api::features::FeatureUpdate>,
) -> Result<Json<api::features::Feature>> {
    let app = actor.app(&app, Can::Operate).await?;
    let mut row = store::apps::Row::clone(&app);
    let feature = find(&feature)?;
    let on = update.enabled.ok_or_else(|| Error::invalid("enabled is required: {\"enabled\": true}."))?;
    row.features.retain(|f| f != feature.0);
    if on {
        row.features.push(feature.0.into());
    }
    let mut tx = actor.change(Subject::app(row.id, &row.name)).await?;
    store::apps::app_update(&mut *tx, &row, Utc::now()).await?;
    let summary = format!("{} the feature {}.", if on { "Enabled" } else { "Disabled" }, feature.0);
    tx.record("feature.update", summary, serde_json::json!({ "feature": feature.0, "enabled": on }));
    tx.commit().await?;
    Ok(Json(shown(&row, feature)))
}

/// `GET /account/features`: always empty.
pub async fn account_feature_list(_: Actor) -> Json<Vec<api::features::Feature>> {
    Json(Vec::new())
}

/// `GET /account/features/{feature}`
pub async fn account_feature_info(_: Actor, Path(_feature): Path<String>) -> Result<Json<api::features::Feature>> {
    Err(Error::not_found("feature", "Couldn't find that feature."))
}
