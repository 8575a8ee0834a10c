//! Gets a page's code and data while the pointer or the keyboard rests on the link to it.
//!
//! Whoever runs the app provides [`Ahead`], a client whose answers are kept for a moment; the page
//! that is opened then finds them and shows at once. On the server there is none. What is secret
//! (config vars, tokens) is never asked for ahead. What asks is part of the page's [`bundles`],
//! because it knows how to read the answers.

use std::{future::Future, time::Duration};

use api::{Client, metrics::MetricsQuery};
use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;
use wasm_split_helpers::{SplitLoaderError, wasm_split};
use web_sys::Element;

use crate::{
    bundles,
    pages::{RECENT, newest_lines},
};

/// A pointer that only passes by asks for nothing.
const RESTS: Duration = Duration::from_millis(65);

/// A client whose answers are kept for the client of the pages.
#[derive(Clone)]
pub struct Ahead(pub Client);

/// Watches the links of the document until the current owner is cleaned up.
pub(crate) fn watch() {
    let Some(Ahead(client)) = use_context() else { return };
    let client = StoredValue::new(client);
    let resting = StoredValue::new(String::new());
    let over = move |target: Option<web_sys::EventTarget>| {
        let to = target.and_then(link).unwrap_or_default();
        resting.set_value(to.clone());
        if to.is_empty() {
            return;
        }
        let still = move || {
            if resting.try_get_value().as_deref() == Some(&to) {
                leptos::task::spawn_local(ahead(client.get_value(), to.clone()));
            }
        };
        set_timeout(still, RESTS);
    };
    // Effects run in the browser only.
    Effect::new(move |_| {
        let pointer = window_event_listener(ev::pointerover, move |ev| over(ev.target()));
        let keyboard = window_event_listener(ev::focusin, move |ev| over(ev.target()));
        on_cleanup(move || {
            pointer.remove();
            keyboard.remove();
        });
    });
}

/// Where the link around `target` leads, if it is a page of the console and not this one.
fn link(target: web_sys::EventTarget) -> Option<String> {
    let anchor = target.dyn_into::<Element>().ok()?.closest("a[href^='/']").ok()??;
    let to = anchor.get_attribute("href")?;
    let here = window().location().pathname().unwrap_or_default();
    (!anchor.has_attribute("target") && to != here).then_some(to)
}

/// Gets what the page at `to` needs. Nobody waits for it, so what fails is met when the page is opened.
async fn ahead(client: Client, to: String) {
    let to = to.split(['?', '#']).next().unwrap_or_default();
    if !bundles::load(to).await {
        return;
    }
    let here = window().location().pathname().unwrap_or_default();
    let of = |n| to.trim_matches('/').split('/').nth(n).unwrap_or_default().to_owned();
    let app = of(1);
    // Pages of an app that is shown already have its status.
    if bundles::of(to).first() == Some(&"app") && !format!("{here}/").starts_with(&format!("/apps/{app}/")) {
        let _ = status(client.clone(), app.clone()).await;
    }
    let _ = match bundles::of(to) {
        ["apps"] => apps(client).await,
        ["app", "app_overview"] => overview(client, app).await,
        ["app", "app_activity"] => activity(client, app).await,
        ["app", "app_resources"] => resources(client).await,
        ["app", "app_logs"] => logs(client, app).await,
        ["build"] => build(client, app, of(3)).await,
        ["platform"] if of(0) == "platform" => platform(client).await,
        _ => Ok(()),
    };
}

/// Declares what asks: bundle: name(arguments) => what is asked for.
macro_rules! asked_ahead {
    ($($bundle:ident: $name:ident($client:ident $(, $arg:ident)*) => $($asked:expr),+;)+) => {$(
        #[wasm_split($bundle, fallible)]
        fn $name($client: Client $(, $arg: String)*) -> Result<(), SplitLoaderError> {
            $(keep($asked);)+
            Ok(())
        }
    )+};
}

asked_ahead! {
    apps: apps(client) => client.app_summary_page(None);
    app: status(client, app) => client.app_status(&app);
    app_overview: overview(client, app) => client.event_list_news(&app, RECENT), client.metrics_info(&app, &MetricsQuery::default());
    app_activity: activity(client, app) => client.release_page(&app, None), client.build_page(&app, None);
    app_resources: resources(client) => client.dyno_size_list();
    app_logs: logs(client, app) => client.log_line_list(&app, &newest_lines());
    build: build(client, app, number) => client.build_info(&app, &number);
    platform: platform(client) => client.platform_info();
}

fn keep<T: 'static>(asked: impl Future<Output = T> + 'static) {
    leptos::task::spawn_local(async move { drop(asked.await) });
}
