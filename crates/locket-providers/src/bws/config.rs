//! What can be set, and what an instance is made of.

use std::sync::Arc;

use locket_core::Provider;
use locket_core::schemes::Fragment;

use super::account::MachineAccount;
use super::client::Api;
use super::provider::Bws;
use super::reference;
use super::session::Session;
use crate::http::{Client, Endpoint};
use crate::registry::touches_nothing;
use crate::{BuildCx, ConfigError, Facts, ProviderKind, SchemeSpec, Setting, SettingKind};

/// Bitwarden Secrets Manager.
pub(crate) static KIND: ProviderKind = ProviderKind {
    name: "bws",
    title: "Bitwarden Secrets Manager",
    summary: "Reads secrets of Bitwarden Secrets Manager with a machine account",
    facts: Facts {
        logins: &["access token"],
        batching: "250 secrets",
        versions: "",
        leases: "",
        verified: "the official clients, with an emulator",
        daily_budget: None,
    },
    schemes: &[SchemeSpec {
        name: "bws",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "bws",
    settings: &[
        Setting {
            name: "token-file",
            env: &["BWS_ACCESS_TOKEN", "BWS_MACHINE_TOKEN"],
            kind: SettingKind::Credential,
            summary: "Access token of the machine account",
        },
        Setting {
            name: "server-url",
            env: &["BWS_SERVER_URL"],
            kind: SettingKind::Text,
            summary: "Address of the web vault: `https://vault.bitwarden.eu`, or that of a server of your own; without it, `https://vault.bitwarden.com`",
        },
        Setting {
            name: "api-url",
            env: &["BWS_API_URL"],
            kind: SettingKind::Text,
            summary: "Address of the API, where it is not `/api` below the web vault",
        },
        Setting {
            name: "identity-url",
            env: &["BWS_IDENTITY_URL"],
            kind: SettingKind::Text,
            summary: "Address of the identity server, where it is not `/identity` below the web vault",
        },
    ],
    network: true,
    named_only: false,
    runs_programs: false,
    touches: touches_nothing,
    parse: reference::parse,
    parse_every: Some(reference::parse_every),
    build,
};

/// The web vaults of Bitwarden's own clouds, whose servers have names of their own.
const CLOUDS: &[(&[&str], &str)] = &[
    (
        &["https://vault.bitwarden.com", "https://bitwarden.com"],
        "bitwarden.com",
    ),
    (
        &["https://vault.bitwarden.eu", "https://bitwarden.eu"],
        "bitwarden.eu",
    ),
];

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    let token = cx.settings.credential("token-file").ok_or_else(|| {
        ConfigError::new(
            format!(
                "`{}` has no access token for Bitwarden Secrets Manager",
                cx.instance
            ),
            "Set `bws.token-file` to a file that holds it, or BWS_ACCESS_TOKEN to the token.",
        )
    })?;
    let (api, identity) = servers(cx)?;
    let api = Arc::new(Api::new(Client::new(cx)?, api, identity));
    let account = MachineAccount::new(api.clone(), token.clone());
    Ok(Arc::new(Bws::new(Session::new(api, account))))
}

/// The API and the identity server.
fn servers(cx: &BuildCx<'_>) -> Result<(Endpoint, Endpoint), ConfigError> {
    let given = |name| {
        cx.settings
            .text(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let server = given("server-url");
    let (api, identity) = match (given("api-url"), given("identity-url"), server) {
        (Some(api), Some(identity), _) => (api.to_owned(), identity.to_owned()),
        (api, identity, Some(server)) => {
            let (below_api, below_identity) = below(server);
            (
                api.map_or(below_api, str::to_owned),
                identity.map_or(below_identity, str::to_owned),
            )
        }
        (None, None, None) => below(CLOUDS[0].0[0]),
        // The other one would be Bitwarden's own, which has no business with this token.
        (api, _, None) => {
            let (one, other) = match api {
                Some(_) => ("api-url", "identity-url"),
                None => ("identity-url", "api-url"),
            };
            return Err(ConfigError::new(
                format!("`{one}` of `{}` is set without `{other}`", cx.instance),
                format!("Set `bws.{other}` too, or `bws.server-url` alone."),
            ));
        }
    };
    let name = |own: &'static str| if given(own).is_some() { own } else { "server-url" };
    Ok((
        Endpoint::parse(&format!("bws.{}", name("api-url")), &api)?,
        Endpoint::parse(&format!("bws.{}", name("identity-url")), &identity)?,
    ))
}

/// API and identity server of a web vault.
fn below(server: &str) -> (String, String) {
    let server = server.trim_end_matches('/');
    match CLOUDS.iter().find(|(vaults, _)| vaults.contains(&server)) {
        Some((_, domain)) => (
            format!("https://api.{domain}"),
            format!("https://identity.{domain}"),
        ),
        None => (format!("{server}/api"), format!("{server}/identity")),
    }
}

#[cfg(test)]
mod tests {
    use locket_core::SecretBytes;

    use super::*;
    use crate::Credential;
    use crate::testing::Fixture;

    fn fixture(settings: &[(&'static str, &str)]) -> Fixture {
        settings
            .iter()
            .fold(Fixture::new(), |fixture, (name, text)| fixture.set(name, text))
    }

    fn asked(settings: &[(&'static str, &str)]) -> Result<[String; 2], ConfigError> {
        let (api, identity) = fixture(settings).build(servers)?;
        Ok([api, identity].map(|endpoint| endpoint.join(["x"]).to_string()))
    }

    #[test]
    fn the_servers_follow_from_the_web_vault() {
        let own = [
            "https://vault.example.com/api/x",
            "https://vault.example.com/identity/x",
        ];
        for (settings, expected) in [
            (
                &[][..],
                ["https://api.bitwarden.com/x", "https://identity.bitwarden.com/x"],
            ),
            (
                &[("server-url", "https://vault.bitwarden.eu/")],
                ["https://api.bitwarden.eu/x", "https://identity.bitwarden.eu/x"],
            ),
            (&[("server-url", "https://vault.example.com")], own),
            (&[("server-url", "https://vault.example.com/")], own),
            (
                &[
                    ("api-url", "https://vault.example.com/api/"),
                    ("identity-url", "https://vault.example.com/identity"),
                ],
                own,
            ),
            (
                &[
                    ("server-url", "https://vault.example.com"),
                    ("identity-url", "https://login.example.com"),
                ],
                ["https://vault.example.com/api/x", "https://login.example.com/x"],
            ),
        ] {
            assert_eq!(asked(settings).unwrap(), expected, "{settings:?}");
        }
    }

    #[test]
    fn half_an_address_never_sends_a_token_to_somebody_else() {
        for (one, other) in [("api-url", "identity-url"), ("identity-url", "api-url")] {
            let error = asked(&[(one, "https://vault.example.com/x")]).unwrap_err();
            assert!(error.message.contains(other), "{error:?}");
        }
        let error = asked(&[("server-url", "vault.example.com")]).unwrap_err();
        assert!(error.message.contains("bws.server-url"), "{error:?}");
    }

    #[test]
    fn without_a_token_the_advice_names_file_and_variable() {
        let error = fixture(&[]).build(build).unwrap_err();
        assert!(error.hint.unwrap().contains("BWS_ACCESS_TOKEN"));
        let token = Credential::Value(Arc::new(SecretBytes::copy_from(b"t")));
        let mut fixture = fixture(&[]);
        fixture.settings = fixture.settings.with_credential("token-file", token);
        assert!(
            fixture.build(build).is_ok(),
            "what the token is worth is seen with the first read"
        );
    }
}
