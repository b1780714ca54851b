//! Which proxy a request goes through: the setting, else the usual variables, as curl reads them.

use hyper_util::client::proxy::matcher::Matcher;
use locket_core::{Environment, ProviderError};
use reqwest::{NoProxy, Url};

use crate::{BuildCx, ConfigError};

/// The proxies of one instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    http: Option<Way>,
    https: Option<Way>,
    /// Hosts that are asked directly.
    except: Option<String>,
}

/// What is named as a proxy.
#[derive(Clone, Debug)]
enum Way {
    Through(Url),
    /// A variable is there for other programs too, which may speak what is not spoken here: it is in the way of those
    /// requests alone that would go through it.
    Closed(ConfigError),
}

impl Proxies {
    /// Reads the setting `proxy`, and the variables unless it is given.
    ///
    /// # Errors
    /// The setting is no proxy's address, or of a kind that is not spoken here.
    pub(crate) fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        match cx.settings.text("proxy").map(str::trim) {
            Some("none") => Ok(Self::default()),
            Some(text) => {
                let proxy = Way::Through(parse("proxy", text)?);
                Ok(Self {
                    http: Some(proxy.clone()),
                    https: Some(proxy),
                    except: None,
                })
            }
            None => Ok(Self::from_environment(cx.environment)),
        }
    }

    fn from_environment(environment: &Environment) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = environment.get(name)?.trim();
                (!value.is_empty()).then_some((*name, value))
            })
        };
        let proxy = |names: &[&'static str]| {
            first(names).map(|(name, text)| parse(name, text).map_or_else(Way::Closed, Way::Through))
        };
        Self {
            // Upper-case HTTP_PROXY is not read: a CGI server sets it from a request's `Proxy:` header.
            http: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            https: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            except: first(&["no_proxy", "NO_PROXY"]).map(|(_, list)| list.to_owned()),
        }
    }

    /// Checks that there is a way to `url`.
    ///
    /// # Errors
    /// It is through a proxy of a kind that is not spoken here.
    pub(crate) fn check(&self, url: &Url) -> Result<(), ProviderError> {
        let way = match url.scheme() {
            "http" => &self.http,
            _ => &self.https,
        };
        let Some(Way::Closed(why)) = way else {
            return Ok(());
        };
        if self.excepts(url) {
            return Ok(());
        }
        let error = ProviderError::invalid(why.message.clone());
        Err(match &why.hint {
            Some(hint) => error.hint(hint.clone()),
            None => error,
        })
    }

    /// Whether the host of `url` is asked directly: the HTTP client's own reading of the list.
    fn excepts(&self, url: &Url) -> bool {
        let list = self.except.as_deref().unwrap_or_default();
        let all_others = Matcher::builder().all("http://proxy.invalid").no(list).build();
        let origin = url.origin().ascii_serialization().parse();
        origin.is_ok_and(|origin| all_others.intercept(&origin).is_none())
    }

    /// Whether the way to a plain server still needs TLS, because the proxy itself is spoken to with it.
    pub(crate) fn plain_needs_tls(&self) -> bool {
        matches!(&self.http, Some(Way::Through(proxy)) if proxy.scheme() == "https")
    }

    /// The same as the HTTP client takes them.
    pub(crate) fn as_client_proxies(&self) -> Result<Vec<reqwest::Proxy>, reqwest::Error> {
        let except = || self.except.as_deref().and_then(NoProxy::from_string);
        let open = |way: &Option<Way>| match way {
            Some(Way::Through(proxy)) => Some(proxy.clone()),
            Some(Way::Closed(_)) | None => None,
        };
        let http = open(&self.http).map(reqwest::Proxy::http);
        let https = open(&self.https).map(reqwest::Proxy::https);
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
