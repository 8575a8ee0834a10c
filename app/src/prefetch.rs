//! Prefetches a page's code and data while its link is hovered or focused.
//!
//! The browser crate provides [`PrefetchClient`], whose responses are cached for a moment; the opened
//! page finds them there and shows immediately. There is none on the server. Secrets
//! (config vars, tokens) are never prefetched. The prefetching code is part of the page's [`bundles`],
//! because it has to parse the responses.

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

/// Hovering for less than this prefetches nothing.
const HOVER_DELAY: Duration = Duration::from_millis(65);

/// A client whose responses are cached for the client of the pages.
#[derive(Clone)]
pub struct PrefetchClient(pub Client);

/// Watches the links of the document until the current owner is cleaned up.
pub(crate) fn watch() {
    let Some(PrefetchClient(client)) = use_context() else { return };
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
        set_timeout(still, HOVER_DELAY);
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

/// Prefetches what the page at `to` needs. Failures are ignored; they recur when the page is opened.
async fn ahead(client: Client, to: String) {
    let to = to.split(['?', '#']).next().unwrap_or_default();
    if !bundles::load(to).await {
        return;
    }
    let here = window().location().pathname().unwrap_or_default();
    let of = |n| to.trim_matches('/').split('/').nth(n).unwrap_or_default().to_owned();
    let app = of(1);
    // Pages of the app that is already shown have its status.
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

/// Declares the prefetchers: bundle: name(arguments) => requests.
macro_rules! prefetchers {
    ($($bundle:ident: $name:ident($client:ident $(, $arg:ident)*) => $($request:expr),+;)+) => {$(
        #[wasm_split($bundle, fallible)]
        fn $name($client: Client $(, $arg: String)*) -> Result<(), SplitLoaderError> {
            $(prefetch_data($request);)+
            Ok(())
        }
    )+};
}

prefetchers! {
    apps: apps(client) => client.app_summary_page(None);
    app: status(client, app) => client.app_status(&app);
    app_overview: overview(client, app) => client.event_list_news(&app, RECENT), client.metrics_info(&app, &MetricsQuery::default());
    app_activity: activity(client, app) => client.release_page(&app, None), client.build_page(&app, None);
    app_resources: resources(client) => client.dyno_size_list();
    app_logs: logs(client, app) => client.log_line_list(&app, &newest_lines());
    build: build(client, app, number) => client.build_info(&app, &number);
    platform: platform(client) => client.platform_info();
}

fn prefetch_data<T: 'static>(request: impl Future<Output = T> + 'static) {
    leptos::task::spawn_local(async move { drop(request.await) });
}
