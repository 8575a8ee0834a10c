//! Creating an app: a name, then the commands to push.

mod form;

use api::{builds::BuildStatus, statuses::AppStatus};
use leptos::{either::Either, prelude::*};
use pages_app::app_frame::{ThisApp, is_deployed};
use ui::{
    data::{client, fetched},
    parts::{BuildOutput, Cmd, Crumb, Deck, Glyph, Icon, PageHead, Show, act},
};

use self::form::NameForm;

/// `/apps/new`
#[component]
pub fn NewAppPage() -> impl IntoView {
    view! {
        <Deck title="New app".to_owned() crumbs=vec![Crumb::to("Apps", "/apps"), Crumb::here("New app")]>
            <div class="page">
                <PageHead title=|| "New app" sub=|| view! { <span class="faint">"An app is a name, a URL and a git repository"</span> }/>
                <div class="cols">
                    <ol class="steps3">
                        <li class="on">
                            <span class="no">"1"</span>
                            <div class="stack g3"><h2>"Name it"</h2><NameForm/></div>
                        </li>
                        <li>
                            <span class="no">"2"</span>
                            <div class="stack g3"><h2 class="dim">"Push your code"</h2></div>
                        </li>
                        <li>
                            <span class="no">"3"</span>
                            <div class="stack g3"><h2 class="dim">"Watch it start, then open it"</h2></div>
                        </li>
                    </ol>
                    <aside class="stack g6" aria-label="About new apps"><AtOnce/><FromTerminal name="".to_owned()/></aside>
                </div>
            </div>
        </Deck>
    }
    .into_any()
}

#[component]
fn AtOnce() -> impl IntoView {
    view! {
        <section class="sec">
            <h2>"Included with every app"</h2>
            <ul class="effects dim">
                <li><Icon name="rollback"/><span>"Every push is a numbered release that you can roll back to"</span></li>
                <li><Icon name="restart"/><span>"New dynos are up before traffic switches to them"</span></li>
                <li><Icon name="logs"/><span>"One log for app, router and platform, kept across releases"</span></li>
                <li><Icon name="lock"/><span>"A separate user, network and limits"</span></li>
            </ul>
        </section>
    }
    .into_any()
}

#[component]
fn FromTerminal(name: String) -> impl IntoView {
    view! {
        <section class="sec">
            <h2>"From the terminal"</h2>
            <Cmd line=format!("wharf create {name}").trim().to_owned()/>
            <p class="meta">"The same in one command. "<code>"wharf help"</code>" lists the others, and the heroku command works too."</p>
        </section>
    }
    .into_any()
}

/// The overview of an app without a deploy: the commands, then the build.
#[component]
pub fn FirstPush(status: Signal<AppStatus>) -> impl IntoView {
    let app = ThisApp::of_page();
    let build = Memo::new(move |_| status.with(|s| s.builds.first().map(|b| (b.id, b.number, b.status))));
    let git_url = Memo::new(move |_| status.with(|s| s.app.git_url.clone()));
    let running = Memo::new(move |_| status.with(is_deployed));
    let step = move |n: u8| {
        let at = match (build.get(), running.get()) {
            (_, true) => 4,
            (Some(_), _) => 3,
            _ => 2,
        };
        match n.cmp(&at) {
            std::cmp::Ordering::Less => "done",
            std::cmp::Ordering::Equal => "on",
            std::cmp::Ordering::Greater => "",
        }
    };
    let number = move |n: u8| {
        move || if step(n) == "done" { Either::Left(view! { <Glyph name="seal"/> }) } else { Either::Right(n) }
    };
    view! {
        <div class="page">
            <div class="cols">
                <ol class="steps3">
                    <li class="done"><span class="no"><Glyph name="seal"/></span><div class="stack g3"><h2>"App created"</h2></div></li>
                    <li class=move || step(2)>
                        <span class="no">{number(2)}</span>
                        <div class="stack g3">
                            <div class="row wrap">
                                <h2>"Push your code"</h2>
                                {move || build.get().is_none().then(|| view! { <span class="live push">"waiting for the first push"</span> })}
                            </div>
                            <p class="dim small">"In your project folder."</p>
                            <Cmd line=Signal::derive(move || format!("git remote add wharf {}", git_url.get()))/>
                            <Cmd line="git push wharf main".to_owned()/>
                            <p class="meta">
                                "Node.js, Python, Rust and static sites are detected from your files. A "<code>"Procfile"</code>
                                " declares the processes; without one, the buildpack's default runs. Git prompts once for a user name, which may be anything, and a password: a token from "
                                <a class="ul" href="/account">"your account"</a>"."
                            </p>
                            <Show when=move || build.get().is_none()><Samples app/></Show>
                        </div>
                    </li>
                    <li class=move || step(3)>
                        <span class="no">{number(3)}</span>
                        <div class="stack g3">
                            <h2 class:dim=move || build.get().is_none()>"Watch it start, then open it"</h2>
                            {move || match build.get() {
                                None => Either::Left(view! { <Waiting/> }),
                                Some((id, number, state)) => Either::Right(view! {
                                    <div class="row wrap small">
                                        <a href=move || app.path(&format!("/builds/{number}"))>{format!("Build {number}")}</a>
                                        <BuildWord state/>
                                        {move || running.get().then(|| view! {
                                            <span class="push row">
                                                <a class="btn sm" href=move || app.path("/activity")>"Activity"</a>
                                                <a class="btn sm pri" href=move || status.with(|s| s.app.web_url.clone()) rel="external noopener" target="_blank">
                                                    <Icon name="ext" size="i-s"/>"Open app"
                                                </a>
                                            </span>
                                        })}
                                    </div>
                                    <BuildOutput app=app.name.get_untracked() id height=320/>
                                }),
                            }}
                        </div>
                    </li>
                </ol>
                <aside class="stack g6" aria-label="About new apps"><AtOnce/></aside>
            </div>
        </div>
    }
    .into_any()
}

/// An alternative for users without code of their own.
#[component]
fn Samples(app: ThisApp) -> impl IntoView {
    let client = client();
    let busy = RwSignal::new(false);
    let samples = fetched(|| (), {
        let client = client.clone();
        move |()| client.sample_list()
    });
    let client = StoredValue::new(client);
    samples.show(1, move |samples| {
        view! {
            <div class="row wrap small" role="group" aria-label="Start from a sample">
                <span class="dim">"No code at hand? Start from a sample:"</span>
                {samples.get_untracked().into_iter().map(|s| {
                    let start = move |_| {
                        let request = client.with_value(|c| c.sample_deploy(&app.name.get_untracked(), &s.name));
                        act(busy, "Could not build the sample", request, |_| {});
                    };
                    view! { <button class="btn sm" type="button" aria-busy=move || busy.get().to_string() on:click=start>{s.title}</button> }
                }).collect_view()}
            </div>
        }
    })
}

#[component]
fn Waiting() -> impl IntoView {
    view! {
        <div class="card" style="border-style:dashed">
            <div class="in stack g3" aria-hidden="true">
                <div class="row"><div class="sk" style="width:70px"></div><div class="sk" style="width:160px"></div></div>
                <div class="sk" style="width:72%"></div>
                <div class="sk" style="width:54%"></div>
            </div>
            <div class="ft">"The build appears here as soon as the push arrives."</div>
        </div>
    }
    .into_any()
}

/// The label for the state of a build.
#[component]
pub fn BuildWord(state: BuildStatus) -> impl IntoView {
    use ui::parts::{Status, Tone};
    let (tone, word) = match state {
        BuildStatus::Pending => (Tone::Busy, "Building"),
        BuildStatus::Succeeded => (Tone::Ok, "Built"),
        BuildStatus::Failed => (Tone::Bad, "Failed"),
        BuildStatus::Unknown => (Tone::Idle, "Unknown"),
    };
    view! { <Status tone=tone word=word.to_owned()/> }
}
