//! Device cookies: a browser that has signed in to an account has its own counter of password attempts.
//!
//! Others can exhaust the shared attempts, but not these: the cookie belongs to the console's host, is signed for one
//! account, and is not accessible to scripts. It does not authenticate.

use api::ids::AccountId;
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::AppendHeaders,
};
use base::Base;
use uuid::Uuid;

use crate::cookie_guard;

const PLAIN: &str = "wharf-device";
const WITH_TLS: &str = "__Host-wharf-device";
/// In seconds: browsers limit it to some 400 days.
const LIFE: u32 = 365 * 24 * 3600;

/// The `Set-Cookie` header after a sign-in to `account`.
pub(crate) type Cookie = AppendHeaders<[(HeaderName, HeaderValue); 1]>;

/// The cookie for a browser that has just signed in to `account`; different each time.
pub(crate) fn cookie(base: &Base, account: AccountId) -> anyhow::Result<Cookie> {
    let (name, secure) = match base.settings().tls {
        true => (WITH_TLS, "; Secure"),
        false => (PLAIN, ""),
    };
    let value = base.secrets().sign(&purpose(account), Uuid::now_v7());
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={LIFE}{secure}");
    Ok(AppendHeaders([(header::SET_COOKIE, HeaderValue::from_str(&text)?)]))
}

/// The device id of a request, if it has signed in to `account` before.
pub(super) fn device(base: &Base, headers: &HeaderMap, account: AccountId) -> Option<Uuid> {
    let name = if base.settings().tls { WITH_TLS } else { PLAIN };
    // A cookie that an app has set beside ours is not signed for this account.
    cookie_guard::values(headers, name).iter().find_map(|value| base.secrets().signed(&purpose(account), value))
}

fn purpose(account: AccountId) -> String {
    format!("device of {account}")
}
