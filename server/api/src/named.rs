//! Enums whose values have names: states, roles and kinds. The name is the same in JSON, in the database and in text.
//!
//! Each also has the value `Unknown`, for a name that only a newer version knows: reading one never fails, and nothing
//! acts on it. It cannot be stored.

/// An enum whose values have names; declared with `named!`.
pub trait Named: Copy + Eq + std::fmt::Debug + Send + Sync + 'static {
    /// The value of names that are not known.
    const UNKNOWN: Self;

    /// The name of the value.
    fn name(self) -> &'static str;

    /// The value with this name; `None` if it is not known.
    fn of_name(name: &str) -> Option<Self>;
}

/// Declares an enum with a name for each value. `Unknown` is added.
macro_rules! named {
    ($(#[$doc:meta])* pub enum $enum:ident { $($(#[$about:meta])* $value:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $enum {
            $($(#[$about])* $value,)+
            /// A value that only a newer version knows.
            #[default]
            Unknown,
        }

        impl $enum {
            /// All of them, without `Unknown`.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// Its name, as in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                    Self::Unknown => "unknown",
                }
            }

            /// Itself; `None` if it is `Unknown`.
            pub fn known(self) -> Option<Self> {
                (self != Self::Unknown).then_some(self)
            }

            /// The value called `name`; `None` if there is none.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }

        impl $crate::named::Named for $enum {
            const UNKNOWN: Self = Self::Unknown;

            fn name(self) -> &'static str {
                self.as_str()
            }

            fn of_name(name: &str) -> Option<Self> {
                Self::named(name)
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $enum {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $enum {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <String as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::named(&name).unwrap_or_default())
            }
        }
    };
}

pub(crate) use named;

#[cfg(test)]
mod tests {
    named! {
        /// A state of water.
        pub enum Water {
            Ice = "ice",
            /// It flows.
            Liquid = "liquid",
        }
    }

    #[test]
    fn a_value_has_the_same_name_everywhere() {
        for value in Water::ALL {
            assert_eq!(serde_json::to_value(value).unwrap(), value.as_str());
            assert_eq!((Water::named(value.as_str()), value.to_string().as_str()), (Some(*value), value.as_str()));
        }
        assert_eq!(Water::ALL, [Water::Ice, Water::Liquid]);
    }

    #[test]
    fn an_unknown_name_is_read_but_is_no_name() {
        assert_eq!(serde_json::from_str::<Water>("\"steam\"").unwrap(), Water::Unknown);
        assert_eq!((Water::named("steam"), Water::named("unknown")), (None, None));
        assert_eq!((Water::Ice.known(), Water::Unknown.known()), (Some(Water::Ice), None));
        assert!(serde_json::from_str::<Water>("1").is_err());
    }
}
