//! Collaborators: who works on an app.

use axum::{extract::Path, http::HeaderMap, response::Response};

use crate::{
    actor::{Actor, Can},
    apps,
    error::Result,
    stacks,
    web::Page,
};

/// The rights on an app and what each lets one do.
pub(crate) const PERMISSIONS: [(&str, &str); 4] = [
    ("view", "View the app, its releases, dynos and logs."),
    ("deploy", "Deploy code, roll back, cancel builds."),
    ("operate", "Scale and restart dynos, change config vars, switch maintenance mode."),
    ("manage", "Rename, transfer and destroy the app, let others in."),
];

/// `GET /apps/{app}/collaborators`: the owner, who may do everything.
pub async fn collaborator_list(actor: Actor, Path(app): Path<String>, headers: HeaderMap) -> Result<Response> {
    let row = actor.app(&app, Can::View).await?;
    let permission = |(name, description): (&str, &str)| api::collaborators::Permission {
        name: name.into(),
        description: description.into(),
    };
    let owner = api::collaborators::Collaborator {
        id: stacks::named_id(&format!("owner {} {}", row.id, row.owner_id)),
        app: apps::app_ref(&row),
        user: api::collaborators::CollaboratorUser {
            id: row.owner_id,
            email: row.owner_email.clone(),
            federated: false,
        },
        role: "owner".into(),
        permissions: PERMISSIONS.map(permission).to_vec(),
        created_at: row.created_at,
        updated_at: row.created_at,
    };
    Page::read(&headers).of(vec![owner])
}
