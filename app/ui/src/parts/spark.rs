//! A sparkline without axes. Decorative: the number is beside it.

use std::fmt::Write;

use leptos::prelude::*;

/// The path through `values`, 0 to 100 wide and `height` high. `None` without values.
pub fn path(values: &[f64], height: f64) -> Option<String> {
    let top = values.iter().copied().fold(0.0, f64::max);
    if values.len() < 2 {
        return None;
    }
    let mut path = String::with_capacity(values.len() * 10);
    for (i, value) in values.iter().enumerate() {
        let x = i as f64 * 100.0 / (values.len() - 1) as f64;
        let y = height - 1.0 - if top > 0.0 { value / top * (height - 2.0) } else { 0.0 };
        let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
    }
    Some(path)
}

/// A sparkline.
#[component]
pub fn Spark(
    #[prop(into)] values: Signal<Vec<f64>>,
    /// A colour token: `--c1`, `--bad-dot`.
    #[prop(into)]
    colour: Signal<&'static str>,
    #[prop(default = 24)] height: u32,
) -> impl IntoView {
    let drawn = move || {
        let line = values.with(|values| path(values, height.into()));
        let area = line.as_ref().map(|line| format!("{line}L100 {height}L0 {height}Z"));
        view! {
            <svg
                class="spark"
                viewBox=format!("0 0 100 {height}")
                preserveAspectRatio="none"
                style=format!("--c:var({});height:{height}px", colour.get())
                aria-hidden="true"
            >
                <path class="ar" d=area.unwrap_or_default()></path>
                <path class="ln" d=line.unwrap_or_default()></path>
            </svg>
        }
    };
    drawn.into_any()
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_path_needs_two_points_and_survives_zeros() {
        assert_eq!(path(&[3.0], 10.0), None);
        assert_eq!(path(&[0.0, 0.0], 10.0).as_deref(), Some("M0.0 9.0L100.0 9.0"));
        assert_eq!(path(&[0.0, 4.0], 10.0).as_deref(), Some("M0.0 9.0L100.0 1.0"));
    }
}
