//! Sample apps: small repositories embedded in this executable, and built like a push.
//!
//! A sample becomes the first commit of the app's own repository, so that users can continue with `git clone`.

use axum::{
    Json,
    extract::{Path, State},
};
use base::{Error, Result, web::Created};
use chrono::Utc;
use identity::{Actor, Can};

use crate::{Builds, git};

/// A repository with one commit.
struct Sample {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    files: &'static [(&'static str, &'static str)],
}

const SAMPLES: [Sample; 3] = [
    Sample {
        name: "node",
        title: "Node.js",
        description: "A web server that shows the value of a config var.",
        files: &[
            ("package.json", include_str!("../samples/node/package.json")),
            ("Procfile", include_str!("../samples/node/Procfile")),
            ("server.js", include_str!("../samples/node/server.js")),
        ],
    },
    Sample {
        name: "python",
        title: "Python",
        description: "The same in Python, without packages to install.",
        files: &[
            ("app.py", include_str!("../samples/python/app.py")),
            ("Procfile", include_str!("../samples/python/Procfile")),
            ("requirements.txt", include_str!("../samples/python/requirements.txt")),
        ],
    },
    Sample {
        name: "static",
        title: "Static site",
        description: "A single static page.",
        files: &[("index.html", include_str!("../samples/static/index.html"))],
    },
];

/// `GET /samples`
pub async fn sample_list(_: Actor) -> Json<Vec<api::samples::Sample>> {
    let shown = SAMPLES.iter().map(|s| api::samples::Sample {
        name: s.name.into(),
        title: s.title.into(),
        description: s.description.into(),
        files: s.files.iter().map(|(path, _)| (*path).to_owned()).collect(),
    });
    Json(shown.collect())
}

/// `POST /apps/{app}/samples/{sample}`: only into a repository without a deployed branch.
pub async fn sample_deploy(
    State(builds): State<Builds>,
    actor: Actor,
    Path((app, sample)): Path<(String, String)>,
) -> Result<Created<api::builds::Build>> {
    let app = actor.app(&app, Can::Deploy).await?;
    let sample = SAMPLES.iter().find(|s| s.name == sample);
    let sample = sample.ok_or_else(|| Error::not_found("sample", "Couldn't find that sample."))?;
    let message = format!("Start from the {} sample", sample.title);
    let build = git::deploy_files(&builds, &app, &actor, &message, sample.files, Utc::now()).await;
    let build = git::unless_destroyed(&builds, app.id, build).await?;
    let row = store::builds::build_info(builds.db(), build).await?.ok_or_else(Error::no_app)?;
    Ok(Created(crate::builds::shown_to(&actor, &row, &app)))
}
