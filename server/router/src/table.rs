//! The routing table, prepared for lookups.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use api::ids::AppId;

use crate::backends::Backend;
use crate::pool::Pool;
use crate::routes::{self, AppState, Routes};
use crate::socket::Address;
use crate::stats::Stats;

/// Replaced as a whole when routes change; backends and counters that stay are carried over.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) version: u64,
    /// The platform's own domain, for commands shown to people.
    pub(crate) domain: String,
    hosts: HashMap<Box<str>, Target>,
    /// The domain that all apps share.
    apps_domain: Box<str>,
    platform_hosts: Vec<Box<str>>,
    pub(crate) apps: HashMap<AppId, Arc<App>>,
}

/// The destination of a host.
#[derive(Clone)]
pub(crate) enum Target {
    Platform,
    App(Arc<App>),
}

pub(crate) struct App {
    pub(crate) id: AppId,
    /// The id as text: the beginning of its log lines.
    pub(crate) id_text: Box<str>,
    pub(crate) name: String,
    pub(crate) state: AppState,
    pub(crate) backends: Vec<Arc<Backend>>,
    /// For requests that none of the others accepts.
    pub(crate) standby: Vec<Arc<Backend>>,
    pub(crate) stats: Arc<Stats>,
    /// Requests waiting for the app to start.
    pub(crate) queue: Arc<AtomicUsize>,
}

impl App {
    /// All its dynos.
    fn all(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.backends.iter().chain(&self.standby)
    }
}

impl Table {
    /// Builds the table for the one that was sent, keeping connections and counters of `previous`.
    pub(crate) fn new(table: &Routes, previous: &Table, pool: &Arc<Pool>) -> Table {
        let mut hosts = HashMap::new();
        let mut apps = HashMap::new();
        for route in &table.apps {
            let before = previous.apps.get(&route.app_id);
            let backend = |dyno: &routes::Backend| {
                let address = Address::Tcp(dyno.addr);
                before
                    .into_iter()
                    .flat_map(|app| app.all())
                    .find(|b| b.address == address && b.dyno == dyno.dyno)
                    .cloned()
                    .unwrap_or_else(|| Arc::new(Backend::new(dyno.dyno.clone(), address, pool)))
            };
            let app = Arc::new(App {
                id: route.app_id,
                id_text: route.app_id.to_string().into(),
                name: route.name.clone(),
                state: route.state,
                backends: route.dynos.iter().map(backend).collect(),
                standby: route.standby.iter().map(backend).collect(),
                stats: before.map(|app| app.stats.clone()).unwrap_or_default(),
                queue: before.map(|app| app.queue.clone()).unwrap_or_default(),
            });
            let own = format!("{}.{}", route.name, table.apps_domain);
            for host in route.hosts.iter().chain([&own]) {
                hosts.insert(normal(host), Target::App(app.clone()));
            }
            apps.insert(route.app_id, app);
        }
        // Last, so that no app can take a host of the platform.
        for host in &table.platform_hosts {
            hosts.insert(normal(host), Target::Platform);
        }
        Table {
            version: table.version,
            domain: table.platform_hosts.first().cloned().unwrap_or_else(|| "localhost".to_owned()),
            hosts,
            apps_domain: normal(&table.apps_domain),
            platform_hosts: table.platform_hosts.iter().map(|host| normal(host)).collect(),
            apps,
        }
    }

    /// The destination of a host, as returned by [`host_name`]. `None` for an app that does not exist.
    pub(crate) fn find(&self, host: &str) -> Option<Target> {
        if let Some(target) = self.hosts.get(host) {
            return Some(target.clone());
        }
        if host.bytes().any(|b| b.is_ascii_uppercase()) {
            return self.find(&host.to_ascii_lowercase());
        }
        let is_platform = host == "localhost" || host.parse::<IpAddr>().is_ok();
        is_platform.then_some(Target::Platform)
    }

    /// Whether cookies for `domain` would reach other apps or the platform.
    pub(crate) fn reaches_others(&self, domain: &[u8]) -> bool {
        let domain = domain.strip_prefix(b".").unwrap_or(domain);
        let domain = domain.strip_suffix(b".").unwrap_or(domain);
        let others = self.platform_hosts.iter().chain([&self.apps_domain]);
        others.filter(|host| !host.is_empty()).any(|host| is_within(host.as_bytes(), domain))
    }

    /// Whether `host` is an app's own name, below the domain that it shares with others.
    pub(crate) fn is_shared(&self, host: &str) -> bool {
        is_within(host.as_bytes(), self.apps_domain.as_bytes())
    }

    /// Retires the backends that `next` no longer has, and returns them.
    pub(crate) fn retire_for(&self, next: &Table) -> Vec<Arc<Backend>> {
        let mut retired = Vec::new();
        for app in self.apps.values() {
            let kept = next.apps.get(&app.id);
            for backend in app.all() {
                let stays = kept.is_some_and(|a| a.all().any(|b| Arc::ptr_eq(b, backend)));
                if !stays {
                    backend.retire();
                    retired.push(backend.clone());
                }
            }
        }
        retired
    }
}

/// Whether `host` is `domain` or below it.
fn is_within(host: &[u8], domain: &[u8]) -> bool {
    let Some(at) = host.len().checked_sub(domain.len()) else { return false };
    host[at..].eq_ignore_ascii_case(domain) && (at == 0 || host[at - 1] == b'.')
}

fn normal(host: &str) -> Box<str> {
    host_name(host).to_ascii_lowercase().into()
}

/// The name in a `Host` header: without port, without the dot at the end, without brackets.
pub(crate) fn host_name(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => match host.rsplit_once(':') {
            // More than one colon is a bare IPv6 address.
            Some((name, _)) if !name.contains(':') => name,
            _ => host,
        },
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::routes::AppRoute;

    #[track_caller]
    fn check(host: &str, expected: &str) {
        let routes = Routes {
            version: 1,
            platform_hosts: vec!["Example.com".into(), "api.example.com".into()],
            apps_domain: "apps.example.com".into(),
            apps: vec![AppRoute {
                app_id: AppId::from_u128(1),
                name: "shop".into(),
                hosts: vec!["www.Shop.example".into(), "api.example.com".into()],
                state: AppState::Up,
                dynos: vec![],
                standby: vec![],
            }],
        };
        let pool = Pool::new(1, Files::for_backends(1));
        let found = match Table::new(&routes, &Table::default(), &pool).find(host_name(host)) {
            None => "nothing".to_owned(),
            Some(Target::Platform) => "platform".to_owned(),
            Some(Target::App(app)) => app.name.clone(),
        };
        assert_eq!(found, expected, "{host}");
    }

    #[test]
    fn hosts_lead_where_they_should() {
        check("shop.apps.example.com", "shop");
        check("SHOP.apps.Example.com:5000", "shop");
        check("shop.apps.example.com.", "shop");
        check("shop.apps.example.com.:80", "shop");
        check("www.shop.example", "shop");
        check("example.com", "platform");
        check("api.example.com:443", "platform");
        check("LOCALHOST:5000", "platform");
        check("127.0.0.1:5000", "platform");
        check("[::1]:5000", "platform");
        check("[::1]", "platform");
        check("::1", "platform");
        check("shopx.apps.example.com", "nothing");
        check("apps.example.com", "nothing");
        check("a.shop.apps.example.com", "nothing");
        check("", "nothing");
    }
}
