//! An error, what to do, and the request ID. Shown in place of the panel that failed, never of the page.

use api::Error;
use leptos::prelude::*;

use super::{Icon, Missing, Status, Tone};
use crate::Answer;

/// An error response. If something was not found, that is the title of the page, too, which is not to repeat the URL.
#[component]
pub fn ErrorPanel(
    error: Error,
    /// Retries the request.
    #[prop(default = None)]
    retry: Option<Callback<()>>,
) -> impl IntoView {
    if error.is_not_found() {
        Answer::with(404);
        Missing::note();
    }
    let title = match error.status {
        0 => "The platform is not responding",
        401 => "You are signed out",
        403 => "You do not have access",
        404 => "Not found",
        _ => "Loading failed",
    };
    let signed_out = error.is_unauthorized();
    view! {
        <div class="card" role="alert">
            <div class="in stack g3">
                <div class="row"><Status tone=Tone::Bad word=title.to_owned()/></div>
                <p class="small dim">{error.message.clone()}</p>
                <div class="row wrap">
                    {signed_out.then(|| view! { <a class="btn sm" href="/login" rel="external">"Sign in"</a> })}
                    {retry
                        .filter(|_| !signed_out)
                        .map(|retry| {
                            view! {
                                <button class="btn sm" type="button" on:click=move |_| retry.run(())>
                                    <Icon name="restart" size="i-s"/>
                                    "Try again"
                                </button>
                            }
                        })}
                    {error.request_id.map(|id| view! { <span class="meta mono">"request " {id}</span> })}
                </div>
            </div>
        </div>
    }
    .into_any()
}
