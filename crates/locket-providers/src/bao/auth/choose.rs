//! Which login the settings mean, and what in them contradicts it.

use std::path::PathBuf;
use std::sync::Arc;

use locket_core::Environment;

use super::approle::AppRole;
use super::cert::Cert;
use super::login::{Login, Method};
use super::signed::Signed;
use super::token::GivenToken;
use super::userpass::Userpass;
use crate::bao::client::Api;
use crate::http::Authority;
use crate::{BuildCx, ConfigError};

/// Every login method, as `auth` names it.
pub(in crate::bao) const METHODS: &[&str] = &["token", "approle", "userpass", "kubernetes", "jwt", "cert"];

/// Settings that only stand where somebody wrote them for this login, and the methods that read them. Those that
/// variables may set for every program of a machine are passed over instead.
const READ_BY: &[(&str, &[&str])] = &[
    ("secret-id-wrapped", &["approle"]),
    ("username", &["userpass"]),
    ("password-file", &["userpass"]),
    ("jwt-file", &["kubernetes", "jwt"]),
    ("role", &["approle", "kubernetes", "jwt", "cert"]),
];

/// The login that the settings describe.
///
/// # Errors
/// They describe none, or more than one, or lack something that the login needs.
pub(in crate::bao) fn authority(
    cx: &BuildCx<'_>,
    api: Arc<Api>,
    home_files: [&str; 2],
) -> Result<Box<dyn Authority>, ConfigError> {
    let chosen = chosen(cx)?;
    refuse_foreign(cx, chosen)?;
    let method: Box<dyn Method> = match chosen {
        "token" => return Ok(Box::new(given_token(cx, home_files))),
        "approle" => Box::new(AppRole::new(cx)?),
        "userpass" => Box::new(Userpass::new(cx)?),
        "kubernetes" => Box::new(Signed::kubernetes(cx)?),
        "jwt" => Box::new(Signed::jwt(cx)?),
        _ => Box::new(Cert::new(cx)?),
    };
    Ok(Box::new(Login::new(cx, api, chosen, method)?))
}

/// The method that is set, or else the one whose credential is given.
fn chosen(cx: &BuildCx<'_>) -> Result<&'static str, ConfigError> {
    if let Some(given) = cx.settings.text("auth") {
        return match METHODS.iter().find(|name| **name == given) {
            Some(name) => Ok(name),
            None => Err(ConfigError::new(
                format!("`{given}` in `auth` is no login method"),
                format!("Set `auth` to one of {}.", listed(METHODS)),
            )),
        };
    }
    let has = |name| is_set(cx, name);
    let signs = [
        ("token", "a token", has("token-file")),
        (
            "approle",
            "an AppRole",
            has("role-id") || has("secret-id-wrapped"),
        ),
        ("userpass", "a username", has("username") || has("password-file")),
    ];
    let found: Vec<_> = signs.iter().filter(|(_, _, is_there)| *is_there).collect();
    match found[..] {
        [(name, _, _)] => Ok(name),
        [(one, first, _), (other, second, _), ..] => Err(ConfigError::new(
            format!("`{}` has {first} as well as {second}", cx.instance),
            format!("Set `auth` to `{one}` or `{other}` to say which one counts."),
        )),
        [] if has("jwt-file") => Err(ConfigError::new(
            format!("`{}` has a `jwt-file`, which two logins read", cx.instance),
            "Set `auth` to `kubernetes` or `jwt`.",
        )),
        [] if has("role") => Err(ConfigError::new(
            format!("`{}` has a `role`, which several logins read", cx.instance),
            "Set `auth` to `kubernetes`, `jwt` or `cert`.",
        )),
        [] => Ok("token"),
    }
}

/// What is written and would have no effect is a mistake.
fn refuse_foreign(cx: &BuildCx<'_>, chosen: &str) -> Result<(), ConfigError> {
    let foreign = READ_BY
        .iter()
        .find(|(name, methods)| is_set(cx, name) && !methods.contains(&chosen));
    match foreign {
        None => Ok(()),
        Some((name, methods)) => Err(ConfigError::new(
            format!("`{}` logs in by {chosen}, which reads no `{name}`", cx.instance),
            format!("Remove `{name}`, or set `auth` to {}.", listed(methods)),
        )),
    }
}

fn is_set(cx: &BuildCx<'_>, name: &str) -> bool {
    cx.settings.text(name).is_some() || cx.settings.credential(name).is_some()
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn given_token(cx: &BuildCx<'_>, home_files: [&str; 2]) -> GivenToken {
    match cx.settings.credential("token-file") {
        Some(credential) => GivenToken::Set(credential.clone()),
        // A token of the command line is for the server of the variables, and not for every server that is named.
        None if !matches!(cx.instance, "bao" | "vault") => GivenToken::Home(Vec::new()),
        None => GivenToken::Home(home_paths(cx.environment, home_files)),
    }
}

pub(in crate::bao) fn home_paths(environment: &Environment, names: [&str; 2]) -> Vec<PathBuf> {
    let Some(home) = environment.get_os("HOME").filter(|home| !home.is_empty()) else {
        return Vec::new();
    };
    names
        .iter()
        .map(|name| std::path::Path::new(home).join(name))
        .collect()
}
