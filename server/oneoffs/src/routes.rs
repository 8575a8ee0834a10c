//! The routes of this area.

use base::routes::{RequiredScope, Routes, get, post};

use crate::{OneOffs, one_offs, terminals};

/// The routes for authenticated clients.
pub fn routes() -> Routes<OneOffs> {
    let of_app = Routes::default()
        .route("/dynos", post(RequiredScope::WriteProtected, one_offs::dyno_create))
        .route("/dynos/{dyno}", post(RequiredScope::WriteProtected, one_offs::dyno_exec));
    Routes::default()
        .nest("/apps/{app}", of_app)
        .route("/terminals/{secret}", get(RequiredScope::WriteProtected, terminals::terminal_attach))
}
