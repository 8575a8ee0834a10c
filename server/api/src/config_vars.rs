//! Config vars: an app's settings, passed to its dynos as environment variables.

use std::collections::BTreeMap;

/// All config vars of an app or of a release.
pub type ConfigVars = BTreeMap<String, String>;

/// Changes to config vars, in one release: a value sets, `None` unsets.
pub type ConfigVarsUpdate = BTreeMap<String, Option<String>>;
