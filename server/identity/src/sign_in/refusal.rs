//! Rejected sign-ins: the reasons, for the visitor and for the audit log.

use api::ids::AccountId;
use axum::{http::HeaderMap, response::Response};
use base::{Base, Error, Result, Subject, SubjectKind, events::EventActor};

use crate::request;

/// Rejected sign-ins of one client that are recorded within an hour.
const MOST_RECORDED: u32 = 50;

/// The reason of a rejection. Its code is passed to the page, which has the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    State,
    Denied,
    Provider,
    Answer,
    Address,
    Unknown,
    Suspended,
    Domain,
    Linked,
    Taken,
    Busy,
}

impl Refusal {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Denied => "denied",
            Self::Provider => "provider",
            Self::Answer => "answer",
            Self::Address => "address",
            Self::Unknown => "unknown",
            Self::Suspended => "suspended",
            Self::Domain => "domain",
            Self::Linked => "linked",
            Self::Taken => "taken",
            Self::Busy => "busy",
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::State => "there is no matching sign-in attempt in this browser",
            Self::Denied => "the user denied access to their identity",
            Self::Provider => "the provider could not be reached",
            Self::Answer => "the provider's response is not valid",
            Self::Address => "the provider has not verified an email address",
            Self::Unknown => "there is no account, and no rule admits the user",
            Self::Suspended => "the account is suspended",
            Self::Domain => "the provider is not trusted for this email domain",
            Self::Linked => "the account uses another sign-in method and is not linked to this one",
            Self::Taken => "the provider's account is already linked to another account",
            Self::Busy => "too many failed attempts from this address",
        }
    }
}

pub(super) enum Stop {
    /// With the claimed account, once that is known.
    Refused(Refusal, Option<String>),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(err: E) -> Self {
        Self::Failed(err.into())
    }
}

/// Reports the reason: to the visitor, on the sign-in page or that of `account`, and in the audit log.
pub(super) async fn refuse(
    base: &Base,
    headers: &HeaderMap,
    provider: &str,
    (refusal, who): (Refusal, Option<String>),
    account: Option<AccountId>,
) -> Result<Response> {
    let address = request::address(headers);
    // Any site can make a visitor's browser send this again and again, and anybody can begin a sign-in and break it off,
    // so they do not get an event each time: people have to be able to read the log.
    let from = request::client(address.as_deref());
    let is_news = match refusal {
        Refusal::Busy => false,
        Refusal::State => base.rate_limits().is_first(&format!("sign-ins without an attempt from {from}")),
        _ => base.rate_limits().is_among_first(&format!("rejected sign-ins from {from}"), MOST_RECORDED),
    };
    if is_news {
        let summary = format!(
            "Rejected a sign-in of {} through {provider}: {}.",
            who.as_deref().unwrap_or("somebody"),
            refusal.why()
        );
        let data = serde_json::json!({ "reason": refusal.word(), "provider": provider });
        let mut tx = base
            .change(
                EventActor::visitor(who.as_deref(), address),
                Subject::named(SubjectKind::IdentityProvider, provider),
            )
            .await?;
        tx.record("session.refuse", summary, data);
        tx.commit().await?;
    }
    let page = if account.is_some() { "account" } else { "login" };
    Ok(super::see(&format!("/{page}?error={}&provider={}", refusal.word(), api::client::segment(provider))))
}
