//! Passwords: the sign-in form, the section of the account page, and the switch for administrators.

use api::passwords::{
    Password, PasswordCreate, PasswordEnrolment, PasswordPolicy, PasswordPolicyUpdate, PasswordProof, PasswordSignIn,
    PasswordUpdate,
};
use leptos::{html, prelude::*};
use ui::{
    data::{LiveData, client, refetched},
    parts::{ActButton, Ago, CopyButton, Glyph, Icon, Show, Toasts, act, dom},
    words,
};

/// The element of the sign-in page that shows errors.
pub const REFUSED: &str = "refused";

/// Email address, password and code on the sign-in page. Without scripts the server handles the form.
#[component]
pub fn PasswordForm(
    next: Option<String>,
    /// Whether there is no other sign-in method above it.
    is_first: bool,
    /// The error, shown by the page.
    refused: RwSignal<Option<String>>,
) -> impl IntoView {
    let (email, password, code) = (NodeRef::<html::Input>::new(), NodeRef::new(), NodeRef::new());
    let (busy, client) = (RwSignal::new(false), client());
    let next = next.unwrap_or_default();
    let to = next.clone();
    let sign_in = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        // From the fields: browsers autofill them before hydration.
        let typed = |field: NodeRef<html::Input>| field.get_untracked().map(|f| f.value()).unwrap_or_default();
        let sign_in =
            PasswordSignIn { email: typed(email), password: typed(password), code: typed(code), next: to.clone() };
        let request = client.password_sign_in(&sign_in);
        leptos::task::spawn_local(async move {
            match request.await {
                Ok(signed_in) => _ = window().location().set_href(&signed_in.next),
                Err(error) => {
                    busy.try_set(false);
                    refused.try_set(Some(error.message));
                    if let Some(code) = code.get_untracked() {
                        code.set_value("");
                    }
                    dom::bring(REFUSED);
                }
            }
        });
    };
    view! {
        <form class="stack g4" method="post" action="/forms/login" on:submit=sign_in>
            <input type="hidden" name="next" value=next/>
            <div class="field"><label for="email">"Email address"</label>
                <input class="input" id="email" name="email" type="email" autocomplete="username" required node_ref=email/></div>
            <div class="field"><label for="password">"Password"</label>
                <input class="input" id="password" name="password" type="password" autocomplete="current-password" required node_ref=password/></div>
            <div class="field"><label for="code">"Code"</label>
                <input class="input mono" id="code" name="code" type="text" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" aria-describedby="code-hint" required node_ref=code/>
                <span class="hint" id="code-hint">"The six-digit code from your authenticator app, or a recovery code"</span></div>
            <button class=if is_first { "btn pri" } else { "btn" } type="submit" aria-busy=move || busy.get().to_string()><Icon name="key"/>"Sign in with password"</button>
        </form>
    }
    .into_any()
}

/// The state of the password section.
#[derive(Clone, PartialEq)]
enum Step {
    Rest,
    /// Setup: the authenticator app gets the secret, and a code has to confirm it.
    Enrol(PasswordEnrolment),
    /// Active: the recovery codes, shown once.
    Codes(Vec<String>),
}

/// The user's own password: a section of the account page. Empty if passwords are off.
#[component]
pub fn Passwords(password: LiveData<Password>) -> impl IntoView {
    let step = RwSignal::new(Step::Rest);
    // What is shown only once, and has the focus, is not rerendered when a response arrives.
    let card = move |now: &dyn Fn() -> Password| match step.get() {
        Step::Codes(codes) => view! { <Codes codes step/> }.into_any(),
        Step::Enrol(enrolment) => view! { <Enrol enrolment step password/> }.into_any(),
        Step::Rest => match now() {
            now if now.set => view! { <InForce now password/> }.into_any(),
            _ => view! { <Begin step/> }.into_any(),
        },
    };
    view! {
        {password.show(1, move |now| view! {
            <Show when=move || now.with(|p| p.enabled || p.set)>
                <section class="sec" id="password" aria-labelledby="password-h">
                    <div class="sec-h"><h2 id="password-h">"Password"</h2><span class="meta">"with an authenticator app, to sign in without a provider"</span></div>
                    <div class="card">{move || card(&|| now.get())}</div>
                </section>
            </Show>
        })}
    }
    .into_any()
}

/// A field with its label.
fn field(
    id: &'static str,
    label: &'static str,
    (kind, autocomplete): (&'static str, &'static str),
    value: RwSignal<String>,
) -> AnyView {
    view! {
        <div class="field" style="flex:1 1 220px">
            <label for=id>{label}</label>
            <input class="input" id=id type=kind autocomplete=autocomplete autocapitalize="none" spellcheck="false" required
                prop:value=move || value.get() on:input=move |ev| value.set(event_target_value(&ev))/>
        </div>
    }
    .into_any()
}

const NEW: (&str, &str) = ("password", "new-password");
const CODE: (&str, &str) = ("text", "one-time-code");

#[component]
fn Begin(step: RwSignal<Step>) -> impl IntoView {
    let (password, busy, client) = (RwSignal::new(String::new()), RwSignal::new(false), client());
    let begin = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let create = PasswordCreate { password: password.get_untracked() };
        act(busy, "Could not set the password", client.password_create(&create), move |enrolment| {
            step.set(Step::Enrol(enrolment));
            dom::bring("enrol-h");
        });
    };
    view! {
        <form class="in stack g3" on:submit=begin>
            <p class="small dim">"At least 12 characters. Next, you set up an authenticator app."</p>
            <div class="row wrap g4" style="align-items:flex-end">
                {field("new-password", "New password", NEW, password)}
                <button class="btn" type="submit" aria-busy=move || busy.get().to_string()>"Set a password"</button>
            </div>
        </form>
    }
    .into_any()
}

#[component]
fn Enrol(enrolment: PasswordEnrolment, step: RwSignal<Step>, password: LiveData<Password>) -> impl IntoView {
    let (code, busy, client) = (RwSignal::new(String::new()), RwSignal::new(false), client());
    let confirm = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let proof = PasswordProof { code: code.get_untracked() };
        act(busy, "Could not activate the password", client.password_confirm(&proof), move |made| {
            step.set(Step::Codes(made.codes));
            password.refetch();
        });
    };
    // A data URL, in which scripts cannot run, instead of markup in the page.
    let picture = format!("data:image/svg+xml,{}", api::client::segment(&enrolment.qr));
    view! {
        <div class="in enrol">
            <img class="qr" src=picture width="200" height="200" alt="QR code of the secret below, for an authenticator app"/>
            <div class="stack g3 small">
                <h3 id="enrol-h" tabindex="-1">"Add Wharf to your authenticator app"</h3>
                <p>"Scan the QR code with the authenticator app, "<a class="ul" href=enrolment.uri rel="external">"open it on this device"</a>", or enter the secret:"</p>
                <div class="cmd"><code tabindex="0">{enrolment.secret.clone()}</code><CopyButton text=enrolment.secret label="Copy secret"/></div>
                <p class="dim">"The password becomes active once you enter a code from the authenticator app."</p>
            </div>
        </div>
        <form class="ft" style="align-items:flex-end" on:submit=confirm>
            {field("first-code", "Code from the authenticator app", CODE, code)}
            <button class="btn gho" type="button" on:click=move |_| step.set(Step::Rest)>"Cancel"</button>
            <button class="btn pri" type="submit" aria-busy=move || busy.get().to_string()>"Confirm"</button>
        </form>
    }
    .into_any()
}

#[component]
fn Codes(codes: Vec<String>, step: RwSignal<Step>) -> impl IntoView {
    let text = codes.join("\n") + "\n";
    let file = text.clone();
    // Shown once: keyboard focus moves to them when they appear, not when they are requested.
    Effect::new(|_| dom::bring("codes-h"));
    view! {
        <div class="in stack g3 small">
            <h3 id="codes-h" tabindex="-1">"Your recovery codes"</h3>
            <p class="dim">"They are shown only once. Each works once in place of a code if you lose your authenticator. Store them separately from it."</p>
            <ul class="codes mono" aria-label="Recovery codes">{codes.into_iter().map(|code| view! { <li>{code}</li> }).collect_view()}</ul>
        </div>
        <div class="ft">
            <CopyButton text label="Copy recovery codes"/>
            <button class="btn gho sm" type="button" on:click=move |_| dom::download("wharf-recovery-codes.txt", &file)><Icon name="dl" size="i-s"/>"Download"</button>
            <span class="push"></span>
            <button class="btn pri" type="button" on:click=move |_| step.set(Step::Rest)>"I have saved them"</button>
        </div>
    }
    .into_any()
}

#[component]
fn InForce(now: Password, password: LiveData<Password>) -> impl IntoView {
    let left = usize::try_from(now.recovery_codes).unwrap_or_default();
    view! {
        {(!now.enabled).then(|| view! {
            <div class="note warn" role="note"><Glyph name="warn"/><span><b>"Password sign-in is off on this platform."</b>" Your password stays stored but cannot be used."</span></div>
        })}
        <div class="in row wrap g3 small">
            <Icon name="key"/>
            <span class="name">"Password and authenticator app"</span>
            <span class="meta">{words::count(left, "recovery code left", "recovery codes left")}</span>
            {now.updated_at.map(|at| view! { <span class="push meta">"set "<Ago at/></span> })}
        </div>
        {now.enabled.then(|| view! { <Change password/> })}
        <Remove password/>
    }
    .into_any()
}

#[component]
fn Change(password: LiveData<Password>) -> impl IntoView {
    let (new, code) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (busy, client, toasts) = (RwSignal::new(false), client(), Toasts::of_page());
    let change = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let update = PasswordUpdate { password: new.get_untracked(), code: code.get_untracked() };
        act(busy, "Could not change the password", client.password_update(&update), move |now| {
            toasts.done("Password changed; your other sessions have ended");
            password.put(now);
        });
    };
    view! {
        <details class="more small">
            <summary>"Change the password"</summary>
            <form class="stack g3" on:submit=change>
                <p class="dim">"Ends your other sessions. API tokens keep working: revoke any you do not trust. To change the authenticator app, remove the password and set it again."</p>
                <div class="row wrap g4" style="align-items:flex-end">
                    {field("changed-password", "New password", NEW, new)}
                    {field("change-code", "Code or recovery code", CODE, code)}
                    <button class="btn" type="submit" aria-busy=move || busy.get().to_string()>"Change password"</button>
                </div>
            </form>
        </details>
    }
    .into_any()
}

#[component]
fn Remove(password: LiveData<Password>) -> impl IntoView {
    let (code, busy) = (RwSignal::new(String::new()), RwSignal::new(false));
    let (client, toasts) = (client(), Toasts::of_page());
    let remove = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let proof = PasswordProof { code: code.get_untracked() };
        act(busy, "Could not remove the password", client.password_delete(&proof), move |now| {
            toasts.done("Password removed");
            password.put(now);
        });
    };
    view! {
        <details class="more small">
            <summary>"Remove the password"</summary>
            <form class="stack g3" on:submit=remove>
                <p class="dim">"After that, you can sign in through a provider or with a link. The recovery codes are removed too."</p>
                <div class="row wrap g4" style="align-items:flex-end">
                    {field("remove-code", "Code or recovery code", CODE, code)}
                    <button class="btn dgr" type="submit" aria-busy=move || busy.get().to_string()>"Remove password"</button>
                </div>
            </form>
        </details>
    }
    .into_any()
}

/// Whether password sign-in is on: a section of the sign-in settings, for administrators.
#[component]
pub fn PasswordSwitch() -> impl IntoView {
    let first = client();
    let policy: LiveData<PasswordPolicy> =
        refetched(&["password_policy"], || (), move |()| first.password_policy_info());
    let (busy, client) = (RwSignal::new(false), client());
    view! {
        {policy.show(2, move |now| {
            let client = client.clone();
            let turn = Callback::new(move |()| {
                let update = PasswordPolicyUpdate { enabled: Some(!now.get_untracked().enabled) };
                act(busy, "Could not save the change", client.password_policy_update(&update), move |now| policy.put(now));
            });
            let accounts = move || usize::try_from(now.get().accounts).unwrap_or_default();
            view! {
                <section class="sec" aria-labelledby="passwords-h">
                    <div class="sec-h"><h2 id="passwords-h">"Passwords"</h2>
                        <span class="chip line" role="status">{move || if now.get().enabled { "On" } else { "Off" }}</span>
                        <span class="push"><ActButton class="btn sm".to_owned() busy on_click=turn>{move || if now.get().enabled { "Turn passwords off" } else { "Turn passwords on" }}</ActButton></span>
                    </div>
                    <div class="card"><div class="in stack g2 small">
                        <p>{move || if now.get().enabled {
                            "Users can set a password on their account page, and sign in with it and a code from an authenticator app. Anyone who has lost theirs can sign in with a link."
                        } else {
                            "Password sign-in is off. Existing passwords stay stored but cannot be used; existing sessions continue."
                        }}</p>
                        <p class="meta">{move || match accounts() {
                            0 => "No account has a password.".to_owned(),
                            n => format!("{} a password.", words::count(n, "account has", "accounts have")),
                        }}</p>
                    </div></div>
                </section>
            }
        })}
    }
    .into_any()
}
