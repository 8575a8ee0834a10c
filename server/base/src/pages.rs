//! Pagination: the `Range` of a request, and the `Next-Range` of its response.
//!
//! The database selects the page (`store::pages`). `Next-Range` names the last row of a page, by a unique value or by
//! value and id (`value~id`). A bound that cannot be parsed is rejected, since ignoring it would yield the first page
//! again and again.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use store::pages::{Bound, List, Order, Page, Place, Range};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    web::set,
};

/// The page of `list` that the `Range` header requests. Unknown fields and options are ignored, as Heroku's clients
/// expect, except in bounds.
pub fn requested(headers: &HeaderMap, list: &'static List) -> Result<Range> {
    let text = headers.get(header::RANGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut parts = text.split([';', ',']).map(str::trim);
    let mut range = Range::first(list);
    if let Some((field, bounds)) = parts.next().and_then(|first| first.split_once(' ')) {
        let order = list.order(field);
        if let Some(order) = order {
            range = range.by(order);
        }
        if let Some((start, end)) = bounds.trim().split_once("..") {
            let excludes = start.starts_with(']');
            let start = bound(list, order, start.trim_start_matches([']', '[']), excludes)?;
            let end = bound(list, order, end.trim_end_matches('['), end.ends_with('['))?;
            range = range.between(start, end);
        }
    }
    for option in parts {
        match option.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some(("max", n)) => range = range.at_most(n.parse().unwrap_or(store::pages::USUAL)),
            Some(("order", order)) => range = range.turned(order == "desc"),
            _ => {}
        }
    }
    Ok(range)
}

fn bound(list: &List, order: Option<&Order>, text: &str, excludes: bool) -> Result<Option<Bound>> {
    if text.is_empty() {
        return Ok(None);
    }
    let row =
        |text: &str| text.rsplit_once('~').and_then(|(value, id)| Some((value.to_owned(), id.parse::<Uuid>().ok()?)));
    let (value, id) = row(text).map_or_else(|| (text.to_owned(), None), |(value, id)| (value, Some(id)));
    let found = order.and_then(|order| Bound::parse(order, &decoded(&value), id, excludes));
    found.map(Some).ok_or_else(|| Error::no_such_range(text, &fields(list)))
}

fn fields(list: &List) -> String {
    list.orders.iter().map(|order| order.field).collect::<Vec<_>>().join(", ")
}

/// The response for a page: 200 with all remaining rows, or 206 with `Next-Range`.
pub fn respond<T: Serialize>(list: &List, range: &Range, page: Page<T>) -> Response {
    let order = range.order();
    let ends = page.ends.as_ref().map(|(first, last)| (written(first, order), written(last, order)));
    let mut response = axum::Json(page.rows).into_response();
    let headers = response.headers_mut();
    set(headers, "accept-ranges", &fields(list));
    let Some((first, last)) = ends else { return response };
    set(headers, "content-range", &format!("{} {first}..{last}", order.field));
    if page.has_more {
        let way = if range.is_descending() { ", order=desc" } else { "" };
        set(headers, "next-range", &format!("{} ]{last}..; max={}{way}", order.field, range.max()));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn written(place: &Place, order: &Order) -> String {
    // An empty value needs the id.
    let id = place.id_in(order).or_else(|| place.value.is_empty().then_some(place.id));
    let id = id.map(|id| format!("~{id}")).unwrap_or_default();
    encoded(&place.value) + &id
}

/// The characters that are encoded in a value: those with a meaning in ranges, and those that headers cannot contain.
const SPECIAL: AsciiSet =
    NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b':').remove(b'@').remove(b'+').remove(b'.');
const SPECIAL_OR_DOT: AsciiSet = SPECIAL.add(b'.');

fn encoded(value: &str) -> String {
    // Two dots separate the bounds of a range.
    let set = if value.contains("..") { &SPECIAL_OR_DOT } else { &SPECIAL };
    utf8_percent_encode(value, set).to_string()
}

/// Reverses [`encoded`]. A `%` that does not begin an escape stands for itself.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use store::pages::{BY_CREATION, BY_ID, Kind};

    use super::*;

    static LIST: List = List::by(&[BY_ID, Order::unique("version", Kind::Number, "t.version"), BY_CREATION]);

    fn read(range: &str) -> std::result::Result<Range, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        requested(&headers, &LIST).map_err(|err| err.into_response().status().as_u16())
    }

    fn check(text: &str, field: &str, max: usize, descending: bool) {
        let range = read(text).unwrap();
        assert_eq!((range.order().field, range.max(), range.is_descending()), (field, max, descending), "{text}");
    }

    #[test]
    fn ranges_as_clients_send_them() {
        check("", "id", 200, false);
        check("id ..; ;", "id", 200, false);
        check("version ..; order=desc,max=1", "version", 1, true);
        check("version ..; max=2, order=desc", "version", 2, true);
        check("version ]4..; max=2, order=desc", "version", 2, true);
        check("version 2..3", "version", 200, false);
        check("seq ..; order=desc,max=1001", "id", 1000, true);
        check("nonsense ..; max=0; odd=1", "id", 1, false);
        check("id ..; max=many", "id", 200, false);
        check("bytes=0-", "id", 200, false);
    }

    #[test]
    fn an_invalid_range_is_rejected_instead_of_starting_over() {
        for text in
            ["version ]four..", "nonsense ]4..; max=2", "id 17..", "created_at ]yesterday..", "version ..~", "id ..x"]
        {
            assert_eq!(read(text).err(), Some(416), "{text}");
        }
    }

    #[test]
    fn what_an_answer_says_is_understood_whatever_is_in_it() {
        for value in ["a", "a;b, c", "50%", "a..b", "~", "ä\u{2028}", "%41", "x y", ""] {
            let text = encoded(value);
            assert!(
                text.bytes().all(|b| b.is_ascii_graphic() && !b";,~[]".contains(&b)) && !text.contains(".."),
                "{text}"
            );
            assert_eq!(decoded(&text), value);
        }
    }
}
