//! Backups of the platform: a section of its page, for administrators.

use api::{
    backups::{Backup, BackupPolicy, BackupPolicyUpdate, BackupState},
    client::Page,
};
use leptos::{either::Either, prelude::*};
use ui::{
    clock::Clock,
    data::{LiveData, client, paged, refetched},
    parts::{ActButton, Ago, Each, Pager, Show, Status, Toasts, Tone, act, field},
    words,
};

/// Where and when backups are made, and the newest ones.
#[component]
pub fn Backups() -> impl IntoView {
    let first = client();
    let policy: LiveData<BackupPolicy> = refetched(&["backup_policy"], || (), move |()| first.backup_policy_info());
    let second = client();
    let backups: LiveData<Page<Backup>> =
        paged("backups", &["backup", "backup_policy", "schedule"], || (), move |(), after| second.backup_page(after));
    view! {
        <section class="sec" id="backups" aria-labelledby="backups-h">
            <div class="sec-h"><h2 id="backups-h">"Backups"</h2><span class="meta">"encrypted; each is restored into a temporary database to verify it"</span></div>
            {policy.show(4, move |now| view! { <Settings policy now/> })}
            {backups.show(3, move |list| view! { <List list/> })}
        </section>
    }
    .into_any()
}

/// The fields of the policy, as typed.
#[derive(Clone, Copy)]
struct Typed {
    target: RwSignal<String>,
    endpoint: RwSignal<String>,
    region: RwSignal<String>,
    access_key_id: RwSignal<String>,
    secret: RwSignal<String>,
    passphrase: RwSignal<String>,
    cron: RwSignal<String>,
    zone: RwSignal<String>,
    keep: RwSignal<String>,
    is_kept: RwSignal<bool>,
    with_logs: RwSignal<bool>,
}

impl Typed {
    fn new(now: &BackupPolicy) -> Self {
        let text = |text: &Option<String>| RwSignal::new(text.clone().unwrap_or_default());
        Self {
            target: text(&now.target),
            endpoint: text(&now.endpoint),
            region: text(&now.region),
            access_key_id: text(&now.access_key_id),
            secret: RwSignal::new(String::new()),
            passphrase: RwSignal::new(String::new()),
            cron: RwSignal::new(now.cron.clone()),
            zone: RwSignal::new(now.zone.clone()),
            keep: RwSignal::new(now.keep.to_string()),
            is_kept: RwSignal::new(now.target.is_some() && !now.has_passphrase),
            with_logs: RwSignal::new(now.with_logs),
        }
    }

    /// What to change. Secrets that were not typed stay.
    fn update(self) -> BackupPolicyUpdate {
        let typed = |signal: RwSignal<String>| Some(signal.get_untracked());
        let secret = |signal: RwSignal<String>| Some(signal.get_untracked()).filter(|text| !text.is_empty());
        BackupPolicyUpdate {
            target: typed(self.target),
            endpoint: typed(self.endpoint),
            region: typed(self.region),
            access_key_id: typed(self.access_key_id),
            secret_access_key: secret(self.secret),
            passphrase: secret(self.passphrase),
            key_is_kept_elsewhere: Some(self.is_kept.get_untracked()),
            with_logs: Some(self.with_logs.get_untracked()),
            keep: self.keep.get_untracked().trim().parse().ok(),
            cron: typed(self.cron),
            zone: typed(self.zone),
        }
    }
}

#[component]
fn Settings(policy: LiveData<BackupPolicy>, now: Signal<BackupPolicy>) -> impl IntoView {
    let (busy, client, toasts) = (RwSignal::new(false), client(), Toasts::of_page());
    let typed = Typed::new(&now.get_untracked());
    let save = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        act(busy, "Could not save the settings", client.backup_policy_update(&typed.update()), move |saved| {
            policy.put(saved);
            typed.secret.set(String::new());
            typed.passphrase.set(String::new());
            toasts.done("Settings saved");
        });
    };
    let is_bucket = move || typed.target.with(|target| target.trim().starts_with("s3://"));
    view! {
        <form class="card" aria-label="Backups" on:submit=save>
            <div class="in stack g4">
                <div class="row wrap g4" style="align-items:flex-start">
                    {field("backup-target", "Target", "text", typed.target, "A folder on another disk, or s3://bucket/prefix. Empty: no backups.")}
                    {field("backup-cron", "When", "text", typed.cron, "In crontab syntax: 30 3 * * * is daily at 3:30.")}
                    {field("backup-zone", "Time zone", "text", typed.zone, "Such as Europe/Berlin")}
                    {field("backup-keep", "Days to keep", "number", typed.keep, "The last backup of each day is kept.")}
                </div>
                <Show when=is_bucket>
                    <div class="row wrap g4" style="align-items:flex-start">
                        {field("backup-endpoint", "Endpoint", "url", typed.endpoint, "The URL of an S3-compatible service. Empty: Amazon S3.")}
                        {field("backup-region", "Region", "text", typed.region, "Such as eu-central-1")}
                        {field("backup-key", "Access key ID", "text", typed.access_key_id, "It has to list, read, write and delete objects.")}
                        {field("backup-secret", "Secret access key", "password", typed.secret, "Stored encrypted and never shown. Empty: unchanged.")}
                    </div>
                </Show>
                <div class="row wrap g4" style="align-items:flex-start">
                    {field("backup-passphrase", "Passphrase", "password", typed.passphrase, "Restores the backups on another machine; at least 12 characters. It is not stored: keep it in a password manager. Empty: unchanged.")}
                </div>
                <label class="check"><input type="checkbox" prop:checked=move || typed.is_kept.get() on:change=move |ev| typed.is_kept.set(event_target_checked(&ev))/>"No passphrase: I keep a copy of master.key elsewhere"</label>
                <label class="check"><input type="checkbox" prop:checked=move || typed.with_logs.get() on:change=move |ev| typed.with_logs.set(event_target_checked(&ev))/>"Include logs, metrics and the output of builds"</label>
            </div>
            <div class="ft">
                <span class="meta"><Next now/></span>
                <span class="push"></span>
                <RunNow now/>
                <button class="btn pri" type="submit" aria-busy=move || busy.get().to_string()>"Save"</button>
            </div>
        </form>
    }
    .into_any()
}

/// When the next backup is made.
#[component]
fn Next(now: Signal<BackupPolicy>) -> impl IntoView {
    let clock = Clock::of_page();
    move || match now.with(|policy| policy.next_run_at) {
        Some(at) => format!("The next backup is due {}.", words::until(at, clock)),
        None => "No backups are scheduled.".to_owned(),
    }
}

#[component]
fn RunNow(now: Signal<BackupPolicy>) -> impl IntoView {
    let (busy, client, toasts) = (RwSignal::new(false), StoredValue::new(client()), Toasts::of_page());
    let run = Callback::new(move |()| {
        let request = client.with_value(|client| client.schedule_run("backups"));
        act(busy, "Could not begin a backup", request, move |_| toasts.done("Backup started"));
    });
    view! {
        <Show when=move || now.with(|policy| policy.target.is_some())>
            <ActButton class="btn".to_owned() busy on_click=run>"Back up now"</ActButton>
        </Show>
    }
    .into_any()
}

#[component]
fn List(list: Signal<Page<Backup>>) -> impl IntoView {
    let key = |backup: &Backup| (backup.id, backup.state, backup.removed_at);
    view! {
        <Show
            when=move || list.with(|p| !p.items.is_empty())
            fallback=|| view! { <div class="card"><p class="in small dim">"There are no backups yet."</p></div> }
        >
            <div class="card"><div class="tw"><table role="table" class="table">
                <thead role="rowgroup"><tr role="row">
                    <th role="columnheader">"Backup"</th><th role="columnheader">"State"</th><th role="columnheader" class="r">"Size"</th>
                    <th role="columnheader" class="r">"Duration"</th><th role="columnheader">"Verified"</th>
                </tr></thead>
                <tbody role="rowgroup">
                    <Each each=move || list.with(|p| p.items.clone()) key let:backup><Row backup/></Each>
                </tbody>
            </table></div></div>
        </Show>
        <Pager name="backups" what="backups" next=Signal::derive(move || list.with(|p| p.next.clone()))/>
    }
    .into_any()
}

/// The tone and the label of a state.
fn status(backup: &Backup) -> (Tone, &'static str) {
    match backup.state {
        _ if backup.removed_at.is_some() => (Tone::Idle, "Expired"),
        BackupState::Running => (Tone::Busy, "Running"),
        BackupState::Completed => (Tone::Busy, "Verifying"),
        BackupState::Verified => (Tone::Ok, "Verified"),
        BackupState::Failed => (Tone::Bad, "Failed"),
        BackupState::Unknown => (Tone::Idle, "Unknown"),
    }
}

#[component]
fn Row(backup: Backup) -> impl IntoView {
    let (tone, word) = status(&backup);
    let size = match backup.bytes {
        0 => String::new(),
        bytes => format!("{}, {} new", words::bytes(bytes), words::bytes(backup.stored_bytes)),
    };
    let duration = backup.finished_at.map(|at| words::span((at - backup.started_at).num_seconds()));
    view! {
        <tr role="row">
            <td role="cell" class="w">
                <span class="name mono small">{backup.name}</span>
                <div class="meta" style="overflow-wrap:anywhere">{backup.target}{if backup.with_logs { "" } else { ", without logs" }}</div>
                {backup.error.map(|why| view! { <div class="meta t-bad" style="overflow-wrap:anywhere">{why}</div> })}
            </td>
            <td role="cell"><Status tone=tone word=word.to_owned()/></td>
            <td role="cell" class="r" data-l="size">{size}</td>
            <td role="cell" class="r" data-l="duration">{duration}</td>
            <td role="cell" class="dim" data-l="verified">{match backup.verified_at {
                Some(at) => Either::Left(view! { <Ago at=at/> }),
                None => Either::Right("never"),
            }}</td>
        </tr>
    }
    .into_any()
}
