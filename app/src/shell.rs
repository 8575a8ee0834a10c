//! The HTML document around the app, as sent by the server.

use leptos::{nonce::use_nonce, prelude::*};
use leptos_meta::MetaTags;

use crate::App;

/// What the browser has to load: paths with a hash in them, e.g. `/pkg/console.1f0c….css`.
#[derive(Clone, Debug)]
pub struct Assets {
    pub js: String,
    /// What `js` loads in turn.
    pub modules: Vec<String>,
    /// The code of every page.
    pub wasm: String,
    /// The code of this page: the files of its [`crate::bundles`].
    pub bundles: Vec<String>,
    pub css: String,
}

/// Chosen before the first paint, so that nothing flashes.
const THEME: &str = "try{var d=document.documentElement.dataset,t=localStorage.wharfTheme,c=localStorage.wharfDensity;\
                     if(t)d.theme=t;if(c)d.density=c}catch(e){}";

const SPRITE: &str = include_str!("../../public/icons.svg");

/// The whole document. Scripts carry the nonce of this response, which is part of the server's content security policy.
pub fn shell(assets: Assets) -> impl IntoView {
    let nonce = use_nonce();
    let Assets { js, modules, wasm, bundles, css } = assets;
    // Browsers abort requests when a network interface is added or removed, which on the platform's own machine happens
    // with every dyno.
    let start = format!(
        "import init,{{hydrate}} from {};\
         const start=left=>init({{module_or_path:{}}}).then(hydrate,why=>{{if(!left)throw why;setTimeout(start,300,left-1)}});\
         start(3)",
        serde_json::Value::from(js.as_str()),
        serde_json::Value::from(wasm.as_str()),
    );
    // Loaded in parallel: without these, each would be discovered only after the previous one has loaded.
    let scripts = [js].into_iter().chain(modules);
    let scripts = scripts.map(|js| view! { <link rel="modulepreload" href=js nonce=nonce.clone()/> }).collect_view();
    let code = [wasm].into_iter().chain(bundles).map(|wasm| {
        view! { <link rel="preload" href=wasm r#as="fetch" crossorigin="anonymous"/> }
    });
    let code = code.collect_view();
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <script nonce=nonce.clone() inner_html=THEME></script>
                <link rel="stylesheet" href=css/>
                <link rel="icon" type="image/svg+xml" href="/favicon.svg"/>
                {scripts}
                {code}
                <script type="module" nonce=nonce inner_html=start></script>
                <MetaTags/>
            </head>
            <body>
                <App/>
                // After the app, which is hydrated from the first child of the body.
                <div hidden inner_html=SPRITE></div>
            </body>
        </html>
    }
}
