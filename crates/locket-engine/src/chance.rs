//! The one place that chance comes from where it decides when something happens. Keys and names draw their own.

/// Evenly distributed in `0.0..1.0`.
pub(crate) fn fraction() -> f64 {
    #[cfg(test)]
    if let Some(drawn) = crate::simulation::draw() {
        return drawn;
    }
    // Without randomness from the system the middle is as good as any.
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}
