//! Credentials that are references: one provider lends them to another.

use super::*;

/// Takes the credential `good`, and gives it back for every secret, so that tests see what it got.
pub(super) static FIRST: ProviderKind = fake("first");
pub(super) static SECOND: ProviderKind = fake("second");

const fn fake(name: &'static str) -> ProviderKind {
    ProviderKind {
        name,
        title: "a fake",
        summary: "",
        facts: locket_providers::Facts::LOCAL,
        schemes: &[SchemeSpec {
            name: "both",
            bare: false,
            fragment: Fragment::Json,
        }],
        prefix: "fake",
        settings: &[Setting {
            name: "token-file",
            env: &[],
            kind: SettingKind::Credential,
            summary: "",
        }],
        network: false,
        named_only: false,
        runs_programs: false,
        touches: locket_providers::touches_nothing,
        parse: |reference| Ok(Locator::new(reference.locator(), "", ())),
        parse_every: None,
        build: |cx| Ok(Arc::new(Echo(cx.settings.credential("token-file").cloned()))),
    }
}

#[derive(Debug)]
struct Echo(Option<Credential>);

impl Provider for Echo {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 9,
            max_concurrent: 9,
            local: false,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for _ in batch {
                answers.push(self.echo(cx).await);
            }
            answers
        })
    }
}

impl Echo {
    async fn echo(&self, cx: &FetchCx) -> Result<Fetched, ProviderError> {
        let credential = self.0.as_ref().ok_or_else(|| ProviderError::auth("no token"))?;
        match credential.read(cx).await? {
            token if token.matches(b"good") => Ok(Fetched::new(token)),
            _ => Err(ProviderError::auth("wrong token")),
        }
    }
}

/// Instances of the fake and of files, where the fake's token is `reference`.
fn with_token(directory: &Path, reference: &str) -> Arc<Instances> {
    let context = testing::context(directory, &[]);
    let settle = |layers: &mut Layers<'_>, _: &Context| settle(layers, TIMEOUT);
    let mut settings = testing::settled(directory, &[], &[], "", settle).unwrap();
    settings.add_fake("fake", &FIRST, "token-file", reference);
    settings.instances(&context)
}

async fn ask(instances: &Arc<Instances>, text: &str) -> Result<SecretBytes, Vec<String>> {
    let clock: Arc<dyn locket_core::Clock> = Arc::new(crate::clock::SystemClock::start());
    let parsed = once::parse("test", text.as_bytes(), &TemplateOptions::default(), instances).unwrap();
    let rendered = once::render(&parsed, instances, &clock, TIMEOUT, TIMEOUT).await;
    rendered.map(|rendered| rendered.bytes).map_err(|errors| {
        errors
            .into_iter()
            .map(|error| format!("{:?}", error.problem))
            .collect()
    })
}

#[tokio::test]
async fn a_credential_may_be_a_secret_of_another_provider() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "good\n").unwrap();
    for reference in [
        format!("file://{}", token.display()),
        "{{ file://token | trim }}".to_owned(),
    ] {
        let instances = with_token(directory.path(), &reference);
        let value = ask(&instances, "{{ fake://a }}{{ fake://b }}").await.unwrap();
        assert!(value.matches(b"goodgood"), "{reference}");
        assert_eq!(instances.provider("fake").unwrap().capability().items_per_call, 9);
    }
}

#[test]
fn a_provider_without_its_address_is_refused_before_its_credential_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let context = testing::context(directory.path(), &[]);
    let settle = |layers: &mut Layers<'_>, _: &Context| settle(layers, TIMEOUT);
    let toml = "[connect]\ntoken = 'file:///nowhere'\n";
    let settings = testing::settled(directory.path(), &[], &[], toml, settle).unwrap();
    let error = settings.instances(&context).provider("op").unwrap_err();
    assert!(error.context.contains("address"), "{error}");
}

#[tokio::test]
async fn a_rotated_credential_is_found_after_a_refusal() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "old").unwrap();
    let instances = with_token(directory.path(), "file://token");
    assert!(ask(&instances, "{{ fake://a }}").await.unwrap_err()[0].contains("wrong token"));
    std::fs::write(&token, "good").unwrap();
    assert!(ask(&instances, "{{ fake://a }}").await.unwrap().matches(b"good"));
}

#[tokio::test]
async fn a_missing_credential_is_no_missing_secret() {
    let directory = tempfile::tempdir().unwrap();
    let instances = with_token(directory.path(), "file://token");
    let told = ask(&instances, "{{ fake://a | default \"x\" }}")
        .await
        .unwrap_err();
    assert!(
        told[0].contains("its credential file://token has no value"),
        "{told:?}"
    );
    assert!(told[0].contains(&format!("{:?}", ErrorKind::Auth)), "{told:?}");
}

impl ProviderSettings {
    /// Adds an instance of a kind that the registry does not have.
    fn add_fake(&mut self, name: &str, kind: &'static ProviderKind, setting: &'static str, reference: &str) {
        let given = crate::options::Given {
            text: reference.to_owned(),
            origin: crate::options::Origin::Variable("TEST".to_owned()),
            base: Path::new("/").into(),
        };
        let setting = kind.settings.iter().find(|known| known.name == setting).unwrap();
        let gathered = Gathered {
            references: vec![(setting, given)],
            ..Gathered::default()
        };
        self.add(name, kind, &kind.schemes[0], gathered);
    }
}
