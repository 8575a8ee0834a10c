//! Sign-in with password and code.
//!
//! A rejection reveals neither whether the account exists nor which of the two was wrong, by its message or its
//! duration. The audit log has the reason.

use axum::{Json, extract::State, http::HeaderMap};
use base::{Error, Result, Subject, SubjectKind, events::EventActor, web::Input};
use chrono::{DateTime, Utc};
use store::{accounts, passwords::Row};
use tower_sessions::Session;
use uuid::Uuid;

use super::{
    For,
    codes::{self, Code},
    devices, hashing, in_force, policy,
};
use crate::{Identity, actor::Actor, request, sessions, sign_in::local};
use api::{
    ids::{AccountId, SessionId},
    passwords::{PasswordSignIn, SignedIn},
};

/// The number of wrong attempts per account before a lockout.
const FREE: u32 = 5;
/// The number of wrong attempts per address, which people may share, before a lockout.
const FREE_OF_ADDRESS: u32 = 20;

/// The reason of a rejection, for the audit log.
#[derive(Clone, Copy)]
enum Refusal {
    Origin,
    Unknown,
    Password,
    Code,
    Suspended,
    Busy,
}

impl Refusal {
    fn word(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Unknown => "unknown",
            Self::Password => "password",
            Self::Code => "code",
            Self::Suspended => "suspended",
            Self::Busy => "busy",
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Origin => "the request came from another site",
            Self::Unknown => "the account does not exist or does not have a password",
            Self::Password => "the password was wrong",
            Self::Code => "the code was wrong or already used",
            Self::Suspended => "the account is suspended",
            Self::Busy => "too many failed attempts",
        }
    }
}

/// A sign-in attempt.
struct Attempt {
    identity: Identity,
    given: PasswordSignIn,
    headers: HeaderMap,
    /// The claimed account.
    email: String,
    address: Option<String>,
    now: DateTime<Utc>,
    /// The id of its session, if it succeeds.
    session: SessionId,
}

/// `POST /login/password`: signs the browser in. Only from the console: another site could sign its visitors in to an
/// account of its own.
pub async fn password_sign_in(
    State(identity): State<Identity>,
    session: Session,
    headers: HeaderMap,
    Input(given): Input<PasswordSignIn>,
) -> Result<(devices::Cookie, Json<SignedIn>)> {
    let email = given.email.trim().chars().filter(|c| !c.is_control()).take(254).collect();
    let (address, next) = (request::address(&headers), local(&given.next).to_owned());
    let id = SessionId::now_v7();
    let attempt = Attempt {
        identity: identity.clone(),
        given,
        headers: headers.clone(),
        email,
        address,
        now: Utc::now(),
        session: id,
    };
    let is_from_here = request::same_origin(&headers);
    // Runs to its end even if the browser disconnects: the attempt has to be counted.
    let judged = tokio::spawn(async move { attempt.judge(is_from_here).await });
    let account = judged.await.map_err(anyhow::Error::new)??;
    sessions::sign_in(&identity, &session, account, id, &headers).await?;
    Ok((devices::cookie(&identity, account)?, Json(SignedIn { next })))
}

impl Attempt {
    /// The account, if the attempt succeeds. Records the outcome.
    async fn judge(&self, is_from_here: bool) -> Result<AccountId> {
        policy::must_be_on(&self.identity).await?;
        let account = accounts::account_by_email(self.identity.db(), &self.email).await?;
        let tries = self.tries(account.as_ref());
        let limits = self.identity.rate_limits();
        if !is_from_here {
            // Any site can make a visitor's browser send this: it is not counted, and logged only once.
            if limits.is_first(&format!("passwords of other sites from {}", self.from())) {
                self.refuse(Refusal::Origin).await?;
            }
            return Err(Error::forbidden(
                "This request does not come from the console. Reload the page and try again.",
            ));
        }
        for (n, (what, free)) in tries.iter().enumerate() {
            if !limits.begin(what, *free) {
                tries[..n].iter().for_each(|(what, _)| limits.succeeded(what));
                return self.shut(what).await;
            }
        }
        let id = match self.look(account.as_ref()).await {
            Ok(Ok(id)) => id,
            // Nothing was checked, so the attempt does not count.
            Err(err) => {
                tries.iter().for_each(|(what, _)| limits.succeeded(what));
                return Err(err);
            }
            Ok(Err(why)) => {
                self.refuse(why).await?;
                return Err(Error::wrong_password());
            }
        };
        tries.iter().for_each(|(what, _)| limits.succeeded(what));
        limits.remember(&self.from(), id);
        Ok(id)
    }

    /// The client, whose attempts are counted.
    fn from(&self) -> String {
        request::client(self.address.as_deref())
    }

    /// The browser's device id, if it has signed in to the account before.
    fn device(&self, account: Option<&accounts::Row>) -> Option<Uuid> {
        devices::device(&self.identity, &self.headers, account?.id)
    }

    /// Whether this address was used for signing in to the account before.
    fn was_here(&self, account: Option<&accounts::Row>) -> bool {
        account.is_some_and(|account| self.identity.rate_limits().knows(&self.from(), account.id))
    }

    /// The counters, and their free attempts. A browser or an address that was used for signing in to the account
    /// before is counted separately, so that others cannot lock it out.
    fn tries(&self, account: Option<&accounts::Row>) -> Vec<(String, u32)> {
        // By the account's own address: the database also finds it by other spellings.
        let (from, email) = (self.from(), account.map_or(&self.email, |account| &account.email).to_lowercase());
        if let Some(device) = self.device(account) {
            return vec![(format!("password of {email} on device {device}"), FREE)];
        }
        let apart = if self.was_here(account) { format!(" from {from}") } else { String::new() };
        vec![(format!("passwords from {from}"), FREE_OF_ADDRESS), (format!("password of {email}{apart}"), FREE)]
    }

    /// Checks the attempt, with the same amount of work in all cases.
    async fn look(&self, account: Option<&accounts::Row>) -> Result<Result<AccountId, Refusal>> {
        let (identity, id) = (&self.identity, account.map_or(AccountId::nil(), |account| account.id));
        let password = in_force(identity, id).await?;
        let active = accounts::account_info(identity.db(), id).await?;
        let hash = password.as_ref().map_or(hashing::OF_NOBODY, |row| &row.hash);
        let who = match self.device(account).is_some() || self.was_here(account) {
            true => For::Known(id),
            false => For::Visitor(self.address.as_deref()),
        };
        let is_right = identity.hashing().check(who, &self.given.password, hash).await?;
        let code = codes::recognise(identity, password.as_ref(), &self.given.code, self.now).await?;
        Ok(match (password, is_right, code, active) {
            (None, ..) => Err(Refusal::Unknown),
            (_, false, ..) => Err(Refusal::Password),
            (_, _, None, _) => Err(Refusal::Code),
            (_, _, _, None) => Err(Refusal::Suspended),
            (Some(row), true, Some(code), Some(account)) => self.let_in(account, &row, &code).await?,
        })
    }

    /// Uses up the code and records the sign-in, in one transaction.
    async fn let_in(&self, account: accounts::Row, row: &Row, code: &Code) -> Result<Result<AccountId, Refusal>> {
        let actor = Actor::signed_in(&self.identity, account, self.session, self.address.clone());
        let mut tx = actor.change(actor.subject()).await?;
        if !codes::use_up(&mut tx, row, code, self.now).await? {
            return Ok(Err(Refusal::Code));
        }
        let left = store::passwords::recovery_code_count(&mut *tx, row.id).await?;
        let summary = match code {
            Code::Step(_) => "Signed in with password and code.".to_owned(),
            Code::Recovery(_) => format!("Signed in with password and recovery code. Codes left: {left}."),
        };
        accounts::account_signed_in(&mut *tx, actor.account.id, self.now).await?;
        tx.record("session.create", summary, serde_json::json!({ "provider": "password" }));
        tx.commit().await?;
        Ok(Ok(actor.account.id))
    }

    /// Rejects without checking. Recorded only occasionally, to keep the log readable.
    async fn shut(&self, what: &str) -> Result<AccountId> {
        if self.identity.rate_limits().report_once(what) {
            self.refuse(Refusal::Busy).await?;
        }
        Err(Error::too_many_tries("Too many failed sign-ins to this account or from your address. Try again later."))
    }

    async fn refuse(&self, why: Refusal) -> Result<()> {
        let who = Some(self.email.as_str()).filter(|email| !email.is_empty());
        let summary = format!("Rejected a password sign-in of {}: {}.", who.unwrap_or("somebody"), why.why());
        let data = serde_json::json!({ "reason": why.word(), "provider": "password" });
        let mut tx = self
            .identity
            .change(EventActor::visitor(who, self.address.clone()), Subject::named(SubjectKind::SignIn, "password"))
            .await?;
        tx.record("session.refuse", summary, data);
        Ok(tx.commit().await?)
    }
}
