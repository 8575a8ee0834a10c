//! The document around the app: what the server sends before anything runs.

use leptos::{nonce::use_nonce, prelude::*};
use leptos_meta::MetaTags;

use crate::App;

/// What the browser has to load: paths with a hash in them, e.g. `/pkg/console.1f0c….js`.
#[derive(Clone, Debug)]
pub struct Assets {
    pub js: String,
    pub wasm: String,
    pub css: String,
}

/// Chosen before the first paint, so that nothing flashes.
const THEME: &str = "try{var d=document.documentElement.dataset,t=localStorage.wharfTheme,c=localStorage.wharfDensity;\
                     if(t)d.theme=t;if(c)d.density=c}catch(e){}";

const SPRITE: &str = include_str!("../../public/icons.svg");

/// The whole document. Scripts carry the nonce of this answer, which the server's policy names.
pub fn shell(assets: Assets) -> impl IntoView {
    let nonce = use_nonce();
    let Assets { js, wasm, css } = assets;
    let start = format!(
        "import init,{{hydrate}} from {};init({{module_or_path:{}}}).then(hydrate)",
        serde_json::Value::from(js.as_str()),
        serde_json::Value::from(wasm.as_str()),
    );
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
                <link rel="modulepreload" href=js nonce=nonce.clone()/>
                <link rel="preload" href=wasm r#as="fetch" r#type="application/wasm" crossorigin="anonymous"/>
                <script type="module" nonce=nonce inner_html=start></script>
                <MetaTags/>
            </head>
            <body>
                <App/>
                // After the app, which is taken up from the first child of the body.
                <div hidden inner_html=SPRITE></div>
            </body>
        </html>
    }
}
