//! Watches: streams end when their reader loses access.
//!
//! Rights, accounts, tokens and sessions can end while streams, transfers and pushes are in progress. A [`Watch`] is
//! held next to each of those, and reports that. It asks the database only when [`Ends`] says so.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use api::ids::{AccountId, AppId};
use base::{
    Base, Error, Result,
    ends::{Ends, Reader},
    links::Links,
    secrets::Bearer,
    slots::Slot,
};
use tokio::task::JoinSet;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    access::app_for,
    actor::{Actor, credential_exists, credential_time_left},
    rights::Can,
};

/// How long to wait after a check that has failed.
const AGAIN: Duration = Duration::from_secs(10);

/// Access to an open stream or transfer, which is checked until it is lost.
pub struct Watch {
    base: Base,
    account: AccountId,
    credential: Option<Uuid>,
    /// The right that is needed, and the app.
    app: Option<(AppId, Can)>,
    ends: Ends,
}

impl Watch {
    /// Starts watching; `None` if `account` does not have the right `can` on `app`. `credential` is the token or
    /// session that has to stay valid, if any.
    pub async fn begin(
        base: &Base,
        account: AccountId,
        credential: Option<Uuid>,
        app: AppId,
        can: Can,
    ) -> Result<Option<Self>> {
        Self::of(base, account, credential, Some((app, can))).await
    }

    /// Like [`Watch::begin`], without an app: the account and the credential have to stay valid.
    pub async fn of_bearer(base: &Base, bearer: Bearer) -> Result<Option<Self>> {
        Self::of(base, bearer.account, Some(bearer.credential), None).await
    }

    async fn of(
        base: &Base,
        account: AccountId,
        credential: Option<Uuid>,
        app: Option<(AppId, Can)>,
    ) -> Result<Option<Self>> {
        // Before the first check, so that no change is missed in between.
        let ends = base.session_ends(Reader { app: app.map(|(app, _)| app), ..Reader::account(account) });
        let mut watch = Self { base: base.clone(), account, credential, app, ends };
        Ok(watch.holds().await?.then_some(watch))
    }

    async fn holds(&mut self) -> Result<bool> {
        if let Some(credential) = self.credential
            && !credential_exists(&self.base, credential).await?
        {
            return Ok(false);
        }
        let Some((app, can)) = self.app else {
            return Ok(store::accounts::account_info(self.base.db(), self.account).await?.is_some());
        };
        let Some(app) = app_for(&self.base, self.account, app, can).await? else { return Ok(false) };
        self.ends.set_team(app.team_id);
        Ok(true)
    }

    /// Resolves when access is lost. The checks run in a separate task, whether or not this is polled.
    pub fn lost(self) -> Lost {
        let mut task = JoinSet::new();
        task.spawn(self.until_lost().in_current_span());
        Lost { task, _slot: None }
    }

    async fn until_lost(mut self) {
        let mut most = credential_time_left(&self.base, self.credential).await;
        while self.ends.due(most).await {
            most = match self.holds().await {
                Ok(true) => credential_time_left(&self.base, self.credential).await,
                Ok(false) => return,
                Err(err) => {
                    tracing::error!(account.id = %self.account, "could not check access: {err}");
                    AGAIN
                }
            }
        }
    }
}

/// The end of the access to an open stream or transfer. It can be part of a response's body, which is polled only as
/// fast as its client reads: a check there would hold its connection to the database. Dropping this ends the checks.
#[must_use = "dropping it ends the checks"]
pub struct Lost {
    task: JoinSet<()>,
    _slot: Option<Slot>,
}

impl Lost {
    /// Holds `slot` until this is dropped.
    pub fn holding(self, slot: Slot) -> Self {
        Self { _slot: Some(slot), ..self }
    }
}

impl Future for Lost {
    type Output = ();

    /// Ready when the checks have ended, including by a panic.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.task.poll_join_next(cx).map(drop)
    }
}

impl Actor {
    /// Watches the caller's right `can` on `app`, and the validity of their credential.
    pub async fn watch(&self, app: AppId, can: Can) -> Result<Watch> {
        let watch = Watch::begin(&self.base, self.account.id, Some(self.credential.id()), app, can).await?;
        watch.ok_or_else(Error::no_app)
    }

    /// The bearer of URLs that are shown to the caller.
    pub fn bearer(&self) -> Bearer {
        Bearer { account: self.account.id, credential: self.credential.id() }
    }

    /// The links in resources that are shown to the caller.
    pub fn links(&self) -> Links {
        Links::signed_for(&self.base, self.bearer(), &self.origin)
    }
}
