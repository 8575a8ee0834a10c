//! *Wharf:* sample apps: small bundled repositories, to try out a deploy.

use serde::{Deserialize, Serialize};

/// One entry of `GET /samples`. `POST /apps/{app}/samples/{name}` commits it to the app's repository and
/// returns the build that deploys it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub name: String,
    /// The language.
    pub title: String,
    /// A one-sentence description.
    pub description: String,
    /// Paths of its files.
    pub files: Vec<String>,
}
