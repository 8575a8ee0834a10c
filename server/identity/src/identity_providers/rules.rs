//! What the rules of a provider grant to a person. Pure.

use std::collections::BTreeMap;

use api::team_members::Role;
use serde::{Deserialize, Serialize};
use store::identity_providers::Rule;

use super::person::Person;

/// The grants of rules, now or at the last sign-in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Grants {
    /// Administrator of the platform.
    #[serde(default)]
    pub admin: bool,
    /// Roles in teams.
    #[serde(default)]
    pub teams: BTreeMap<String, Role>,
}

/// Whether `email` is an address of `domain` itself. Subdomains are other domains.
pub(crate) fn is_of(email: &str, domain: &str) -> bool {
    email.rsplit_once('@').is_some_and(|(_, of)| of.eq_ignore_ascii_case(domain))
}

fn fits(rule: &Rule, person: &Person) -> bool {
    let email = person.email.as_deref();
    match (&rule.domain, &rule.group) {
        (Some(domain), _) => email.is_some_and(|email| is_of(email, domain)),
        (None, Some(group)) => person.groups.contains(group),
        (None, None) => false,
    }
}

/// Whether a provider is trusted for this address: its domain is one of the provider's, or a rule names it.
pub(crate) fn is_trusted_for(domains: &[String], rules: &[Rule], email: &str) -> bool {
    let named = rules.iter().filter_map(|rule| rule.domain.as_ref());
    domains.iter().chain(named).any(|domain| domain == "*" || is_of(email, domain))
}

/// Whether a person without an account gets one. Trust is not enough: `*` alone admits nobody.
pub(crate) fn admits_new(domains: &[String], admits: bool, rules: &[Rule], person: &Person) -> bool {
    let email = person.email.as_deref();
    let is_allowed = |domain: &String| admits && email.is_some_and(|email| is_of(email, domain));
    domains.iter().any(is_allowed) || rules.iter().any(|rule| fits(rule, person))
}

/// The grants of all matching rules together; of two roles in a team, the higher one.
pub(crate) fn given(rules: &[Rule], person: &Person) -> Grants {
    let strength = |role: Role| [Role::Viewer, Role::Member, Role::Admin].iter().position(|r| *r == role);
    let mut given = Grants::default();
    for rule in rules.iter().filter(|rule| fits(rule, person)) {
        given.admin |= rule.admin;
        if let (Some(team), Some(role)) = (&rule.team, rule.role.and_then(Role::known)) {
            let now = given.teams.entry(team.clone()).or_insert(role);
            if strength(role) > strength(*now) {
                *now = role;
            }
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use api::ids::{IdentityProviderId, IdentityRuleId};

    use super::*;
    use chrono::DateTime;

    fn rule(domain: Option<&str>, group: Option<&str>, admin: bool, team: Option<(&str, Role)>) -> Rule {
        Rule {
            id: IdentityRuleId::nil(),
            provider_id: IdentityProviderId::nil(),
            position: 0,
            domain: domain.map(String::from),
            group: group.map(String::from),
            admin,
            team: team.map(|t| t.0.into()),
            role: team.map(|t| t.1),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn somebody(email: Option<&str>, groups: &[&str]) -> Person {
        let groups = groups.iter().map(|g| (*g).to_owned()).collect();
        Person { subject: "1".into(), email: email.map(String::from), name: None, groups }
    }

    #[test]
    fn a_domain_is_that_domain_alone() {
        let check = |email: Option<&str>| admits_new(&["acme.test".into()], true, &[], &somebody(email, &[]));
        assert!(check(Some("ada@acme.test")) && check(Some("ada@ACME.test")));
        for other in ["ada@evil.acme.test", "ada@evilacme.test", "ada@acme.test.evil.com", "acme.test", "a@b"] {
            assert!(!check(Some(other)), "{other}");
        }
        assert!(!check(None));
        assert!(check(Some("\"x@evil.com\"@acme.test")));
    }

    #[test]
    fn a_provider_speaks_for_its_domains_and_those_of_its_rules() {
        let rules = [rule(Some("rules.test"), None, false, None), rule(None, Some("ops"), false, None)];
        let speaks = |domains: &[&str], email: &str| {
            let domains: Vec<String> = domains.iter().map(|d| (*d).to_owned()).collect();
            is_trusted_for(&domains, &rules, email)
        };
        assert!(speaks(&["acme.test"], "ada@ACME.test") && speaks(&[], "ada@rules.test") && speaks(&["*"], "a@b.c"));
        // A database that compares lower case treats the Kelvin sign as a k.
        for other in
            ["ada@evil.test", "ada@x.acme.test", "ada@acme.test.evil.test", "ada@acme.test.", "ada", "a@bank.test"]
        {
            assert!(!speaks(&["acme.test", "ban\u{212a}.test"], other), "{other}");
        }
        let anybody =
            |admits| admits_new(&["*".into(), "acme.test".into()], admits, &[], &somebody(Some("a@b.c"), &[]));
        assert!(!anybody(true) && !admits_new(&["acme.test".into()], false, &[], &somebody(Some("a@acme.test"), &[])));
    }

    #[test]
    fn rules_add_up_and_the_stronger_role_wins() {
        let rules = [
            rule(Some("acme.test"), None, false, Some(("crew", Role::Member))),
            rule(None, Some("leads"), false, Some(("crew", Role::Admin))),
            rule(None, Some("guests"), false, Some(("crew", Role::Viewer))),
            rule(None, Some("ops"), true, None),
        ];
        let check = |person: Person, admin: bool, role: Option<Role>| {
            let got = given(&rules, &person);
            assert_eq!((got.admin, got.teams.get("crew").copied()), (admin, role), "{person:?}");
        };
        check(somebody(Some("a@acme.test"), &[]), false, Some(Role::Member));
        check(somebody(Some("a@acme.test"), &["leads", "guests"]), false, Some(Role::Admin));
        check(somebody(Some("a@else.test"), &["guests", "ops"]), true, Some(Role::Viewer));
        check(somebody(None, &["Ops"]), false, None);
    }
}
