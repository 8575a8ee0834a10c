//! The mail server, which sends e-mail about invitations: a section of the sign-in settings, for administrators.

use api::mails::{MailServer, MailServerUpdate, MailTest, MailTested, MailTls};
use leptos::prelude::*;
use ui::{
    data::{LiveData, client, refetched},
    parts::{ConfirmDialog, Glyph, Show, Toasts, act, field},
};

/// The encryptions with their labels.
const TLS: [(MailTls, &str); 3] = [
    (MailTls::StartTls, "STARTTLS (port 587)"),
    (MailTls::Tls, "TLS (port 465)"),
    (MailTls::None, "none, in a trusted network (port 25)"),
];

/// The mail server and its test.
#[component]
pub fn MailServerSection() -> impl IntoView {
    let first = client();
    let server: LiveData<MailServer> = refetched(&["mail_server"], || (), move |()| first.mail_server_info());
    view! {
        <section class="sec" aria-labelledby="mail-h">
            <div class="sec-h"><h2 id="mail-h">"E-mail"</h2><span class="meta">"tells people that they were invited, added to an app or offered one"</span></div>
            {server.show(4, move |now| view! {
                <div class="card">
                    <Fields server now/>
                    <Show when=move || now.with(|s| s.configured)><Test/><Remove server/></Show>
                </div>
            })}
        </section>
    }
    .into_any()
}

#[component]
fn Fields(server: LiveData<MailServer>, now: Signal<MailServer>) -> impl IntoView {
    let (busy, client, toasts) = (RwSignal::new(false), client(), Toasts::of_page());
    let was = now.get_untracked();
    let port = if was.configured { was.port.to_string() } else { String::new() };
    let (host, port) = (RwSignal::new(was.host), RwSignal::new(port));
    let (user, password) = (RwSignal::new(was.user.unwrap_or_default()), RwSignal::new(String::new()));
    let (sender, tls) = (RwSignal::new(was.sender), RwSignal::new(was.tls.to_string()));
    let save = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let typed = password.get_untracked();
        // Without a port, the server chooses the usual one. It rejects 0.
        let typed_port = port.get_untracked().trim().to_owned();
        let given = (!typed_port.is_empty()).then(|| typed_port.parse().unwrap_or(0));
        let update = MailServerUpdate {
            host: Some(host.get_untracked()),
            port: given,
            tls: Some(tls.get_untracked()),
            user: Some(user.get_untracked().trim().to_owned()),
            password: (!typed.is_empty()).then_some(typed),
            sender: Some(sender.get_untracked()),
        };
        act(busy, "Could not save the mail server", client.mail_server_update(&update), move |saved| {
            password.try_set(String::new());
            port.try_set(saved.port.to_string());
            server.put(saved);
            toasts.done("Mail server saved");
        });
    };
    let secret = move || {
        if now.with(|s| s.has_password) {
            "Stored. Enter it again to change the server or the user."
        } else {
            "Stored encrypted, and never shown."
        }
    };
    view! {
        <form class="in row wrap g4" style="align-items:flex-start" aria-label="Mail server" on:submit=save>
            {field("smtp-host", "SMTP server", "text", host, "Its name or address. It can be in your own network.")}
            {field("smtp-port", "SMTP port", "text", port, "Empty: the usual one.")}
            <div class="field" style="flex:1 1 220px">
                <label for="smtp-tls">"Encryption"</label>
                <select class="select" style="width:100%" id="smtp-tls" on:change=move |ev| tls.set(event_target_value(&ev))>
                    {TLS.into_iter().map(|(value, word)| view! { <option value=value.as_str() selected=tls.get_untracked() == value.as_str()>{word}</option> }).collect_view()}
                </select>
            </div>
            {field("smtp-sender", "Sender address", "email", sender, "Messages come from this address.")}
            {field("smtp-user", "SMTP user", "text", user, "Empty: without signing in to the server.")}
            <div class="field" style="flex:1 1 220px">
                <label for="smtp-password">"SMTP password"</label>
                <input class="input" id="smtp-password" type="password" autocomplete="new-password" aria-describedby="smtp-password-hint"
                    prop:value=move || password.get() on:input=move |ev| password.set(event_target_value(&ev))/>
                <span class="hint" id="smtp-password-hint">{secret}</span>
            </div>
            <button class="btn" type="submit" style="margin-top:26px" aria-busy=move || busy.get().to_string()>"Save mail server"</button>
        </form>
    }
    .into_any()
}

#[component]
fn Test() -> impl IntoView {
    let (busy, client) = (RwSignal::new(false), client());
    let (to, tested) = (RwSignal::new(String::new()), RwSignal::new(None::<MailTested>));
    let test = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        tested.set(None);
        let to = to.get_untracked().trim().to_owned();
        let test = MailTest { to: (!to.is_empty()).then_some(to) };
        act(busy, "Could not send a test message", client.mail_server_test(&test), move |answer| {
            tested.try_set(Some(answer));
        });
    };
    view! {
        <form class="ft" aria-label="Test message" on:submit=test>
            <label for="smtp-to">"Test message to"</label>
            <input class="input sm" style="flex:1 1 220px" id="smtp-to" type="email" autocomplete="off" placeholder="you"
                prop:value=move || to.get() on:input=move |ev| to.set(event_target_value(&ev))/>
            <button class="btn sm" type="submit" aria-busy=move || busy.get().to_string()>"Send test message"</button>
        </form>
        <div role="status">{move || tested.get().map(|tested| {
            let (tone, glyph) = if tested.ok { ("note info", "info") } else { ("note bad", "bad") };
            let verb = if tested.ok { "Accepted by the mail server for" } else { "Not sent to" };
            view! { <div class="notes"><div class=tone><Glyph name=glyph/><span>{verb}" "{tested.to}": "<code>{tested.answer}</code></span></div></div> }
        })}</div>
    }
    .into_any()
}

#[component]
fn Remove(server: LiveData<MailServer>) -> impl IntoView {
    let (busy, client, toasts) = (RwSignal::new(false), client(), Toasts::of_page());
    let remove = Callback::new(move |()| {
        act(busy, "Could not remove the mail server", client.mail_server_delete(), move |now| {
            server.put(now);
            toasts.done("Mail server removed");
        });
    });
    let effects = vec!["No e-mail is sent any more; messages that wait are given up".into()];
    view! { <div class="ft"><span class="push"><ConfirmDialog verb="Remove" what="the mail server" effects busy on_click=remove/></span></div> }
        .into_any()
}
