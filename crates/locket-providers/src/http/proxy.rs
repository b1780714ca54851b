//! Which proxy a request goes through: the setting, else the usual variables, as curl reads them.

use locket_core::Environment;
use reqwest::{NoProxy, Url};

use crate::{BuildCx, ConfigError};

/// The proxies of one instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    /// Hosts that are asked directly.
    except: Option<String>,
}

impl Proxies {
    /// Reads the setting `proxy`, and the variables unless it is given.
    ///
    /// # Errors
    /// A proxy's address is not one, or of a kind that is not spoken here.
    pub(crate) fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        match cx.settings.text("proxy").map(str::trim) {
            Some("none") => Ok(Self::default()),
            Some(text) => {
                let proxy = parse("proxy", text)?;
                Ok(Self {
                    http: Some(proxy.clone()),
                    https: Some(proxy),
                    except: None,
                })
            }
            None => Self::from_environment(cx.environment),
        }
    }

    fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = environment.get(name)?.trim();
                (!value.is_empty()).then_some((*name, value))
            })
        };
        let proxy = |names: &[&'static str]| first(names).map(|(name, text)| parse(name, text)).transpose();
        Ok(Self {
            // Upper-case HTTP_PROXY is not read: a CGI server sets it from a request's `Proxy:` header.
            http: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"])?,
            https: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            except: first(&["no_proxy", "NO_PROXY"]).map(|(_, list)| list.to_owned()),
        })
    }

    /// Whether the way to a plain server still needs TLS, because the proxy itself is spoken to with it.
    pub(crate) fn plain_needs_tls(&self) -> bool {
        self.http.as_ref().is_some_and(|proxy| proxy.scheme() == "https")
    }

    /// The same as the HTTP client takes them.
    pub(crate) fn as_client_proxies(&self) -> Result<Vec<reqwest::Proxy>, reqwest::Error> {
        let except = || self.except.as_deref().and_then(NoProxy::from_string);
        let http = self.http.clone().map(reqwest::Proxy::http);
        let https = self.https.clone().map(reqwest::Proxy::https);
        http.into_iter()
            .chain(https)
            .map(|proxy| Ok(proxy?.no_proxy(except())))
            .collect()
    }
}

/// A proxy's address; `host:port` alone is an HTTP proxy. The text may hold a password and is never shown.
fn parse(origin: &str, text: &str) -> Result<Url, ConfigError> {
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("http://{text}"))
    };
    match url {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(ConfigError::new(
            format!("`{origin}` is not the address of an HTTP proxy"),
            "Write it like `http://proxy.example.com:3128`, or set `proxy` to `none`.",
        )),
    }
}
