//! Config layers: the config vars of an app by source, and the environment that results from them.
//!
//! Users set config vars of an app, add-ons provide others, and so does a pipeline. Each source has a layer of its own,
//! so that a change to one does not affect the others. This file is pure: `config_values` stores layers, `config_vars`
//! changes them.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// Values by name.
pub type Vars = BTreeMap<String, String>;

/// Who sets the values of a layer. A later source takes precedence over an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The app's pipeline: defaults for review apps and tests, which the app's own vars override.
    Pipeline,
    /// Users of the app.
    Own,
    /// The add-on that is attached under this name. While it is attached, only the add-on can change its values, and a
    /// var of the app's own with the same name has no effect.
    Addon(String),
}

/// The config vars of an app or a release, by source.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Layers(BTreeMap<Source, Vars>);

/// As layers are stored. Earlier versions had only the app's own vars, and stored them as a plain map. This one does
/// the same if there are no others, so that the previous version can read them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Own(Vars),
    Layers(Vec<(Source, Vars)>),
}

impl Layers {
    /// The environment: for each name, the value from the source with the highest precedence.
    pub fn effective(&self) -> Vars {
        // In ascending order, so that later layers replace values of earlier ones.
        self.0.values().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The values from one source.
    pub fn of(&self, source: &Source) -> Vars {
        self.0.get(source).cloned().unwrap_or_default()
    }

    /// Replaces all values from one source; without values, removes its layer.
    pub fn replace(&mut self, source: Source, vars: Vars) {
        match vars.is_empty() {
            true => self.0.remove(&source),
            false => self.0.insert(source, vars),
        };
    }

    /// The name and the value from the add-on that sets a var, if one does.
    pub fn addon_of(&self, var: &str) -> Option<(&str, &str)> {
        // The one with the highest precedence, as in the environment.
        self.0.iter().rev().find_map(|(source, vars)| match source {
            Source::Addon(name) => Some((name.as_str(), vars.get(var)?.as_str())),
            _ => None,
        })
    }

    /// These layers with the app's own vars from `earlier`: a rollback does not affect add-ons and pipelines.
    pub fn with_own_of(&self, earlier: &Self) -> Self {
        let mut layers = self.clone();
        layers.replace(Source::Own, earlier.of(&Source::Own));
        layers
    }

    /// The text to encrypt and store.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let text = match self.0.keys().all(|source| *source == Source::Own) {
            true => serde_json::to_vec(&self.of(&Source::Own)),
            false => serde_json::to_vec(&self.0.iter().collect::<Vec<_>>()),
        };
        text.expect("maps of strings always serialise")
    }

    /// Reads the decrypted text, of this version or an earlier one.
    pub(crate) fn from_json(text: &[u8]) -> serde_json::Result<Self> {
        let mut layers = Self::default();
        match serde_json::from_slice::<Stored>(text)? {
            Stored::Own(vars) => layers.replace(Source::Own, vars),
            Stored::Layers(stored) => stored.into_iter().for_each(|(source, vars)| layers.replace(source, vars)),
        }
        Ok(layers)
    }
}

/// Omits the values, which are secret.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(source, vars)| (source, vars.keys().collect::<Vec<_>>()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(all: &[(&str, &str)]) -> Vars {
        all.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn addon(name: &str) -> Source {
        Source::Addon(name.into())
    }

    fn layers(all: &[(Source, &[(&str, &str)])]) -> Layers {
        let mut layers = Layers::default();
        all.iter().for_each(|(source, of)| layers.replace(source.clone(), vars(of)));
        layers
    }

    #[test]
    fn an_add_on_goes_before_own_vars_and_these_before_the_pipeline() {
        let mut layers = layers(&[
            (addon("DATABASE"), &[("DATABASE_URL", "add-on")]),
            (Source::Own, &[("A", "own"), ("DATABASE_URL", "own")]),
            (Source::Pipeline, &[("A", "pipeline"), ("B", "pipeline"), ("DATABASE_URL", "pipeline")]),
        ]);
        let effective = |layers: &Layers| layers.effective();
        assert_eq!(effective(&layers), vars(&[("A", "own"), ("B", "pipeline"), ("DATABASE_URL", "add-on")]));
        assert_eq!(layers.addon_of("DATABASE_URL"), Some(("DATABASE", "add-on")));
        assert_eq!((layers.addon_of("A"), layers.addon_of("B"), layers.addon_of("C")), (None, None, None));
        layers.replace(addon("DATABASE"), Vars::new());
        assert_eq!(effective(&layers), vars(&[("A", "own"), ("B", "pipeline"), ("DATABASE_URL", "own")]));
        layers.replace(Source::Own, Vars::new());
        assert_eq!(effective(&layers)["DATABASE_URL"], "pipeline");
        layers.replace(Source::Pipeline, Vars::new());
        assert_eq!(layers, Layers::default());
    }

    #[test]
    fn the_add_on_that_is_named_is_the_one_whose_value_holds() {
        let layers = layers(&[(addon("A"), &[("X", "1")]), (addon("B"), &[("X", "2")]), (Source::Own, &[("X", "3")])]);
        assert_eq!(layers.addon_of("X"), Some(("B", "2")));
        assert_eq!(layers.effective()["X"], "2");
    }

    #[test]
    fn going_back_takes_own_vars_alone() {
        let earlier = layers(&[(Source::Own, &[("A", "1")]), (addon("OLD"), &[("OLD_URL", "x")])]);
        let now = layers(&[(Source::Own, &[("B", "2")]), (addon("NEW"), &[("NEW_URL", "y")])]);
        let expected = layers(&[(Source::Own, &[("A", "1")]), (addon("NEW"), &[("NEW_URL", "y")])]);
        assert_eq!(now.with_own_of(&earlier), expected);
        assert_eq!(now.with_own_of(&Layers::default()).effective(), vars(&[("NEW_URL", "y")]));
    }

    #[test]
    fn own_vars_are_stored_as_the_first_version_stored_them() {
        let own = layers(&[(Source::Own, &[("layers", "x"), ("own", "y")])]);
        assert_eq!(own.to_json(), br#"{"layers":"x","own":"y"}"#);
        assert_eq!(Layers::default().to_json(), b"{}");
        for text in [&br#"{"layers":"x","own":"y"}"#[..], br#"[["own",{"own":"y","layers":"x"}]]"#] {
            assert_eq!(Layers::from_json(text).unwrap(), own);
        }
        assert_eq!(Layers::from_json(b"{}").unwrap(), Layers::default());
        let all = layers(&[
            (addon("DATABASE"), &[("DATABASE_URL", "z")]),
            (Source::Own, &[("A", "x")]),
            (Source::Pipeline, &[("B", "y")]),
        ]);
        let text = br#"[["pipeline",{"B":"y"}],["own",{"A":"x"}],[{"addon":"DATABASE"},{"DATABASE_URL":"z"}]]"#;
        assert_eq!(all.to_json(), text);
        assert_eq!(Layers::from_json(text).unwrap(), all);
        assert!(Layers::from_json(br#"[["somebody",{}]]"#).is_err());
    }

    #[test]
    fn values_are_not_printed() {
        let text = format!("{:?}", layers(&[(Source::Own, &[("A", "hush")])]));
        assert_eq!(text, r#"{Own: ["A"]}"#);
    }
}
