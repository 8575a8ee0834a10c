//! Config vars: an app's settings, given to its dynos as environment variables.

use std::collections::BTreeMap;

/// All config vars of an app or of a release.
pub type ConfigVars = BTreeMap<String, String>;

/// Changes to config vars, one release for all of them: a value sets, `None` unsets.
pub type ConfigVarsUpdate = BTreeMap<String, Option<String>>;
