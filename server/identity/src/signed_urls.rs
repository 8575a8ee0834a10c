//! Requests to pre-signed URLs. They have no credentials, and are charged to the account that the URL was signed for.

use api::ids::AccountId;
use base::{Base, Result, slots::Slot};

/// Counts a request to a URL that was signed for `account`, and waits for one of its slots of requests that read. To be
/// called before the database is asked whether the URL still opens anything, and held meanwhile.
///
/// # Errors
/// 429 if there were too many.
pub async fn begin(base: &Base, account: AccountId) -> Result<Slot> {
    base.rate_limits().take_for_url(account)?;
    base.read_slots().take(account).await
}
