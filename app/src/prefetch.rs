//! Asks for a page's data while the pointer or the keyboard rests on the link to it.
//!
//! Whoever runs the app provides [`Ahead`], a client whose answers are kept for a moment; the page
//! that is opened then finds them and shows at once. On the server there is none. What is secret
//! (config vars, tokens) is never asked for ahead.

use std::{future::Future, time::Duration};

use api::{Client, metrics::MetricsQuery};
use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::Element;

use crate::pages::{FIRST_RELEASES, newest_lines};

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
                client.with_value(|client| ask(client, &to));
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

/// What the page at `to` will ask for first.
fn ask(client: &Client, to: &str) {
    let path: Vec<&str> = to.split(['?', '#']).next().unwrap_or_default().trim_matches('/').split('/').collect();
    // Pages of an app that is shown already have its status.
    let here = window().location().pathname().unwrap_or_default();
    if let ["apps", app, rest @ ..] = path.as_slice()
        && *app != "new"
    {
        if !format!("{here}/").starts_with(&format!("/apps/{app}/")) {
            keep(client.app_status(app));
        }
        match rest {
            [] => {
                keep(client.event_list(app));
                keep(client.metrics_info(app, &MetricsQuery::default()));
            }
            ["activity"] => {
                keep(client.release_list(app, FIRST_RELEASES));
                keep(client.build_list(app));
            }
            ["resources"] => keep(client.dyno_size_list()),
            ["logs"] => keep(client.log_line_list(app, &newest_lines())),
            ["builds", number] => keep(client.build_info(app, number)),
            _ => {}
        }
        return;
    }
    match path.as_slice() {
        ["apps"] => keep(client.app_summary_list()),
        ["platform"] => keep(client.platform_info()),
        _ => {}
    }
}

fn keep<T: 'static>(asked: impl Future<Output = T> + 'static) {
    leptos::task::spawn_local(async move { drop(asked.await) });
}
