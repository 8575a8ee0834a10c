//! *Wharf:* sample apps: small repositories that come with the platform, to see a first deploy.

use serde::{Deserialize, Serialize};

/// One entry of `GET /samples`. `POST /apps/{app}/samples/{name}` puts it into the app's
/// repository as its first commit and answers with the build that makes it run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub name: String,
    /// The language.
    pub title: String,
    /// What it is, in one sentence.
    pub description: String,
    /// Paths of its files.
    pub files: Vec<String>,
}
