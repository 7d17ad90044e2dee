//! Sizes and ages as people read them.

pub use vb_core::time::age;

/// `999 B`, `1.5 kB`, `42 MB`: decimal units, two or three digits.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    #[allow(clippy::cast_precision_loss)] // three digits are shown
    let mut value = count as f64 / 1000.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while value >= 999.5
        && let Some(next) = units.next()
    {
        value /= 1000.0;
        unit = Some(next);
    }
    let unit = unit.unwrap_or(&"kB");
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn sizes() {
        let shown = [0, 999, 1000, 1549, 9949, 12_345, 999_499, 999_500, 42_000_000, u64::MAX].map(bytes);
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.0 kB", "1.5 kB", "9.9 kB", "12 kB", "999 kB", "1.0 MB", "42 MB", "18 EB"]
        );
    }

    #[test]
    fn ages() {
        let shown = [-1, 0, 119, 120, 7199, 7200, 172_799, 172_800].map(|seconds| age(TimeDelta::seconds(seconds)));
        assert_eq!(shown, ["in the future", "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]);
    }
}
