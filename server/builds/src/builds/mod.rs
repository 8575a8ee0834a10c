//! Builds: they turn source into a slug, and the slug into a release. Pushes and the API share one queue.

mod checkout;
mod job;
mod launch;
mod output;
mod queue;
mod redeploy;
mod result;
mod routes;
mod run;
mod source;

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Context as _;
use api::ids::BuildId;
use base::{Error, Result, links::Links, routes::RequiredScope};
use identity::{
    Actor, App, Can,
    quotas::{self, Quota},
};
use store::builds::Row;

pub(crate) use self::queue::Queue;
pub use self::{
    redeploy::build_redeploy,
    routes::{build_cache_delete, build_cancel, build_create, build_info, build_list, build_result},
    run::Run,
};
use crate::{Builds, addresses, buildpack_installations, runtimes::Supplier, sources};

/// Adds a build, and its job if there is a free slot. The caller commits. The addresses are given unmasked.
pub(crate) async fn create(builds: &Builds, tx: &mut sqlx::PgConnection, new: &store::builds::New) -> Result<()> {
    let kept = addresses::seal(builds.secrets(), new.app, &new.buildpacks, new.source_url.as_deref());
    let new = &store::builds::New {
        buildpacks: kept.buildpacks,
        buildpacks_sealed: kept.buildpacks_sealed,
        source_url: kept.source_url,
        source_sealed: kept.source_sealed,
        ..new.clone()
    };
    // After the destruction of an app has cancelled its builds, nothing would cancel a new one.
    if !store::apps::app_lock(&mut *tx, new.app).await? {
        return Err(Error::no_app());
    }
    quotas::admit_for_app(tx, new.app, Quota::PendingBuilds, 1).await?;
    store::builds::build_create(&mut *tx, new).await?;
    queue::start(builds, tx).await?;
    Ok(())
}

/// The settings of builds.
fn config(builds: &Builds) -> builder::Config {
    let mut config = builder::Config::new(&builds.config().data);
    config.limits.disk = builds.config().build_disk;
    config.runtimes = Some(Arc::new(Supplier(builds.clone())));
    config
}

/// The builds with files on disk, whether or not they are running.
pub(crate) async fn left(builds: &Builds) -> anyhow::Result<BTreeSet<BuildId>> {
    let config = config(builds);
    let left = tokio::task::spawn_blocking(move || {
        let mut left = builder::left(&config)?;
        left.extend(source::left(&config.tmp)?);
        std::io::Result::Ok(left)
    });
    left.await.context("list the leftovers of builds")?.context("list the leftovers of builds")
}

/// Ends a build in any state, and removes all its files except its output. Must not be called while a
/// job runs it.
pub(crate) async fn abandon(builds: &Builds, build: BuildId) -> anyhow::Result<()> {
    clear(builds, build).await?;
    source::remove_discarded(builds, build).await
}

/// Like [`abandon`], except for sources that are already being removed.
async fn clear(builds: &Builds, build: BuildId) -> anyhow::Result<()> {
    builder::abandon(builds.driver().as_ref(), &config(builds), build).await?;
    source::clear(builds, build).await
}

/// The build as it appears in responses to the caller.
pub fn shown_to(actor: &Actor, row: &Row, app: &App) -> api::builds::Build {
    shown(row, source_url(row, actor, app), &actor.links())
}

/// The build as it appears in responses, with the URL of its source as the reader may see it.
pub fn shown(row: &Row, source_url: Option<String>, links: &Links) -> api::builds::Build {
    api::builds::Build {
        id: row.id,
        app: api::refs::IdRef { id: row.app_id.into() },
        status: row.status,
        buildpacks: row.buildpacks.iter().map(|b| buildpack_installations::shown(b)).collect(),
        source_blob: api::builds::SourceBlob {
            url: source_url,
            version: row.source_version.clone(),
            version_description: row.source_description.clone(),
            checksum: row.source_checksum.clone(),
        },
        stack: row.stack.clone(),
        slug: row.slug_id.map(|id| api::refs::IdRef { id: id.into() }),
        release: row.release_id.filter(|_| !row.status.is_pending()).map(|id| api::refs::IdRef { id: id.into() }),
        user: api::refs::UserRef { id: row.account_id.into(), email: row.email.clone() },
        output_stream_url: links.signed("streams/builds", "build output", row.id).unwrap_or_default(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        number: row.number,
        error: row.error.clone(),
        queue_position: row.queue_position,
    }
}

/// The URL of the source, for those who can deploy: not for a deploy token, which cannot clone either.
fn source_url(row: &Row, actor: &Actor, app: &App) -> Option<String> {
    let given = match app.may(Can::Deploy) && actor.scope.require(RequiredScope::Write).is_ok() {
        true => addresses::source(actor.base.secrets(), row),
        false => Ok(None),
    };
    let given = given.unwrap_or_else(|err| {
        tracing::error!(build.id = %row.id, "could not decrypt the URL of a source: {err:#}");
        None
    });
    sources::shown(&given?, actor)
}
