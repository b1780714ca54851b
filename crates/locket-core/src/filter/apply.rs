//! Running a filter.

use std::collections::HashMap;
use std::time::SystemTime;

use super::call::Filter;
use super::{hash, otp, text};
use crate::{SecretBytes, json_path};

/// Why a filter gave nothing. Never holds any part of the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The value is not what the filter works on.
    #[error("{0}")]
    Value(String),
    /// The value has no such part; `default` may stand in.
    #[error("{0}")]
    NoSuchPart(String),
}

/// What filters may use beside the value.
#[derive(Debug)]
pub struct FilterCx<'a> {
    /// The time, for one-time codes.
    pub now: SystemTime,
    /// The present output, in which earlier password hashes are looked for.
    pub present: Option<&'a [u8]>,
    /// Password hashes made by this process.
    pub memo: &'a mut HashMemo,
    /// Lowered to the end of the current period by every one-time code.
    pub valid_until: Option<SystemTime>,
}

/// Password hashes made by this process, so that a value keeps its hash even where the present output does not
/// show it (inside base64, say). Values are kept as keyed digests only.
#[derive(Debug, Default)]
pub struct HashMemo {
    pub(super) hashes: HashMap<[u8; 32], String>,
    pub(super) key: Option<[u8; 32]>,
}

impl Filter {
    /// Applies the filter to `value`.
    ///
    /// # Errors
    /// The value is not what the filter works on, or lacks the part it names.
    pub fn apply(&self, value: &SecretBytes, cx: &mut FilterCx<'_>) -> Result<SecretBytes, FilterError> {
        #[expect(clippy::disallowed_methods, reason = "filters work on the value")]
        let bytes = value.expose();
        match self {
            Self::Default(_) => Ok(SecretBytes::copy_from(bytes)),
            Self::Json(path) => json_path::select(bytes, path),
            Self::Totp => {
                let code = otp::current_code(bytes, cx.now)?;
                cx.valid_until = Some(
                    cx.valid_until
                        .map_or(code.valid_until, |until| until.min(code.valid_until)),
                );
                Ok(code.code)
            }
            Self::Bcrypt => hash::bcrypt(bytes, cx),
            Self::Htpasswd(user) => hash::htpasswd(bytes, user, cx),
            _ => text::apply(self, bytes),
        }
    }
}
