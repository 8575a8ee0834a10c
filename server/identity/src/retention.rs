//! Retention: expired rows are deleted.

use base::Base;
use chrono::{DateTime, Duration, Utc};

use crate::{access, invitation_policy, passwords};

/// Deletes expired sessions, sign-ins, passwords, codes and former names. Returns what could not be deleted.
pub async fn forget_old(base: &Base, now: DateTime<Utc>) -> anyhow::Result<Vec<String>> {
    let db = base.db();
    store::sessions::session_sweep(db, now).await?;
    store::sign_in::sign_in_attempt_sweep(db, now).await?;
    store::identities::identity_proposal_sweep(db, now).await?;
    store::passwords::password_sweep(db, now - passwords::PATIENCE).await?;
    store::oauth_clients::oauth_code_sweep(db, now - Duration::days(1)).await?;
    store::accounts::account_sweep_retired(db, now - Duration::days(1)).await?;
    store::apps::app_name_sweep(db, now - access::FORMER).await?;
    store::mails::mail_sweep(db, now - Duration::days(30)).await?;
    // A failure for one account must not stop the rest.
    let failed = invitation_policy::sweep(base).await.err();
    Ok(failed.map(|err| format!("could not remove accounts of expired invitations: {err}")).into_iter().collect())
}
