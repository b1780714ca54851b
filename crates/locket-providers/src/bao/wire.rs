//! The server's JSON. Values are borrowed from the response and copied once, into secrets.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use locket_core::json_path;
use locket_core::{ProviderError, Renewal, SecretBytes};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::{Grant, Response};
pub(super) use crate::http::{Member, object};

/// The fields of one secret, still in the response that brought them.
#[derive(Debug)]
pub(super) struct Fields<'a>(HashMap<String, &'a RawValue>);

/// One read of a versioned secret.
#[derive(Debug)]
pub(super) enum Versioned<'a> {
    /// It is there.
    Present { fields: Fields<'a>, version: u64 },
    /// It was, and can be brought back.
    Deleted { version: u64 },
    /// It was, and is gone.
    Destroyed { version: u64 },
}

/// What a 404 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// The path leads to an engine, which keeps nothing there.
    Nothing,
    /// A versioned store had something there, which is deleted or destroyed.
    Version,
    /// The path leads nowhere: no such mount or namespace, or none of the engine's paths. Which of them it is the server
    /// says in words for people, which change.
    NoPath,
}

/// The engine behind a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// Key and value, with versions.
    Kv2,
    /// Key and value, without.
    Kv1,
    /// Whatever answers a plain read: the server does not tell.
    Untold,
    /// Another, by its own name.
    Other(String),
}

/// What `sys/internal/ui/mounts/PATH` says of the mount that a path is in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MountAnswer {
    /// Without the slash at the end.
    pub(super) path: String,
    pub(super) engine: Engine,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct AbsenceEnvelope<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    errors: Option<Vec<String>>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Kv2Data<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    metadata: Kv2Metadata,
}

#[derive(Deserialize)]
struct Kv2Metadata {
    version: u64,
    #[serde(default)]
    destroyed: bool,
}

#[derive(Deserialize)]
struct MountData {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    options: Option<HashMap<String, String>>,
}

/// When an answer ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// The lease's name; `None` for what ends by itself.
    pub(super) id: Option<String>,
    pub(super) lasts: Duration,
    pub(super) renewable: bool,
    /// Whether the server puts another value in its place by then.
    pub(super) rotates: bool,
}

/// The server counts in whole seconds, rounded: this long after the time that it tells a rotation is due.
const ROUNDING: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct WrapData {
    creation_path: String,
}

#[derive(Deserialize)]
struct LeaseEnvelope {
    #[serde(default)]
    lease_id: String,
    /// Seconds.
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Deserialize)]
struct LoginEnvelope<'a> {
    #[serde(borrow)]
    auth: LoginAuth<'a>,
}

#[derive(Deserialize)]
struct LoginAuth<'a> {
    #[serde(borrow)]
    client_token: &'a RawValue,
    /// Seconds; 0 for a token without end.
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    /// Requests; 0 for no limit.
    #[serde(default)]
    num_uses: u64,
}

impl Fields<'_> {
    /// The value of `field`: a string unescaped, anything else as its JSON text. `None` when there is none, or null.
    ///
    /// # Errors
    /// The string is no Unicode text.
    pub(super) fn get(&self, field: &str, response: &Response) -> Result<Option<SecretBytes>, ProviderError> {
        let Some(raw) = self.0.get(field).filter(|raw| raw.get() != "null") else {
            return Ok(None);
        };
        json_path::select(raw.get().as_bytes(), "")
            .map(Some)
            .map_err(|_| garbage(response))
    }

    /// The names of the fields, in order. They are no secrets.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// The fields of an unversioned secret.
///
/// # Errors
/// The body is not what the API promises.
pub(super) fn kv1(response: &Response) -> Result<Fields<'_>, ProviderError> {
    envelope(response)?
        .and_then(|data| serde_json::from_str(data.get()).ok())
        .map(Fields)
        .ok_or_else(|| garbage(response))
}

/// What the body of a 404 says; `None` where it is not the server that speaks.
pub(super) fn absence(response: &Response) -> Option<Absence> {
    let said: AbsenceEnvelope<'_> = serde_json::from_slice(response.body.bytes()).ok()?;
    match (said.data, said.errors, said.warnings) {
        (Some(data), _, _) => serde_json::from_str::<Kv2Data<'_>>(data.get())
            .is_ok()
            .then_some(Absence::Version),
        (None, Some(errors), _) if errors.is_empty() => Some(Absence::Nothing),
        // A versioned store warns of what is none of its paths.
        (None, Some(_), _) | (None, None, Some(_)) => Some(Absence::NoPath),
        (None, None, None) => None,
    }
}

/// A versioned secret.
///
/// # Errors
/// The body is not what the API promises.
pub(super) fn kv2(response: &Response) -> Result<Versioned<'_>, ProviderError> {
    let data = envelope(response)?.ok_or_else(|| garbage(response))?;
    let secret: Kv2Data<'_> = serde_json::from_str(data.get()).map_err(|_| garbage(response))?;
    let version = secret.metadata.version;
    Ok(match secret.data {
        Some(fields) => Versioned::Present {
            fields: Fields(serde_json::from_str(fields.get()).map_err(|_| garbage(response))?),
            version,
        },
        None if secret.metadata.destroyed => Versioned::Destroyed { version },
        None => Versioned::Deleted { version },
    })
}

/// The mount that a path is in.
///
/// # Errors
/// The body is not what the API promises.
pub(super) fn mount(response: &Response) -> Result<MountAnswer, ProviderError> {
    let data: MountData = envelope(response)?
        .and_then(|data| serde_json::from_str(data.get()).ok())
        .ok_or_else(|| garbage(response))?;
    let versioned = data
        .options
        .is_some_and(|options| options.get("version").is_some_and(|version| version == "2"));
    let engine = match data.kind.as_str() {
        "kv" if versioned => Engine::Kv2,
        "kv" | "generic" | "cubbyhole" => Engine::Kv1,
        _ => Engine::Other(data.kind),
    };
    Ok(MountAnswer {
        path: data.path.trim_matches('/').to_owned(),
        engine,
    })
}

/// The token that a login or a renewal brought.
///
/// # Errors
/// The body is not what the API promises.
pub(super) fn grant(response: &Response) -> Result<Grant, ProviderError> {
    let LoginEnvelope { auth } =
        serde_json::from_slice(response.body.bytes()).map_err(|_| garbage(response))?;
    let token = json_path::select(auth.client_token.get().as_bytes(), "").map_err(|_| garbage(response))?;
    if token.is_empty() {
        return Err(garbage(response));
    }
    let mut grant = Grant::new(token);
    if auth.lease_duration > 0 {
        grant = grant.lasting(Duration::from_secs(auth.lease_duration));
    }
    if auth.renewable {
        grant = grant.renewable();
    }
    if auth.num_uses > 0 {
        grant = grant.uses(auth.num_uses);
    }
    Ok(grant)
}

/// What `sys/wrapping/lookup` says of where a wrapping token was made.
///
/// # Errors
/// The body is not what the API promises.
pub(super) fn creation_path(response: &Response) -> Result<String, ProviderError> {
    let data: WrapData = envelope(response)?
        .and_then(|data| serde_json::from_str(data.get()).ok())
        .ok_or_else(|| garbage(response))?;
    Ok(data.creation_path)
}

/// The secret id that was in a wrapping token.
///
/// # Errors
/// The body is not what the API promises.
pub(super) fn unwrapped_secret_id(response: &Response) -> Result<SecretBytes, ProviderError> {
    match kv1(response)?.get("secret_id", response)? {
        Some(secret_id) if !secret_id.is_empty() => Ok(secret_id),
        _ => Err(garbage(response)),
    }
}

/// What a read of any engine says about its own end: a lease, a certificate's or token's own expiry, or the next
/// rotation of what the server keeps and replaces by itself, as for the static roles of `database` and `ldap`.
///
/// # Errors
/// The body is not what the API promises.
pub(super) fn term(
    engine: &Engine,
    response: &Response,
    now: SystemTime,
) -> Result<Option<Term>, ProviderError> {
    let found: LeaseEnvelope =
        serde_json::from_slice(response.body.bytes()).map_err(|_| garbage(response))?;
    // Key/value stores of version 1 give a duration without a lease: a wish, and not an end.
    if !found.lease_id.is_empty() {
        return Ok(Some(Term {
            id: Some(found.lease_id),
            lasts: Duration::from_secs(found.lease_duration),
            renewable: found.renewable,
            rotates: false,
        }));
    }
    let Ok(Fields(fields)) = kv1(response) else {
        return Ok(None);
    };
    let number = |name: &str| fields.get(name)?.get().parse().ok();
    let until = |seconds| {
        let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        ends.duration_since(now).unwrap_or_default()
    };
    let rotates = ["rotation_period", "rotation_schedule"]
        .iter()
        .any(|name| fields.contains_key(*name));
    let lasts = match engine {
        _ if rotates => number("ttl").map(|seconds| Duration::from_secs(seconds).saturating_add(ROUNDING)),
        Engine::Other(kind) if kind == "pki" => number("expiration").map(until),
        Engine::Other(kind) if kind == "gcp" => number("expires_at_seconds").map(until),
        Engine::Other(kind) if kind == "identity" => number("ttl").map(Duration::from_secs),
        _ => None,
    };
    Ok(lasts.map(|lasts| Term {
        id: None,
        lasts,
        renewable: false,
        rotates,
    }))
}

/// What a renewed lease has now.
///
/// # Errors
/// The body is not what the API promises.
pub(super) fn renewal(response: &Response) -> Result<Renewal, ProviderError> {
    let found: LeaseEnvelope =
        serde_json::from_slice(response.body.bytes()).map_err(|_| garbage(response))?;
    Ok(Renewal {
        lasts: Duration::from_secs(found.lease_duration),
        renewable: found.renewable,
    })
}

/// What all answers wrap their content in; `None` for an error's or an empty one.
fn envelope(response: &Response) -> Result<Option<&RawValue>, ProviderError> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(response.body.bytes()).map_err(|_| garbage(response))?;
    Ok(envelope.data)
}

/// The server, or something that answers in its place, does not speak the protocol.
fn garbage(response: &Response) -> ProviderError {
    ProviderError::unavailable(format!(
        "{} answered with something that is not the API's JSON",
        response.place
    ))
}
