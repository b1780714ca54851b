//! Running a filter.

use std::time::SystemTime;

use super::call::{Filter, FilterCall};
use super::memo::HashMemo;
use super::{bytes, hash, otp, pem, quote, text};
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
    /// The filters behind this one, through which the present output shows what it made.
    pub behind: &'a [FilterCall],
    /// Password hashes made by this process.
    pub memo: &'a mut HashMemo,
    /// Lowered to the end of the current period by every one-time code.
    pub valid_until: Option<SystemTime>,
}

impl Filter {
    /// Applies a filter to `value` that needs nothing else: neither the time, nor what is in place.
    ///
    /// # Errors
    /// As for [`Filter::apply`].
    pub fn apply_alone(&self, value: &SecretBytes) -> Result<SecretBytes, FilterError> {
        let mut cx = FilterCx {
            now: SystemTime::UNIX_EPOCH,
            present: None,
            behind: &[],
            memo: &mut HashMemo::default(),
            valid_until: None,
        };
        self.apply(value, &mut cx)
    }

    /// Applies the filter to `value`.
    ///
    /// # Errors
    /// The value is not what the filter works on, or lacks the part it names.
    pub fn apply(&self, value: &SecretBytes, cx: &mut FilterCx<'_>) -> Result<SecretBytes, FilterError> {
        #[expect(clippy::disallowed_methods, reason = "filters work on the value")]
        let value = value.expose();
        match self {
            Self::Base64 => Ok(bytes::base64(value)),
            Self::Base64Decode => bytes::base64_decode(value),
            Self::Base64Url => Ok(bytes::base64url(value)),
            Self::Hex => Ok(bytes::hex(value)),
            Self::Sha256 => Ok(bytes::sha256(value)),
            Self::Trim => text::trim(value),
            Self::Upper => text::upper(value),
            Self::Lower => text::lower(value),
            Self::Replace { from, to } => text::replace(value, from, to),
            Self::Lines(count) => text::lines(value, *count),
            Self::Indent(count) => text::indent(value, *count),
            Self::Json(path) => json_path::select(value, path),
            Self::Url => text::url(value),
            Self::Shell => quote::shell(value),
            Self::Dotenv => quote::dotenv(value),
            Self::JsonString | Self::YamlString | Self::TomlString => quote::string(value),
            Self::Pem(label) => pem::blocks(value, label),
            // There is a value.
            Self::Default(_) => Ok(SecretBytes::copy_from(value)),
            Self::Totp => {
                let code = otp::current_code(value, cx.now)?;
                let until = cx
                    .valid_until
                    .map_or(code.valid_until, |until| until.min(code.valid_until));
                cx.valid_until = Some(until);
                Ok(code.code)
            }
            Self::Bcrypt => hash::bcrypt(value, cx),
            Self::Htpasswd(user) => hash::htpasswd(value, user, cx),
        }
    }
}
