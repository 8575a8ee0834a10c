//! DOM helpers. Only for effects and events.

use leptos::prelude::{document, window};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

/// The element with this id.
pub fn by_id(id: &str) -> Option<HtmlElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

/// Moves the focus to the first match of `selector` in the element with this id, once the
/// pending changes are rendered.
pub fn focus_in(id: &'static str, selector: &'static str) {
    leptos::prelude::request_animation_frame(move || {
        let found = document().query_selector(&format!("#{id} {selector}")).ok().flatten();
        if let Some(element) = found.and_then(|e| e.dyn_into::<HtmlElement>().ok()) {
            let _ = element.focus();
        }
    });
}

/// Moves the focus to the element with this id and scrolls it into view, once the pending
/// changes are rendered.
pub fn bring(id: &'static str) {
    leptos::prelude::request_animation_frame(move || {
        if let Some(element) = by_id(id) {
            // Sections can be focused only by a script.
            if !element.has_attribute("tabindex") {
                let _ = element.set_attribute("tabindex", "-1");
            }
            let _ = element.focus();
            element.scroll_into_view();
        }
    });
}

/// A preference stored on this device.
pub fn remembered(key: &str) -> Option<String> {
    window().local_storage().ok().flatten()?.get_item(key).ok().flatten()
}

/// Stores a preference on this device; without `value` removes it.
pub fn remember(key: &str, value: Option<&str>) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = match value {
            Some(value) => storage.set_item(key, value),
            None => storage.remove_item(key),
        };
    }
}

/// Whether a text field has the focus, so that letters are text and not commands.
pub fn typing() -> bool {
    document().active_element().is_some_and(|e| {
        matches!(e.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT") || e.has_attribute("contenteditable")
    })
}

/// Copies text to the clipboard, if the browser has one.
pub fn copy(text: &str) {
    if let Ok(clipboard) = js_sys::Reflect::get(&window().navigator(), &"clipboard".into())
        && !clipboard.is_undefined()
    {
        let _ = window().navigator().clipboard().write_text(text);
    }
}

/// Downloads `text` as the file `name`.
pub fn download(name: &str, text: &str) {
    let parts = js_sys::Array::of1(&text.into());
    let Ok(blob) = web_sys::Blob::new_with_str_sequence(&parts) else { return };
    let Ok(url) = web_sys::Url::create_object_url_with_blob(&blob) else { return };
    if let Ok(link) = document().create_element("a")
        && let Ok(link) = link.dyn_into::<web_sys::HtmlAnchorElement>()
    {
        link.set_href(&url);
        link.set_download(name);
        link.click();
    }
    let _ = web_sys::Url::revoke_object_url(&url);
}

/// Scrolls the element with this id into view, no further than needed.
pub fn reveal(id: &str) {
    if let Some(element) = by_id(id) {
        let options = web_sys::ScrollIntoViewOptions::new();
        options.set_block(web_sys::ScrollLogicalPosition::Nearest);
        element.scroll_into_view_with_scroll_into_view_options(&options);
    }
}

/// Whether a click on a dialog was on its backdrop.
pub fn is_backdrop(ev: &web_sys::MouseEvent) -> bool {
    ev.target().is_some_and(|t| t.dyn_ref::<web_sys::HtmlDialogElement>().is_some())
}

/// Moves the focus to the first link of the next row of a table or list. Returns whether there is one.
pub fn step_rows(by: i32) -> bool {
    let Ok(found) = document().query_selector_all("#main tbody tr a.name, #main .tl a, #main .list a") else {
        return false;
    };
    let count = found.length() as i32;
    let now = document().active_element();
    let place = (0..count).find(|i| found.item(*i as u32).as_ref() == now.as_deref());
    let next = place.map_or(if by > 0 { 0 } else { count - 1 }, |i| i + by);
    match found.item(next.max(0) as u32).and_then(|n| n.dyn_into::<HtmlElement>().ok()) {
        Some(element) if next >= 0 => element.focus().is_ok(),
        _ => false,
    }
}
