//! Each way to log in, against a server that takes no other.

use serde_json::json;

use super::*;

const IDENTITY: &str = "7e1c7a2e-1f1b-4d8c-9d7e-6a5b4c3d2e1f";

fn signed(path: &'static str, jwt: &str) -> Login {
    Login::Signed {
        path,
        identity: IDENTITY.to_owned(),
        jwt: jwt.to_owned(),
    }
}

fn aws(session_token: Option<&str>) -> Login {
    Login::Aws {
        identity: IDENTITY.to_owned(),
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: session_token.map(str::to_owned),
    }
}

/// A server that knows one login, and a provider in this environment.
struct Place {
    server: Server,
    fixture: Fixture,
}

impl Place {
    fn new(login: Login, auth: &str) -> Self {
        let fake = Infisical::new();
        let identity = fake.identity(login);
        fake.put(ROOT, Secret::new("K", "v"));
        fake.grant(identity, ROOT.0, ROOT.1, Some(Role::Read));
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        let fixture = Fixture::new()
            .set("url", &server.url())
            .set("auth", auth)
            .set("identity-id", IDENTITY)
            .set("default-project-id", "p1")
            .set("default-environment", "prod");
        Self { server, fixture }
    }

    fn set(mut self, change: impl FnOnce(Fixture) -> Fixture) -> Self {
        self.fixture = change(self.fixture);
        self
    }

    async fn read(&self) -> Result<Fetched, ProviderError> {
        let provider = self.fixture.build(KIND.build).unwrap();
        let batch = [locator("infisical:///K")];
        provider.fetch(&batch, &self.fixture.fetch_cx()).await.remove(0)
    }

    async fn is_let_in(&self) {
        let fetched = self.read().await.unwrap_or_else(|error| panic!("{error:?}"));
        assert!(fetched.value.matches(b"v"));
    }

    async fn is_refused(&self, advice: &str) {
        let error = self.read().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Auth, "{error}");
        assert!(error.hint.as_deref().unwrap().contains(advice), "{error:?}");
    }
}

#[tokio::test]
async fn tokens_that_others_signed_are_read_anew_for_each_login() {
    for (auth, path, advice) in [
        ("kubernetes", "kubernetes-auth", "service accounts"),
        ("oidc", "oidc-auth", "audience"),
        ("jwt", "jwt-auth", "audience"),
        ("azure", "azure-auth", "tenant"),
        ("gcp", "gcp-auth", "service accounts"),
    ] {
        let place = Place::new(signed(path, "head.claims.good"), auth)
            .set(|fixture| fixture.set_credential("jwt-file", "head.claims.bad"));
        place.is_refused(advice).await;
        place.fixture.write("jwt-file", "head.claims.good\n");
        place.is_let_in().await;
        let login = format!("/api/v1/auth/{path}/login");
        assert_eq!(place.server.requests()[1].path, login);
        let other = Place::new(signed("other-auth", "head.claims.good"), auth)
            .set(|fixture| fixture.set_credential("jwt-file", "head.claims.good"));
        other.is_refused(advice).await;
    }
}

#[tokio::test]
async fn a_given_token_counts_until_it_ends_and_its_successor_at_once() {
    let rig = Rig::new();
    rig.put("K", "v");
    let (token, identity) = rig.fake.token();
    rig.fake.grant(identity, ROOT.0, ROOT.1, Some(Role::Read));
    let fixture = Fixture::new()
        .set("url", &format!("{}/api/", rig.server.url()))
        .set("default-project-id", "p1")
        .set("default-environment", "prod")
        .set_credential("token-file", &token);
    let provider = fixture.build(KIND.build).unwrap();
    let batch = [locator("infisical:///K")];
    let read = async || provider.fetch(&batch, &fixture.fetch_cx()).await.remove(0);
    assert!(read().await.unwrap().value.matches(b"v"));
    rig.fake.end_tokens();
    let error = read().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.context.contains("has ended"), "{error}");
    rig.asked();
    read().await.unwrap_err();
    assert_eq!(rig.asked().len(), 0, "the same token is not tried again at once");
    let (successor, identity) = rig.fake.token();
    rig.fake.grant(identity, ROOT.0, ROOT.1, Some(Role::Read));
    fixture.write("token-file", &successor);
    assert!(read().await.unwrap().value.matches(b"v"));
    rig.fake.revoke(identity);
    assert_eq!(read().await.unwrap_err().kind, ErrorKind::Auth);
}

#[tokio::test]
async fn azure_asks_the_metadata_server_of_the_machine() {
    let metadata = Server::start(|request| {
        let is_right = request.path == "/metadata/identity/oauth2/token"
            && request.header("metadata") == Some("true")
            && request.param("resource").as_deref() == Some("https://management.azure.com/")
            && request.param("api-version").as_deref() == Some("2018-02-01");
        match is_right {
            true => Response::json(
                200,
                &json!({"access_token": "head.azure.good", "expires_in": "86400"}),
            ),
            false => Response::json(400, &json!({"error": "invalid_request"})),
        }
    });
    let url = metadata.url();
    let with = |url: &str| {
        let variables = [
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", url),
            ("http_proxy", "http://127.0.0.1:9"),
        ];
        let variables: Vec<_> = variables.into_iter().chain([("no_proxy", "127.0.0.1")]).collect();
        Place::new(signed("azure-auth", "head.azure.good"), "azure")
            .set(|fixture| fixture.environment(variables))
    };
    with(&url).is_let_in().await;
    assert_eq!(metadata.request_count(), 1);
    metadata.go_down();
    let error = with(&url).read().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.hint.unwrap().contains("managed identity"));
    let nobody = Server::start(|_| Response::json(400, &json!({"error": "invalid_request"})));
    with(&nobody.url()).is_refused("managed identity").await;
}

#[tokio::test]
async fn google_cloud_asks_the_metadata_server_for_a_token_to_this_identity() {
    let metadata = Server::start(|request| {
        let is_right = request.path == "/computeMetadata/v1/instance/service-accounts/default/identity"
            && request.header("metadata-flavor") == Some("Google")
            && request.param("audience").as_deref() == Some(IDENTITY)
            && request.param("format").as_deref() == Some("full");
        match is_right {
            true => Response::text(200, "head.google.good"),
            false => Response::text(404, "not found"),
        }
    });
    let with = |host: &str| {
        Place::new(signed("gcp-auth", "head.google.good"), "gcp")
            .set(|fixture| fixture.environment([("GCE_METADATA_HOST", host)]))
    };
    with(&metadata.address().to_string()).is_let_in().await;
    let nobody = Server::start(|_| Response::text(404, "not found"));
    with(&nobody.address().to_string())
        .is_refused("service account")
        .await;
}

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    (
        "AWS_SECRET_ACCESS_KEY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
];

#[tokio::test]
async fn aws_keys_of_the_environment_sign_a_question_that_only_they_can_sign() {
    let region = ("AWS_REGION", "eu-central-1");
    let place =
        Place::new(aws(None), "aws").set(|fixture| fixture.environment(KEYS.into_iter().chain([region])));
    place.is_let_in().await;
    let body = String::from_utf8(place.server.requests()[0].body.to_vec()).unwrap();
    assert!(!body.contains(KEYS[1].1), "the secret key stays here");

    let session = ("AWS_SESSION_TOKEN", "session");
    let with = |login, more: Vec<(&'static str, &'static str)>| {
        Place::new(login, "aws").set(|fixture| fixture.environment(KEYS.into_iter().chain(more)))
    };
    with(aws(Some("session")), vec![region, session])
        .is_let_in()
        .await;
    with(aws(Some("another")), vec![region, session])
        .is_refused("clock")
        .await;
    with(aws(None), vec![region, ("AWS_SECRET_ACCESS_KEY", "wrong")])
        .is_refused("principals")
        .await;
    with(aws(None), vec![]).is_refused("AWS_REGION").await;
}

#[tokio::test]
async fn aws_credentials_of_a_machine_or_container_come_from_its_own_server() {
    let issued = json!({
        "AccessKeyId": KEYS[0].1,
        "SecretAccessKey": KEYS[1].1,
        "Token": "session",
        "Expiration": "2030-01-01T00:00:00Z",
    });
    let answer = issued.clone();
    let machine = Server::start(move |request| {
        if request.method.as_str() == "PUT" {
            let is_right = request.path == "/latest/api/token"
                && request.header("x-aws-ec2-metadata-token-ttl-seconds").is_some();
            return if is_right {
                Response::text(200, "session of imds")
            } else {
                Response::status(400)
            };
        }
        if request.header("x-aws-ec2-metadata-token") != Some("session of imds") {
            return Response::status(401);
        }
        match request.path.as_str() {
            "/latest/meta-data/iam/security-credentials/" => Response::text(200, "role"),
            "/latest/meta-data/iam/security-credentials/role" => Response::json(200, &answer),
            "/latest/meta-data/placement/region" => Response::text(200, "us-east-1"),
            _ => Response::status(404),
        }
    });
    let with = |variables: Vec<(&'static str, String)>| {
        Place::new(aws(Some("session")), "aws")
            .set(|fixture| fixture.environment(variables.iter().map(|(name, value)| (*name, value.as_str()))))
    };
    let endpoint = |url: String| vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)];
    with(endpoint(machine.url())).is_let_in().await;
    let nobody = Server::start(|_| Response::status(404));
    with(endpoint(nobody.url())).is_refused("IAM role").await;

    let answer = issued.clone();
    let container = Server::start(move |request| match request.header("authorization") {
        Some("of the container") => Response::json(200, &answer),
        _ => Response::status(401),
    });
    let files = tempfile::tempdir().unwrap();
    let token = files.path().join("token");
    std::fs::write(&token, "of the container\n").unwrap();
    let container = |token: String| {
        with(vec![
            ("AWS_REGION", "us-east-1".to_owned()),
            (
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                format!("{}/v1/credentials", container.url()),
            ),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token),
        ])
    };
    container(token.display().to_string()).is_let_in().await;
    std::fs::write(&token, "of another").unwrap();
    container(token.display().to_string())
        .is_refused("IAM role")
        .await;
    let garbled = Server::start(move |_| Response::json(200, &json!({"AccessKeyId": "x"})));
    with(vec![
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", garbled.url()),
    ])
    .is_refused("IAM role")
    .await;
}

#[test]
fn what_a_login_touches_is_told_beforehand() {
    let files = |auth: &str, variables: &[(&str, &str)]| {
        let fixture = Fixture::new()
            .set("auth", auth)
            .environment(variables.iter().copied());
        fixture.build(|cx| KIND.reach(cx)).files
    };
    let has =
        |files: Vec<std::path::PathBuf>, path: &str| files.iter().any(|file| file.to_str() == Some(path));
    assert!(has(
        files("kubernetes", &[]),
        "/var/run/secrets/kubernetes.io/serviceaccount/token"
    ));
    assert!(!has(
        files("universal", &[]),
        "/var/run/secrets/kubernetes.io/serviceaccount/token"
    ));
    let variable = [("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/run/token")];
    assert!(has(files("aws", &variable), "/run/token") && !has(files("token", &variable), "/run/token"));
}
