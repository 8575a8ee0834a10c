//! The arithmetic of charts: axes, paths, gaps.

use std::fmt::Write;

use chrono::{DateTime, Duration, Utc};

/// Height of the drawing in its own units.
pub const HEIGHT: f64 = 200.0;

/// The vertical axis: 0 to `top` in round steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    pub top: f64,
    pub step: f64,
}

impl Scale {
    /// Three to five grid lines for values up to `most`.
    pub fn up_to(most: f64) -> Self {
        let most = if most.is_finite() && most > 0.0 { most.max(1e-6) } else { 1.0 };
        let rough = most / 3.5;
        let magnitude = power_up_to(rough, 10.0);
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .map(|m| m * magnitude)
            .find(|s| *s >= rough)
            .unwrap_or(magnitude * 10.0);
        Self { top: (most / step).ceil() * step, step }
    }

    /// The same in powers of two, for bytes.
    pub fn bytes_up_to(most: f64) -> Self {
        let most = most.max(1024.0);
        let below = power_up_to(most / 4.0, 2.0);
        let step = if below < most / 4.0 { below * 2.0 } else { below };
        Self { top: (most / step).ceil() * step, step }
    }

    /// The grid lines with their positions in per cent from the bottom.
    pub fn lines(&self) -> Vec<(f64, f64)> {
        let count = (self.top / self.step).round() as usize;
        (0..=count).map(|i| (i as f64 * self.step, i as f64 * 100.0 / count as f64)).collect()
    }

    fn y(&self, value: f64) -> i64 {
        (HEIGHT - value / self.top * HEIGHT).round() as i64
    }
}

/// The largest power of `base` up to `value`, by iteration: logarithms would enlarge the WASM.
fn power_up_to(value: f64, base: f64) -> f64 {
    let mut power = 1.0;
    while power * base <= value {
        power *= base;
    }
    while power > value {
        power /= base;
    }
    power
}

/// Puts points that are `step` apart on a grid from `from` to `to`; missing ones are gaps.
pub fn grid<T>(
    points: &[T],
    at: impl Fn(&T) -> DateTime<Utc>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    step: i64,
) -> Vec<Option<usize>> {
    let step = step.max(1);
    let count = ((to - from).num_seconds() / step).clamp(1, 20_000) as usize;
    let mut out = vec![None; count];
    for (i, point) in points.iter().enumerate() {
        let place = (at(point) - from).num_milliseconds().div_euclid(step * 1000);
        if let Some(slot) = usize::try_from(place).ok().and_then(|place| out.get_mut(place)) {
            *slot = Some(i);
        }
    }
    out
}

/// The line through `values`; gaps stay gaps, a lone point is a short dash.
pub fn line_path(values: &[Option<f64>], scale: &Scale) -> String {
    let mut path = String::with_capacity(values.len() * 8);
    let mut open = false;
    for (x, value) in values.iter().enumerate() {
        let Some(value) = value else {
            open = false;
            continue;
        };
        let y = scale.y(*value);
        let alone = !open && values.get(x + 1).is_none_or(Option::is_none);
        let _ = write!(path, "{}{x} {y}{}", if open { 'L' } else { 'M' }, if alone { "h.4" } else { "" });
        open = true;
    }
    path
}

/// The area between `below` and `values`, for stacked series; gaps count as zero.
pub fn area_path(values: &[Option<f64>], below: &[f64], scale: &Scale) -> String {
    let base = |x: usize| below.get(x).copied().unwrap_or(0.0);
    let mut path = String::with_capacity(values.len() * 16);
    for (x, value) in values.iter().enumerate() {
        let _ = write!(path, "{}{x} {}", if x == 0 { 'M' } else { 'L' }, scale.y(base(x) + value.unwrap_or(0.0)));
    }
    for x in (0..values.len()).rev() {
        let _ = write!(path, "L{x} {}", scale.y(base(x)));
    }
    if !path.is_empty() {
        path.push('Z');
    }
    path
}

/// The time of a grid position.
pub fn moment(from: DateTime<Utc>, step: i64, place: usize) -> DateTime<Utc> {
    from + Duration::seconds(step * place as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_steps() {
        assert_eq!(Scale::up_to(612.0), Scale { top: 800.0, step: 200.0 });
        assert_eq!(Scale::up_to(0.0).top, 1.0);
        assert_eq!(Scale::up_to(f64::NAN).top, 1.0);
        for most in [0.003, 1.0, 7.0, 99.0, 12_345.0] {
            let scale = Scale::up_to(most);
            assert!(scale.top >= most && (3..=6).contains(&scale.lines().len()), "{most}: {scale:?}");
        }
    }

    #[test]
    fn byte_axes_use_powers_of_two() {
        let mb = f64::from(1 << 20);
        assert_eq!(Scale::bytes_up_to(512.0 * mb), Scale { top: 512.0 * mb, step: 128.0 * mb });
        assert_eq!(Scale::bytes_up_to(600.0 * mb), Scale { top: 768.0 * mb, step: 256.0 * mb });
        assert_eq!(Scale::bytes_up_to(0.0).top, 1024.0);
    }

    #[test]
    fn gaps_stay_gaps() {
        let scale = Scale { top: 200.0, step: 50.0 };
        assert_eq!(line_path(&[Some(0.0), Some(100.0), None, Some(50.0)], &scale), "M0 200L1 100M3 150h.4");
        assert_eq!(line_path(&[], &scale), "");
    }

    #[test]
    fn points_are_assigned_to_grid_positions() {
        let from = DateTime::UNIX_EPOCH;
        let at = |s: i64| from + Duration::seconds(s);
        let got = grid(&[at(0), at(25), at(90)], |t| *t, from, at(60), 10);
        assert_eq!(got, [Some(0), None, Some(1), None, None, None]);
    }
}
