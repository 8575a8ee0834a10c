//! Quotas with their usage, as bars; and the address of the page that changes them.

use api::quotas::{Quota, bytes};
use leptos::{either::Either, prelude::*};
use ui::{
    parts::{Each, Meter},
    words,
};

/// The URL of the quotas of `whose`: an email address or team name.
pub fn page_of(whose: &str) -> String {
    format!("/quotas?of={}#of", api::client::segment(whose))
}

/// The title of a quota; its name if a newer platform added it.
pub fn title(name: &str) -> String {
    let known = match name {
        "apps" => "Apps",
        "dynos" => "Dynos",
        "memory_mb" => "Memory",
        "pending_builds" => "Unfinished builds",
        "upload_bytes" => "Uploads",
        "repository_bytes" => "Repositories",
        "teams" => "Teams",
        "service_accounts" => "Service accounts",
        _ => {
            let mut words = name.replace('_', " ");
            if let Some(first) = words.get_mut(0..1) {
                first.make_ascii_uppercase();
            }
            return words;
        }
    };
    known.to_owned()
}

/// What it counts, unless the title already says so. The unit is omitted, as it is part of sizes.
pub fn counted(quota: &Quota) -> String {
    let words = quota.description.as_str();
    let words = words.strip_prefix("MB of ").or_else(|| words.strip_prefix("bytes of ")).unwrap_or(words);
    if title(&quota.name).eq_ignore_ascii_case(words) { String::new() } else { words.to_owned() }
}

/// `3 of 100`, `297 MB of 10 GB`, `3, no limit`.
pub fn used(quota: &Quota) -> String {
    let number = |n: i64| words::thousands(n.try_into().unwrap_or_default());
    match (bytes(&quota.name, quota.used).filter(|used| *used > 0), quota.most) {
        (Some(used), Some(most)) => words::bytes_of(used, bytes(&quota.name, most).unwrap_or_default()),
        (Some(used), None) => format!("{}, no limit", words::bytes(used)),
        (None, Some(most)) => {
            let most = bytes(&quota.name, most).map_or_else(|| number(most), words::bytes);
            format!("{} of {most}", number(quota.used))
        }
        (None, None) => format!("{}, no limit", number(quota.used)),
    }
}

/// The cells with the title and the usage of a quota.
#[component]
pub fn Use(
    /// The current quota.
    #[prop(into)]
    quota: Signal<Quota>,
) -> impl IntoView {
    let first = quota.get_untracked();
    let name = title(&first.name);
    let (value, limit) = (
        Signal::derive(move || quota.with(|q| q.used) as f64),
        // A quota of zero is always full.
        Signal::derive(move || quota.with(|q| q.most.unwrap_or_default().max(1)) as f64),
    );
    let is_full = move || quota.with(|q| q.most == Some(0));
    let value = Signal::derive(move || if is_full() { 1.0 } else { value.get() });
    view! {
        <td role="cell" class="w"><span class="name">{name.clone()}</span><span class="meta" style="display:block">{counted(&first)}</span></td>
        <td role="cell" class="full-s quota-bar">
            {move || quota.with(|q| q.most.is_some()).then(|| view! { <Meter label=format!("{name} used") value limit/> })}
        </td>
        <td role="cell" class="r quota-used" data-l="used">{move || quota.with(used)}</td>
    }
    .into_any()
}

/// A read-only table of quotas with bars.
#[component]
pub fn QuotaTable(now: Signal<Vec<Quota>>) -> impl IntoView {
    view! {
        <div class="card"><div class="tw"><table role="table" class="table">
            <thead role="rowgroup"><tr role="row">
                <th role="columnheader">"Quota"</th><th role="columnheader"><span class="vh">"Share"</span></th><th role="columnheader" class="r">"Used"</th>
            </tr></thead>
            <tbody role="rowgroup">
                <Each each=move || now.get() key=|q| q.clone() let:quota><tr role="row"><Use quota/></tr></Each>
            </tbody>
        </table></div>
        {move || now.with(|all| {
            let is_reached = all.iter().any(|q| q.most.is_some_and(|most| q.used >= most));
            match is_reached {
                true => Either::Left(view! { <div class="ft">"When a quota is reached, nothing more can be added. Remove something, or ask a platform administrator to raise the quota."</div> }),
                false => Either::Right(()),
            }
        })}
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(name: &str, used: i64, most: Option<i64>) -> Quota {
        Quota { name: name.into(), description: "MB of memory of all dynos".into(), most, used, is_own: false }
    }

    #[test]
    fn usage_has_readable_units() {
        assert_eq!(used(&quota("apps", 3, Some(1000))), "3 of 1,000");
        assert_eq!(used(&quota("memory_mb", 512, Some(100 << 10))), "512 MB of 100 GB");
        assert_eq!(used(&quota("upload_bytes", 0, None)), "0, no limit");
        assert_eq!(used(&quota("upload_bytes", 0, Some(10 << 30))), "0 of 10 GB");
        assert_eq!(counted(&quota("memory_mb", 0, None)), "memory of all dynos");
        let apps = Quota { description: "apps".into(), ..quota("apps", 0, None) };
        assert_eq!(counted(&apps), "");
    }

    #[test]
    fn addresses_are_encoded_in_urls() {
        assert_eq!(page_of("ada+x@acme.test"), "/quotas?of=ada%2Bx%40acme.test#of");
    }

    #[test]
    fn unknown_quotas_are_named() {
        assert_eq!(title("memory_mb"), "Memory");
        assert_eq!(title("log_drains"), "Log drains");
        assert_eq!(title(""), "");
    }
}
