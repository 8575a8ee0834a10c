//! The form that sets quotas: a field for each, and one button for all changes.

use std::collections::BTreeMap;

use accounts::quotas::{Use, counted, title};
use api::quotas::{Quota, QuotaUpdate, amount, bytes, written};
use leptos::{either::Either, prelude::*};
use ui::{
    data::{LiveData, client},
    parts::{ActButton, Each, Toasts, act, dom},
};

use super::Whose;

/// Unsaved input by quota name.
type Typed = RwSignal<BTreeMap<String, String>>;

/// The form. `now` is the current value of `quotas`.
#[component]
pub fn ChangeQuotas(whose: Whose, quotas: LiveData<Vec<Quota>>, now: Signal<Vec<Quota>>) -> impl IntoView {
    let (busy, client, toasts) = (RwSignal::new(false), client(), Toasts::of_page());
    let (typed, wrong): (Typed, _) = (RwSignal::default(), RwSignal::new(None::<(String, String)>));
    let is_everybodys = whose == Whose::Everybody;
    let label = match &whose {
        Whose::Everybody => "Default quotas".to_owned(),
        Whose::User(user) => format!("Quotas of {user}"),
        Whose::Team(team) => format!("Quotas of the team {team}"),
    };
    let save = Callback::new(move |update: QuotaUpdate| {
        let request = match &whose {
            Whose::Everybody => client.quota_update(&update),
            Whose::User(user) => client.user_quota_update(user, &update),
            Whose::Team(team) => client.team_quota_update(team, &update),
        };
        act(busy, "Could not change the quotas", request, move |saved: Vec<Quota>| {
            typed.update(|typed| typed.retain(|name, _| !update.contains_key(name)));
            quotas.put(saved);
            toasts.done("Quotas saved");
        });
    });
    let submit = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        wrong.set(None);
        match typed.with_untracked(read) {
            Ok(update) if update.is_empty() => toasts.done("No changes to save"),
            Ok(update) => save.run(update),
            Err((name, why)) => {
                wrong.set(Some((name, why)));
                dom::focus_in("main", "input[aria-invalid=true]");
            }
        }
    };
    let reset = Callback::new(move |name: String| {
        typed.update(|typed| _ = typed.remove(&name));
        save.run(BTreeMap::from([(name, None)]));
    });
    let field = Field { typed, wrong, now, busy, reset, is_everybodys };
    view! {
        <form class="card" aria-label=label on:submit=submit>
            <div class="tw"><table role="table" class="table">
                <thead role="rowgroup"><tr role="row">
                    <th role="columnheader">"Quota"</th>
                    {(!is_everybodys).then(|| view! { <th role="columnheader"><span class="vh">"Share"</span></th><th role="columnheader" class="r">"Used"</th> })}
                    <th role="columnheader">"Limit"</th><th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                </tr></thead>
                <tbody role="rowgroup">
                    <Each each=move || now.get() key=|q| (q.name.clone(), q.most, q.is_own) let:quota><Row quota field/></Each>
                </tbody>
            </table></div>
            <div class="ft">
                <span>{if is_everybodys { "Sizes like 512 MB or 20 GB. Clear or reset a field to restore Wharf's default." } else { "Sizes like 512 MB or 20 GB. Clear or reset a field to restore the default." }}</span>
                <span class="push"></span>
                <button class="btn sm pri" type="submit" aria-busy=move || busy.get().to_string()>"Save quotas"</button>
            </div>
        </form>
    }
    .into_any()
}

/// State shared by the fields.
#[derive(Clone, Copy)]
struct Field {
    typed: Typed,
    /// The invalid field and the reason.
    wrong: RwSignal<Option<(String, String)>>,
    now: Signal<Vec<Quota>>,
    busy: RwSignal<bool>,
    reset: Callback<String>,
    is_everybodys: bool,
}

/// Parses all input, or fails with the invalid field and the reason. An empty field resets the quota.
fn read(typed: &BTreeMap<String, String>) -> Result<QuotaUpdate, (String, String)> {
    let one = |(name, text): (&String, &String)| match (text.trim(), amount(name, text)) {
        ("", _) => Ok((name.clone(), None)),
        (_, Some(most)) => Ok((name.clone(), Some(most))),
        (_, None) => {
            let how = if bytes(name, 0).is_some() { "a size like 512 MB or 20 GB" } else { "a whole number" };
            Err((name.clone(), format!("Enter {how}.")))
        }
    };
    typed.iter().map(one).collect()
}

#[component]
fn Row(quota: Quota, field: Field) -> impl IntoView {
    let Field { typed, wrong, now, busy, reset, is_everybodys } = field;
    let first = quota.clone();
    let name = StoredValue::new(quota.name.clone());
    let called = title(&quota.name);
    let saved = StoredValue::new(quota.most.map(|most| written(&quota.name, most)).unwrap_or_default());
    let shown = move || typed.with(|t| name.with_value(|n| t.get(n).cloned())).unwrap_or_else(|| saved.get_value());
    let enter = move |ev: leptos::ev::Event| {
        let text = event_target_value(&ev);
        let is_saved = saved.with_value(|saved| *saved == text);
        typed.update(|typed| match is_saved {
            true => _ = typed.remove(&name.get_value()),
            false => _ = typed.insert(name.get_value(), text),
        });
    };
    let why = move || wrong.with(|w| w.as_ref().filter(|(of, _)| name.with_value(|n| n == of)).map(|w| w.1.clone()));
    let current = Signal::derive(move || {
        now.with(|all| all.iter().find(|q| name.with_value(|n| *n == q.name)).cloned()).unwrap_or_else(|| first.clone())
    });
    let why_id = format!("why-{}-{}", if is_everybodys { "all" } else { "one" }, quota.name);
    let (label, hint) = (format!("{called}, limit"), if quota.most.is_none() { "no limit" } else { "" });
    view! {
        <tr role="row">
            {if is_everybodys {
                Either::Left(view! { <td role="cell" class="w"><span class="name">{called.clone()}</span><span class="meta" style="display:block">{counted(&quota)}</span></td> })
            } else {
                Either::Right(view! { <Use quota=current/> })
            }}
            <td role="cell" class="full-s quota-most">
                <input class="input sm" aria-label=label autocomplete="off" inputmode="text" placeholder=hint aria-describedby=why_id.clone()
                    aria-invalid=move || why().is_some().to_string() value=saved.get_value() prop:value=shown on:input=enter/>
                <span class="hint t-bad" id=why_id role="alert">{why}</span>
            </td>
            <td role="cell" class="act">
                {quota.is_own.then(|| view! { <span class="chip line">"custom"</span>" " })}
                {(is_everybodys || quota.is_own).then(|| view! {
                    <ActButton class="btn gho sm".to_owned() busy on_click=Callback::new(move |()| reset.run(name.get_value()))>"Reset"<span class="vh">" "{called}</span></ActButton>
                })}
            </td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn input_is_parsed() {
        let read_all = read(&typed(&[("apps", " 20"), ("memory_mb", "2 GB"), ("dynos", "")])).unwrap();
        assert_eq!(read_all.into_values().collect::<Vec<_>>(), [Some(20), None, Some(2048)]);
        assert_eq!(read(&typed(&[("apps", "2 GB")])).unwrap_err().1, "Enter a whole number.");
        assert_eq!(read(&typed(&[("upload_bytes", "lots")])).unwrap_err().0, "upload_bytes");
    }
}
