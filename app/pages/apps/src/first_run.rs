//! The page of an account without apps: the commands from a project to a URL.

use leptos::prelude::*;
use ui::parts::{Cmd, Icon, LiveMark, PageHead};

/// The page of an account without apps.
#[component]
pub fn FirstRun() -> impl IntoView {
    let origin = RwSignal::new("http://localhost:5000".to_owned());
    Effect::new(move |_| {
        if let Ok(here) = window().location().origin() {
            origin.set(here)
        }
    });
    view! {
        <PageHead
            title=|| "Apps"
            sub=|| view! { <LiveMark/> }
            acts=|| view! { <a class="btn pri" href="/apps/new"><Icon name="plus" size="i-s"/>"New app"</a> }
        />
        <section class="empty" aria-labelledby="no" style="padding-block:44px">
            <span class="logo" style="width:44px;height:44px;border-radius:11px"><Icon name="logo" size="i-l"/></span>
            <div class="stack g1">
                <h2 id="no" style="font-size:var(--t-lead)">"No apps yet"</h2>
                <p class="dim small">"Four commands deploy a project from your folder to a live URL."</p>
            </div>
            <div class="stack g2" style="width:min(100%,460px)">
                <Cmd line=Signal::derive(move || format!("wharf login {}", origin.get()))/>
                <Cmd line="cd my-project".to_owned()/>
                <Cmd line="wharf create my-project".to_owned()/>
                <Cmd line="git push wharf main".to_owned()/>
            </div>
        </section>
        <section class="sec">
            <h2>"What a push does"</h2>
            <ol class="phases">
                <Phase title="Build" text="The language is detected from your files. Builds have resource limits, so running apps stay fast."/>
                <Phase title="Release" text="Code and config get a number. You can roll back to any of them."/>
                <Phase title="Run" text="Dynos start. Traffic switches when they respond."/>
            </ol>
        </section>
    }
    .into_any()
}

#[component]
fn Phase(title: &'static str, text: &'static str) -> impl IntoView {
    view! {
        <li style="padding-right:20px">
            <b style="font-size:var(--t-small)">{title}</b>
            <span style="text-wrap:pretty">{text}</span>
        </li>
    }
    .into_any()
}
