//! Watches: what is open ends when whoever opened it may no longer have it.
//!
//! Rights, accounts, tokens and sessions end while streams, transfers and pushes are under way. A
//! [`Watch`] is held beside each of those, and says when it is over.

use base::{Base, Error, Result, secrets::Bearer};
use futures::future::BoxFuture;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::{
    access::still_may,
    actor::{Actor, credential_exists, credential_lasts},
    rights::Can,
};

/// Something open: it ends as soon as who has it may no longer have it.
pub struct Watch {
    base: Base,
    account: Uuid,
    credential: Option<Uuid>,
    /// What has to be allowed with which app.
    app: Option<(Uuid, Can)>,
    ends: broadcast::Receiver<()>,
}

impl Watch {
    /// Begins to watch; nothing, when `account` may not do `can` with `app`. `credential` is the
    /// token or session that has to last, if it is to be one.
    pub async fn begin(
        base: &Base,
        account: Uuid,
        credential: Option<Uuid>,
        app: Uuid,
        can: Can,
    ) -> Result<Option<Self>> {
        Self::of(base, account, credential, Some((app, can))).await
    }

    /// As [`Watch::begin`], for what is no app's: the account and the credential have to last.
    pub async fn of_bearer(base: &Base, bearer: Bearer) -> Result<Option<Self>> {
        Self::of(base, bearer.account, Some(bearer.credential), None).await
    }

    async fn of(
        base: &Base,
        account: Uuid,
        credential: Option<Uuid>,
        app: Option<(Uuid, Can)>,
    ) -> Result<Option<Self>> {
        // Before the first look, so that no change falls between the two.
        let ends = base.session_ends();
        let watch = Self { base: base.clone(), account, credential, app, ends };
        Ok(watch.holds().await?.then_some(watch))
    }

    async fn holds(&self) -> Result<bool> {
        if let Some(credential) = self.credential
            && !credential_exists(&self.base, credential).await?
        {
            return Ok(false);
        }
        match self.app {
            Some((app, can)) => still_may(&self.base, self.account, app, can).await,
            None => Ok(store::accounts::account_info(self.base.db(), self.account).await?.is_some()),
        }
    }

    /// Waits until it is over.
    pub async fn lost(mut self) {
        loop {
            let told =
                tokio::time::timeout(credential_lasts(&self.base, self.credential).await, self.ends.recv()).await;
            if matches!(told, Ok(Err(broadcast::error::RecvError::Closed))) {
                return;
            }
            match self.holds().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(err) => {
                    tracing::error!(account.id = %self.account, "could not check access: {err}");
                }
            }
        }
    }

    /// As [`Watch::lost`], to be kept somewhere.
    pub fn into_lost(self) -> BoxFuture<'static, ()> {
        Box::pin(self.lost())
    }
}

impl Actor {
    /// Watches that the asker may do `can` with `app`, and that what they asked with lasts.
    pub async fn watch(&self, app: Uuid, can: Can) -> Result<Watch> {
        let watch = Watch::begin(&self.base, self.account.id, Some(self.credential.id()), app, can).await?;
        watch.ok_or_else(Error::no_app)
    }

    /// Whom addresses are for that the asker is shown.
    pub fn bearer(&self) -> Bearer {
        Bearer { account: self.account.id, credential: self.credential.id() }
    }
}
