//! The rules: routes, permissions, transitions, jobs; one file per noun.
