//! The routes of this area.

use axum::extract::DefaultBodyLimit;
use base::routes::{Needs, Routes, delete, get, post};

use crate::{Builds, buildpack_installations, builds, git, release_changes, samples, slugs, sources};

/// What may be asked of this area.
pub fn routes() -> Routes<Builds> {
    let of_app = Routes::default()
        .route("/build-cache", delete(Needs::Write, builds::build_cache_delete))
        .route(
            "/buildpack-installations",
            get(Needs::Read, buildpack_installations::buildpack_installation_list)
                .put(Needs::Write, buildpack_installations::buildpack_installation_update),
        )
        .route("/builds", get(Needs::Read, builds::build_list).post(Needs::Write, builds::build_create))
        .route("/builds/{build}", get(Needs::Read, builds::build_info).delete(Needs::Write, builds::build_cancel))
        .route("/builds/{build}/result", get(Needs::Read, builds::build_result))
        .route("/releases/{release}/changes", get(Needs::Read, release_changes::release_changes))
        .route("/samples/{sample}", post(Needs::Write, samples::sample_deploy))
        .route("/slugs", post(Needs::Write, slugs::slug_create))
        .route("/slugs/{slug}", get(Needs::Write, slugs::slug_info))
        .route("/sources", post(Needs::Write, sources::source_create_for_app));
    Routes::default()
        .nest("/apps/{app}", of_app)
        .route("/samples", get(Needs::Read, samples::sample_list))
        .route("/sources", post(Needs::Write, sources::source_create))
}

/// Routes that stream, or need no credentials.
pub fn open_routes() -> Routes<Builds> {
    Routes::default()
        .route(
            "/blobs/slugs/{secret}",
            get(Needs::Nothing, slugs::slug_download).put(Needs::Nothing, slugs::slug_upload),
        )
        .route(
            "/blobs/sources/{secret}",
            get(Needs::Nothing, sources::source_download).put(Needs::Nothing, sources::source_upload),
        )
        .route("/{repository}/info/refs", get(Needs::Write, git::info_refs))
        .route("/{repository}/git-upload-pack", post(Needs::Write, git::upload_pack))
        .route("/{repository}/git-receive-pack", post(Needs::Write, git::receive_pack))
        .limit(DefaultBodyLimit::disable())
}
