//! The routes of this area.

use axum::extract::DefaultBodyLimit;
use base::routes::{RequiredScope, Routes, delete, get, post};

use crate::{Builds, buildpack_installations, builds, git, release_changes, samples, slugs, sources};

/// The routes of this area, for authenticated clients.
pub fn routes() -> Routes<Builds> {
    let of_app = Routes::default()
        .route("/actions/redeploy", post(RequiredScope::Deploy, builds::build_redeploy))
        .route("/build-cache", delete(RequiredScope::Write, builds::build_cache_delete))
        .route(
            "/buildpack-installations",
            get(RequiredScope::Read, buildpack_installations::buildpack_installation_list)
                .put(RequiredScope::Write, buildpack_installations::buildpack_installation_update),
        )
        .route(
            "/builds",
            get(RequiredScope::ReadDeploy, builds::build_list).post(RequiredScope::Deploy, builds::build_create),
        )
        .route(
            "/builds/{build}",
            get(RequiredScope::ReadDeploy, builds::build_info).delete(RequiredScope::Deploy, builds::build_cancel),
        )
        .route("/builds/{build}/result", get(RequiredScope::ReadDeploy, builds::build_result))
        .route("/releases/{release}/changes", get(RequiredScope::Read, release_changes::release_changes))
        .route("/samples/{sample}", post(RequiredScope::Write, samples::sample_deploy))
        .route("/slugs", post(RequiredScope::Write, slugs::slug_create))
        .route("/slugs/{slug}", get(RequiredScope::Write, slugs::slug_info))
        .route("/sources", post(RequiredScope::Deploy, sources::source_create_for_app));
    Routes::default()
        .nest("/apps/{app}", of_app)
        .route("/samples", get(RequiredScope::Read, samples::sample_list))
        .route("/sources", post(RequiredScope::Deploy, sources::source_create))
}

/// Routes that stream, or need no credentials.
pub fn open_routes() -> Routes<Builds> {
    Routes::default()
        .route(
            "/blobs/slugs/{secret}",
            get(RequiredScope::Nothing, slugs::slug_download).put(RequiredScope::Nothing, slugs::slug_upload),
        )
        .route(
            "/blobs/sources/{secret}",
            get(RequiredScope::Nothing, sources::source_download).put(RequiredScope::Nothing, sources::source_upload),
        )
        // With a deploy token one can push, and not clone.
        .route("/{repository}/info/refs", get(RequiredScope::Deploy, git::info_refs))
        .route("/{repository}/git-upload-pack", post(RequiredScope::Write, git::upload_pack))
        .route("/{repository}/git-receive-pack", post(RequiredScope::Deploy, git::receive_pack))
        .limit(DefaultBodyLimit::disable())
}
