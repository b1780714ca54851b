//! Password hashes, whose salt is kept while the value stays.

use super::apply::{FilterCx, FilterError};
use crate::SecretBytes;

/// A bcrypt hash of `value`: the one in the present output that verifies, else a new one.
pub(super) fn bcrypt(value: &[u8], cx: &mut FilterCx<'_>) -> Result<SecretBytes, FilterError> {
    let _ = (value, cx);
    Err(FilterError::Value("not built yet".into()))
}

/// `user:` and the bcrypt hash of `value`.
pub(super) fn htpasswd(value: &[u8], user: &str, cx: &mut FilterCx<'_>) -> Result<SecretBytes, FilterError> {
    let _ = (value, user, cx);
    Err(FilterError::Value("not built yet".into()))
}
