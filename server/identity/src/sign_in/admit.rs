//! Admission: finds or creates the account of a person that a provider has authenticated, and applies the rules.
//!
//! At every sign-in, a provider is only trusted for addresses of its domains: for the reported address, and for the
//! account's. The email address alone never gives access to an account that has a sign-in method.

use api::ids::{AccountId, IdentityId, IdentityProposalId, SessionId};
use axum::http::HeaderMap;
use base::{Base, Change, Result, events::EventActor};
use chrono::{Duration, Utc};
use store::{accounts, identities, identity_providers::Row, identity_providers::Rule};

use super::refusal::{Refusal, Stop};
use crate::{
    accounts::{NOBODYS, check_address},
    actor::Actor,
    identity_providers::{
        membership,
        person::Person,
        rules::{self, Grants},
    },
    invitation_policy, request, subjects,
};

/// How long a proposed identity can be accepted.
const PROPOSAL: Duration = Duration::minutes(30);

/// A person who has returned from a provider.
pub(super) struct Arrival<'a> {
    pub base: &'a Base,
    pub headers: &'a HeaderMap,
    pub provider: &'a Row,
    pub rules: &'a [Rule],
    pub person: &'a Person,
}

impl Arrival<'_> {
    fn actor(&self, account: accounts::Row, session: SessionId) -> Actor {
        Actor::signed_in(self.base, account, session, request::address(self.headers))
    }

    /// Rejects an email address for which the provider is not trusted.
    fn must_be_trusted_for(&self, email: &str) -> Result<(), Stop> {
        match rules::is_trusted_for(&self.provider.domains, self.rules, email) {
            true => Ok(()),
            false => Err(Stop::Refused(Refusal::Domain, Some(email.to_owned()))),
        }
    }

    /// The account, after applying the rules. `session` is the id of its new session.
    pub async fn admit(&self, session: SessionId) -> Result<AccountId, Stop> {
        let (person, provider, now) = (self.person, self.provider, Utc::now());
        // Until the person is known, the platform is the actor.
        let mut tx = self.base.change(EventActor::platform(), subjects::identity_provider(provider)).await?;
        let known = identities::identity_by_subject(&mut *tx, provider.id, &person.subject).await?;
        let (account, is_new) = match &known {
            Some(known) => (self.known(&mut tx, known).await?, false),
            None => self.by_address(&mut tx).await?,
        };
        self.must_be_trusted_for(&account.email)?;
        let actor = self.actor(account, session);
        tx.on_behalf_of(actor.originator());
        if is_new {
            let (email, title) = (&actor.account.email, &provider.title);
            let summary = format!("Created the account {email} on its first sign-in through {title}.");
            self.note(&mut tx, &actor.account, "account.create", summary);
        }
        let was = known.as_ref().and_then(|k| serde_json::from_value::<Grants>(k.given.clone()).ok());
        let was = was.unwrap_or_default();
        let given = membership::apply(&mut tx, &actor.account, &was, rules::given(self.rules, person)).await?;
        let given = serde_json::to_value(&given).map_err(anyhow::Error::new)?;
        match known {
            Some(known) => self.seen(&mut tx, &actor.account, &known, &given).await?,
            None => self.link(&mut tx, &actor.account, given).await?,
        }
        accounts::account_signed_in(&mut *tx, actor.account.id, now).await?;
        self.note(&mut tx, &actor.account, "session.create", format!("Signed in through {}.", provider.title));
        tx.commit().await?;
        Ok(actor.account.id)
    }

    /// The account that this subject has signed in to before.
    async fn known(&self, tx: &mut sqlx::PgConnection, known: &identities::Row) -> Result<accounts::Row, Stop> {
        let reported = self.person.email.as_ref().or(known.email.as_ref());
        if let Some(email) = reported {
            self.must_be_trusted_for(email)?;
        }
        invitation_policy::hold(&mut *tx, known.account_id).await?;
        let account = accounts::account_info(tx, known.account_id).await?;
        account.ok_or_else(|| Stop::Refused(Refusal::Suspended, reported.cloned()))
    }

    /// The account with the person's verified address, if it has no sign-in method; a new one if a rule admits them.
    async fn by_address(&self, tx: &mut Change) -> Result<(accounts::Row, bool), Stop> {
        let refused = |why, email: &str| Stop::Refused(why, Some(email.to_owned()));
        let email = self.person.email.clone().ok_or(Stop::Refused(Refusal::Address, None))?;
        let lower = email.to_lowercase();
        if check_address(&email).is_err() || NOBODYS.iter().any(|end| lower.ends_with(end)) {
            return Err(refused(Refusal::Address, &email));
        }
        self.must_be_trusted_for(&email)?;
        if let Some(found) = self.standing(&mut *tx, &email).await? {
            // Read again, since this query also finds suspended accounts.
            let active = accounts::account_info(&mut **tx, found.id).await?;
            let account = active.ok_or_else(|| refused(Refusal::Suspended, &email))?;
            return match identities::identity_exists(&mut **tx, account.id).await? {
                true => Err(refused(Refusal::Linked, &email)),
                false => Ok((account, false)),
            };
        }
        if !rules::admits_new(&self.provider.domains, self.provider.admits, self.rules, self.person) {
            return Err(refused(Refusal::Unknown, &email));
        }
        let now = Utc::now();
        let name = self.person.name.as_ref();
        let name = name.map(|name| name.chars().filter(|c| !c.is_control()).take(100).collect());
        let account = accounts::Row {
            id: AccountId::now_v7(),
            email,
            name,
            admin: false,
            last_login: None,
            created_at: now,
            updated_at: now,
        };
        accounts::account_create(&mut **tx, &account).await?;
        Ok((account, true))
    }

    /// The account with this address, locked; not one that only exists because of an expired invitation.
    async fn standing(&self, tx: &mut Change, email: &str) -> Result<Option<accounts::Row>, Stop> {
        let Some(found) = accounts::account_by_email(&mut **tx, email).await? else { return Ok(None) };
        Ok(match accounts::account_is_invited(&mut **tx, found.id).await? {
            Some(true) if invitation_policy::expire(tx, &found).await? => None,
            is_there => is_there.map(|_| found),
        })
    }

    async fn seen(
        &self,
        tx: &mut Change,
        account: &accounts::Row,
        known: &identities::Row,
        given: &serde_json::Value,
    ) -> Result<()> {
        let email = self.person.email.as_deref();
        if known.email.as_deref() != email {
            let [was, is] = [known.email.as_deref(), email].map(|e| e.unwrap_or("none verified"));
            let summary = format!("The email address at {} changed from {was} to {is}.", self.provider.title);
            self.note(tx, account, "identity.update", summary);
        }
        identities::identity_seen(&mut **tx, known.id, email, given, Utc::now()).await?;
        Ok(())
    }

    async fn link(&self, tx: &mut Change, account: &accounts::Row, given: serde_json::Value) -> Result<()> {
        let now = Utc::now();
        let row = identities::Row {
            id: IdentityId::now_v7(),
            account_id: account.id,
            provider_id: self.provider.id,
            subject: self.person.subject.clone(),
            email: self.person.email.clone(),
            given,
            created_at: now,
            updated_at: now,
        };
        identities::identity_create(&mut **tx, &row).await?;
        let summary = format!("Linked an account at {}, which verified the address.", self.provider.title);
        self.note(tx, account, "identity.create", summary);
        Ok(())
    }

    /// Stores the new identity of a signed-in account, until they accept it on their account page.
    pub async fn propose(&self, account: AccountId, session: SessionId) -> Result<(), Stop> {
        let (person, now) = (self.person, Utc::now());
        let email = person.email.clone().ok_or(Stop::Refused(Refusal::Address, None))?;
        self.must_be_trusted_for(&email)?;
        let found = accounts::account_info(self.base.db(), account).await?;
        let found = found.ok_or_else(|| Stop::Refused(Refusal::Suspended, Some(email.clone())))?;
        self.must_be_trusted_for(&found.email)?;
        let actor = self.actor(found, session);
        let mut tx = actor.change(actor.subject()).await?;
        if identities::identity_by_subject(&mut *tx, self.provider.id, &person.subject).await?.is_some() {
            return Err(Stop::Refused(Refusal::Taken, Some(email)));
        }
        let row = identities::Proposal {
            id: IdentityProposalId::now_v7(),
            account_id: account,
            provider_id: self.provider.id,
            subject: person.subject.clone(),
            email: Some(email),
            expires_at: now + PROPOSAL,
            created_at: now,
            updated_at: now,
        };
        identities::identity_proposal_create(&mut tx, &row).await?;
        let summary = format!("Proposed an account at {} for linking.", self.provider.title);
        self.note(&mut tx, &actor.account, "identity_proposal.create", summary);
        tx.commit().await?;
        Ok(())
    }

    fn note(&self, tx: &mut Change, account: &accounts::Row, action: &str, summary: String) {
        let data = serde_json::json!({ "provider": self.provider.name });
        tx.record_of(subjects::account(account), action, summary, data);
    }
}
