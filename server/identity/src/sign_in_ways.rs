//! How an account can sign in now, according to providers, their rules, and the password policy.

use api::{ids::AccountId, next_steps::SignInWay};
use base::Base;
use store::{identities, identity_providers as provided, pages::Range};

use crate::identity_providers::rules;

/// A provider, and what it is for the account.
#[derive(Clone, Debug)]
struct Provider {
    title: String,
    /// Whether it is trusted about the account's address.
    is_trusted: bool,
    /// Whether the account has signed in with it.
    is_linked: bool,
}

/// Everything that decides whether an account can sign in.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    email: String,
    pub is_suspended: bool,
    providers: Vec<Provider>,
    has_password: bool,
    passwords_are_on: bool,
}

impl Ways {
    /// The titles of providers through which the account can sign in. An address alone does not lead to an account that
    /// has an identity, at whatever provider.
    fn titles(&self) -> Vec<&str> {
        let has_identity = self.providers.iter().any(|provider| provider.is_linked);
        let fits = |provider: &&Provider| provider.is_trusted && (provider.is_linked || !has_identity);
        self.providers.iter().filter(fits).map(|provider| provider.title.as_str()).collect()
    }

    /// The best way.
    pub fn way(&self) -> SignInWay {
        if self.is_suspended {
            SignInWay::None
        } else if !self.titles().is_empty() {
            SignInWay::Provider
        } else if self.has_password && self.passwords_are_on {
            SignInWay::Password
        } else {
            SignInWay::None
        }
    }

    /// For others: whether and how the person can sign in, or why not, and what to do about it.
    pub fn for_others(&self) -> String {
        let (email, titles) = (&self.email, self.titles().join(" or "));
        match self.way() {
            SignInWay::Provider => format!("{email} can sign in through {titles}."),
            SignInWay::Password => format!("{email} can sign in with a password."),
            _ => format!("{email} cannot sign in: {}", self.obstacle()),
        }
    }

    fn obstacle(&self) -> String {
        let domain = self.email.rsplit_once('@').map_or("", |(_, domain)| domain);
        let linked: Vec<&str> = self.providers.iter().filter(|p| p.is_linked).map(|p| p.title.as_str()).collect();
        if self.is_suspended {
            return "the account is suspended. An administrator can lift the suspension.".into();
        }
        if self.has_password {
            return "the account has a password, but password sign-in is off. An administrator can turn it on.".into();
        }
        if !linked.is_empty() {
            let linked = linked.join(" and ");
            return format!(
                "the account is linked to {linked}, which is not trusted for addresses of {domain}. \
                 An administrator can add the domain on the page Sign-in."
            );
        }
        let passwords = match self.passwords_are_on {
            true => " Passwords are on, but one can only be set by somebody who is signed in.",
            false => "",
        };
        let missing = match self.providers.is_empty() {
            true => {
                "no identity provider is configured. An administrator has to add one on the page Sign-in.".to_owned()
            }
            false => format!(
                "no identity provider is trusted for addresses of {domain}. \
                 An administrator has to add the domain to a provider on the page Sign-in."
            ),
        };
        missing + passwords
    }

    /// For the person themselves.
    pub fn for_the_person(&self) -> String {
        let email = &self.email;
        match self.way() {
            SignInWay::Provider => {
                format!("Sign in through {}, with the address {email}.", self.titles().join(" or "))
            }
            SignInWay::Password => "Sign in with your password.".into(),
            _ => format!("An administrator of the platform has to enable sign-in for {email} first."),
        }
    }
}

/// How this account can sign in; `None` if there is no such account.
pub(crate) async fn of_account(base: &Base, id: AccountId) -> anyhow::Result<Option<Ways>> {
    let db = base.db();
    let Some(account) = store::accounts::account_info_any(db, id).await? else { return Ok(None) };
    let is_suspended = store::accounts::account_info(db, id).await?.is_none();
    let rows = provided::identity_provider_list(db, &Range::longest(&provided::LIST)).await?.rows;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let all = provided::identity_rule_list_of(db, &ids).await?;
    let linked = identities::identity_list(db, id, &Range::longest(&identities::LIST)).await?.rows;
    let providers = rows.into_iter().map(|row| {
        let of_this: Vec<_> = all.iter().filter(|rule| rule.provider_id == row.id).cloned().collect();
        Provider {
            is_trusted: rules::is_trusted_for(&row.domains, &of_this, &account.email),
            is_linked: linked.iter().any(|identity| identity.provider == row.name),
            title: row.title,
        }
    });
    let (passwords_are_on, _) = store::passwords::password_policy_info(db).await?;
    let password = store::passwords::password_by_account(db, id).await?;
    Ok(Some(Ways {
        is_suspended,
        providers: providers.collect(),
        has_password: password.is_some_and(|row| row.confirmed_at.is_some()),
        passwords_are_on,
        email: account.email,
    }))
}

/// The link to a page of the console that asks visitors to sign in first. It contains no secret.
pub(crate) fn link(base: &Base, path: &str) -> String {
    format!("{}/login?next={}", base.settings().url(), api::client::segment(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(title: &str, is_trusted: bool, is_linked: bool) -> Provider {
        Provider { title: title.into(), is_trusted, is_linked }
    }

    fn ways(providers: &[Provider]) -> Ways {
        Ways {
            email: "ada@acme.test".into(),
            is_suspended: false,
            providers: providers.to_vec(),
            has_password: false,
            passwords_are_on: false,
        }
    }

    #[test]
    fn whoever_can_sign_in_is_told_how() {
        let [github, other] = [provider("GitHub", true, false), provider("Other", false, false)];
        let both = ways(&[github.clone(), other]);
        assert_eq!(both.for_others(), "ada@acme.test can sign in through GitHub.");
        assert_eq!(both.for_the_person(), "Sign in through GitHub, with the address ada@acme.test.");
        let with = Ways { has_password: true, passwords_are_on: true, ..ways(&[]) };
        assert_eq!(
            (with.way(), with.for_others().as_str()),
            (SignInWay::Password, "ada@acme.test can sign in with a password.")
        );
        // Linked to one provider, the address at another does not lead to the account.
        let linked = ways(&[github, provider("GitLab", false, true)]);
        assert_eq!(linked.way(), SignInWay::None);
        assert!(linked.for_others().contains("linked to GitLab, which is not trusted for addresses of acme.test"));
    }

    #[test]
    fn whoever_cannot_is_told_why() {
        let why = |ways: Ways, part: &str| {
            let text = ways.for_others();
            assert!(ways.way() == SignInWay::None && text.starts_with("ada@acme.test cannot sign in: "), "{text}");
            assert!(text.contains(part), "{text}");
        };
        why(ways(&[]), "no identity provider is configured");
        why(ways(&[provider("GitHub", false, false)]), "no identity provider is trusted for addresses of acme.test");
        why(Ways { passwords_are_on: true, ..ways(&[]) }, "one can only be set by somebody who is signed in");
        why(Ways { has_password: true, ..ways(&[]) }, "password sign-in is off");
        why(Ways { is_suspended: true, ..ways(&[provider("GitHub", true, true)]) }, "suspended");
    }
}
