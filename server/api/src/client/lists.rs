//! Lists: complete, or one page.
//!
//! Lists are paginated; `Next-Range` refers to the next page. Callers that display a list request one page;
//! callers that need all of it follow the pages to the end. The server is not trusted: responses that loop or
//! never end cause an error instead of filling the memory.

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{Asked, Client, Reply, Transport, body, of, query, request, segment, unreadable};
use crate::{
    Error,
    accounts::Account,
    app_transfers::AppTransfer,
    apps::App,
    authorizations::Authorization,
    backups::Backup,
    builds::Build,
    collaborators::Collaborator,
    identities::Identity,
    jobs::{Job, JobQuery},
    oauth_clients::OauthClient,
    releases::Release,
    schedules::Schedule,
    service_accounts::ServiceAccount,
    sessions::Session,
    statuses::AppSummary,
    team_invitations::TeamInvitation,
    team_members::TeamMember,
    teams::{Team, TeamAccess},
};

/// The maximum number of pages followed: with 200 rows each, more than anybody will read.
const MOST_PAGES: usize = 500;
/// The maximum size of a complete list in bytes.
const MOST_BYTES: usize = 64 << 20;

/// The maximum number of apps per search.
const FOUND: usize = 20;
/// Rows per displayed page.
const PAGE: usize = 50;

/// Some rows of a list, and where the rest begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The range of the next rows; absent on the last page.
    pub next: Option<String>,
}

/// Parsed in two steps; the first is the same for all types, so that browsers load it once.
#[derive(Deserialize)]
struct Unread {
    items: Box<RawValue>,
    next: Option<String>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Unread { items, next } = Unread::deserialize(from)?;
        let items = serde_json::from_str(items.get()).map_err(serde::de::Error::custom)?;
        Ok(Self { items, next })
    }
}

/// A range of rows.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The field to order by.
    pub field: &'static str,
    /// Only rows after this one, a page's `next`.
    pub after: Option<&'a str>,
    /// Maximum number.
    pub max: usize,
    /// In descending order.
    pub newest_first: bool,
}

impl Rows<'_> {
    fn range(self) -> String {
        // Values from a URL must not terminate the header.
        let after = self.after.unwrap_or_default().replace(|c: char| c.is_control() || ";,".contains(c), "");
        let start = if after.is_empty() { String::new() } else { format!("]{after}") };
        let order = if self.newest_first { ", order=desc" } else { "" };
        format!("{} {start}..; max={}{order}", self.field, self.max)
    }
}

impl Client {
    /// The complete list, page by page. `range` may limit and order it.
    pub fn list<T: DeserializeOwned + Send + 'static>(&self, path: String, range: Option<&str>) -> Asked<Vec<T>> {
        Asked::new(all(self.transport.clone(), path, range.map(str::to_owned)))
    }

    /// One response of a list: all of it, or as much of `range` as fits a page.
    pub fn list_part<T: DeserializeOwned + Send + 'static>(
        &self,
        path: String,
        range: Option<String>,
    ) -> Asked<Vec<T>> {
        let transport = self.transport.clone();
        Asked::new(async move { Ok(format!("[{}]", one(&transport, &path, range).await?.0)) })
    }

    /// The newest `max` releases of an app, newest first.
    pub fn release_list(&self, app: &str, max: usize) -> Asked<Vec<Release>> {
        let rows = Rows { field: "version", after: None, max, newest_first: true };
        self.list_part(of(app, "/releases"), Some(rows.range()))
    }

    /// The first apps whose names begin with `name`, or sort after it.
    pub fn app_find(&self, name: &str) -> Asked<Vec<App>> {
        let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        self.list_part("/apps".into(), Some(format!("name {name}..; max={FOUND}")))
    }

    /// One page of a list.
    pub fn page<T: DeserializeOwned + Send + 'static>(&self, path: String, rows: Rows<'_>) -> Asked<Page<T>> {
        let (transport, range) = (self.transport.clone(), rows.range());
        Asked::new(async move {
            let (items, next) = one(&transport, &path, Some(range)).await?;
            let next = next.as_deref().and_then(start).map(str::to_owned);
            let next = serde_json::to_string(&next).map_err(|err| unreadable(&err))?;
            Ok(format!("{{\"items\":[{items}],\"next\":{next}}}"))
        })
    }
}

/// Declares methods that request a page, starting after the previous page's `next`: name(arguments) -> row:
/// "path", the field to order by, whether descending.
macro_rules! pages {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $out:ty: $path:expr, $field:literal, $newest_first:literal;)*) => {
        impl Client {$(
            $(#[$doc])*
            pub fn $name(&self, $($arg: $ty,)* after: Option<&str>) -> Asked<Page<$out>> {
                self.page($path, Rows { field: $field, after, max: PAGE, newest_first: $newest_first })
            }
        )*}
    };
}

pages! {
    /// App statuses, by name.
    app_summary_page() -> AppSummary: "/app-statuses".into(), "name", false;
    /// The newest builds of an app.
    build_page(app: &str) -> Build: of(app, "/builds"), "number", true;
    /// The newest releases of an app.
    release_page(app: &str) -> Release: of(app, "/releases"), "version", true;
    /// The collaborators of an app.
    collaborator_page(app: &str) -> Collaborator: of(app, "/collaborators"), "user", false;
    /// The caller's newest tokens.
    authorization_page() -> Authorization: "/oauth/authorizations".into(), "id", true;
    /// The caller's console sessions, most recently used first.
    session_page() -> Session: "/account/sessions".into(), "last_seen_at", true;
    /// The caller's linked identities, most recently used first.
    identity_page() -> Identity: "/account/identities".into(), "updated_at", true;
    /// The linked identities of an account, for administrators.
    user_identity_page(user: &str) -> Identity: format!("/users/{}/identities", segment(user)), "updated_at", true;
    /// The caller's OAuth clients.
    oauth_client_page() -> OauthClient: "/oauth/clients".into(), "id", true;
    /// Transfers to and from the caller.
    app_transfer_page() -> AppTransfer: "/account/app-transfers".into(), "id", true;
    /// The newest matching jobs, for administrators.
    job_page(params: &JobQuery) -> Job: format!("/jobs{}", query(params)), "id", true;
    /// The newest backups of the platform.
    backup_page() -> Backup: "/backups".into(), "id", true;
    /// All schedules, by name.
    schedule_page() -> Schedule: "/schedules".into(), "name", false;
    /// All accounts, by address.
    user_page() -> Account: "/users".into(), "email", false;
    /// The caller's teams, by name.
    team_page() -> Team: "/teams".into(), "name", false;
    /// The members of a team, by address.
    team_member_page(team: &str) -> TeamMember: format!("/teams/{}/members", segment(team)), "email", false;
    /// The pending invitations of a team.
    team_invitation_page(team: &str) -> TeamInvitation: format!("/teams/{}/invitations", segment(team)), "id", true;
    /// The permissions on the apps of a team, app by app.
    team_access_page(team: &str) -> TeamAccess: format!("/teams/{}/access", segment(team)), "app", false;
    /// The service accounts of a team, by name.
    service_account_page(team: &str) -> ServiceAccount:
        format!("/teams/{}/service-accounts", segment(team)), "name", false;
    /// The newest tokens of a service account.
    service_account_authorization_page(team: &str, who: &str) -> Authorization:
        format!("/teams/{}/service-accounts/{}/authorizations", segment(team), segment(who)), "id", true;
}

/// The row after which a range starts: `7` of `version ]7..; max=2`.
fn start(range: &str) -> Option<&str> {
    Some(range.split_once(" ]")?.1.rsplit_once("..")?.0)
}

/// The array contents of a page, and the range of the next one.
async fn one(
    transport: &Arc<dyn Transport>,
    path: &str,
    range: Option<String>,
) -> Result<(String, Option<String>), Error> {
    let mut page = request("GET", path.to_owned(), None);
    page.headers.extend(range.map(|range| ("range", range)));
    let reply: Reply = transport.send(page).await?;
    let next = reply.headers.get("next-range").filter(|_| reply.status == 206).cloned();
    let text = body(reply)?;
    let items = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let items = items.ok_or_else(|| unreadable(&"it is not a list"))?.trim();
    Ok((items.to_owned(), next))
}

/// All pages as one list.
async fn all(transport: Arc<dyn Transport>, path: String, mut range: Option<String>) -> Result<String, Error> {
    let mut list = String::from("[");
    let mut requested = HashSet::new();
    let mut before = String::new();
    loop {
        let (items, next) = one(&transport, &path, range.clone()).await?;
        if !before.is_empty() && items == before {
            return Err(unreadable(&"a page of the list repeated the previous one"));
        }
        if list.len() > 1 && !items.is_empty() {
            list.push(',');
        }
        list.push_str(&items);
        requested.extend(range.take());
        match next {
            None => return Ok(list + "]"),
            Some(next) if requested.contains(&next) => {
                return Err(unreadable(&"the pages of the list form a cycle"));
            }
            Some(_) if items.is_empty() => return Err(unreadable(&"a page of the list was empty but not the last")),
            Some(_) if requested.len() >= MOST_PAGES || list.len() > MOST_BYTES => {
                return Err(unreadable(&"the list does not end"));
            }
            Some(next) => range = Some(next),
        }
        before = items;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::client::Carried;

    /// A server whose responses are computed from the number of requests so far and the range.
    struct Says<F>(F, Arc<AtomicUsize>);

    impl<F: Fn(usize, Option<&str>) -> (String, Option<String>) + Send + Sync + 'static> Transport for Says<F> {
        fn send(&self, request: crate::Request) -> Carried {
            let range = request.headers.iter().find(|(name, _)| *name == "range").map(|(_, range)| range.as_str());
            let (body, next) = self.0(self.1.fetch_add(1, Ordering::Relaxed), range);
            let status = if next.is_some() { 206 } else { 200 };
            let headers = next.map(|next| ("next-range".to_owned(), next)).into_iter().collect();
            Box::pin(std::future::ready(Ok(Reply { status, headers, body: body.into() })))
        }
    }

    fn requested<F>(says: F) -> (Client, Arc<AtomicUsize>)
    where
        F: Fn(usize, Option<&str>) -> (String, Option<String>) + Send + Sync + 'static,
    {
        let count = Arc::new(AtomicUsize::new(0));
        (Client::new(Says(says, count.clone())), count)
    }

    async fn list(client: &Client) -> Result<Vec<u64>, Error> {
        client.list("/numbers".into(), None).await
    }

    /// Pages of two of the numbers below `end`.
    fn pages(end: u64) -> impl Fn(usize, Option<&str>) -> (String, Option<String>) {
        move |_, range| {
            let after = range.and_then(start).map_or(0, |n| n.parse::<u64>().unwrap() + 1);
            let items: Vec<u64> = (after..end).take(2).collect();
            let more = items.last().filter(|last| **last + 1 < end).map(|last| format!("id ]{last}..; max=2"));
            (serde_json::to_string(&items).unwrap(), more)
        }
    }

    #[tokio::test]
    async fn all_pages_are_one_list() {
        for end in [0, 1, 2, 3, 7] {
            let (client, _) = requested(pages(end));
            assert_eq!(list(&client).await.unwrap(), (0..end).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn a_page_has_the_cursor_of_the_next_one() {
        let (client, count) = requested(pages(5));
        let rows = Rows { field: "id", after: None, max: 2, newest_first: false };
        let first: Page<u64> = client.page("/numbers".into(), rows).await.unwrap();
        assert_eq!(first, Page { items: vec![0, 1], next: Some("1".into()) });
        let last: Page<u64> = client.page("/numbers".into(), Rows { after: Some("3"), ..rows }).await.unwrap();
        assert_eq!(last, Page { items: vec![4], next: None });
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_server_that_repeats_itself_is_not_asked_for_ever() {
        let same = |_: usize, _: Option<&str>| ("[1,2]".to_owned(), Some("id ]2..; max=2".to_owned()));
        let circle = |n: usize, _: Option<&str>| (format!("[{n}]"), Some(format!("id ]{}..; max=1", n % 3)));
        let empty = |n: usize, _: Option<&str>| ("[]".to_owned(), Some(format!("id ]{n}..; max=1")));
        let (client, count) = requested(same);
        assert!(list(&client).await.unwrap_err().message.contains("repeated"));
        assert_eq!(count.load(Ordering::Relaxed), 2);
        let (client, count) = requested(circle);
        assert!(list(&client).await.unwrap_err().message.contains("cycle"));
        assert!(count.load(Ordering::Relaxed) < 6);
        let (client, count) = requested(empty);
        assert!(list(&client).await.unwrap_err().message.contains("empty"));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_list_without_end_ends() {
        let (client, count) = requested(|n, _| (format!("[{n}]"), Some(format!("id ]{n}..; max=1"))));
        assert!(list(&client).await.unwrap_err().message.contains("does not end"));
        assert!(count.load(Ordering::Relaxed) <= MOST_PAGES + 1);
        let wide = format!("\"{}\"", "x".repeat(8 << 20));
        let (client, count) = requested(move |n, _| (format!("[{n},{wide}]"), Some(format!("id ]{n}..; max=1"))));
        assert!(client.list::<serde_json::Value>("/wide".into(), None).await.is_err());
        assert!(count.load(Ordering::Relaxed) < 10);
    }

    #[test]
    fn what_an_address_says_stays_one_value() {
        let rows = Rows { field: "id", after: Some("a\r\nx: y; max=1000"), max: 3, newest_first: true };
        assert_eq!(rows.range(), "id ]ax: y max=1000..; max=3, order=desc");
        assert_eq!(start("id ]a..b..; max=2"), Some("a..b"));
    }
}
