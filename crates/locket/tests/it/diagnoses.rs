//! Bitwarden and Infisical through the program: each thing that can be wrong is told apart, and a run over several
//! providers is one round.

use std::process::Output;

use locket_testkit::fakes::bitwarden::Bitwarden;
use locket_testkit::fakes::infisical::{Infisical, Role, Secret};
use locket_testkit::{Request, Response, Server, TestCa};

use crate::support::Scene;

const VALUE: &str = "canary-8c1f0e";

/// One secret in each of two services.
struct Services {
    bitwarden: Bitwarden,
    infisical: Infisical,
    bws: Server,
    inf: Server,
    bws_token: String,
    inf_token: String,
    id: String,
    scene: Scene,
}

impl Services {
    fn new() -> Self {
        let bitwarden = Bitwarden::new();
        let (project, hidden) = (bitwarden.add_project("prod"), bitwarden.add_project("hidden"));
        let id = bitwarden.add_secret(&project, "db", VALUE);
        bitwarden.add_secret(&hidden, "db", VALUE);
        let infisical = Infisical::new();
        infisical.put(("p1", "prod", "/"), Secret::new("DB", VALUE));
        infisical.put(("p1", "hidden", "/"), Secret::new("DB", VALUE));
        let (inf_token, identity) = infisical.token();
        infisical.grant(identity, "p1", "prod", Some(Role::Read));
        let (for_bws, for_inf) = (bitwarden.clone(), infisical.clone());
        Self {
            bws: Server::start(move |request| for_bws.answer(&request)),
            inf: Server::start(move |request| for_inf.answer(&request)),
            bws_token: bitwarden.access_token(&[&project]),
            inf_token,
            bitwarden,
            infisical,
            id,
            scene: Scene::new(),
        }
    }

    /// The program with both services set up; later variables win.
    fn locket(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let (bws, inf) = (self.bws.url(), self.inf.url());
        let usual = [
            ("BWS_SERVER_URL", bws.as_str()),
            ("BWS_ACCESS_TOKEN", &self.bws_token),
            ("INFISICAL_URL", &inf),
            ("INFISICAL_TOKEN", &self.inf_token),
            ("INFISICAL_DEFAULT_PROJECT_ID", "p1"),
            ("INFISICAL_DEFAULT_ENVIRONMENT", "prod"),
            ("SSL_CERT_FILE", "/dev/null"),
        ];
        let mut command = self.scene.locket(arguments);
        command.envs(usual).envs(variables.iter().copied());
        command.output().unwrap()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

fn refusing(answer: impl Fn() -> Response + Send + Sync + 'static) -> Server {
    Server::start(move |_: Request| answer())
}

#[test]
fn a_check_tells_name_server_tls_proxy_identity_permission_name_and_throttling_apart() {
    let services = Services::new();
    let ca = TestCa::new();
    let (for_bws, for_inf) = (services.bitwarden.clone(), services.infisical.clone());
    let secure = Server::builder().tls(&ca).start(move |request| {
        match request.path.starts_with("/identity") || request.path.contains("get-by-ids") {
            true => for_bws.answer(&request),
            false => for_inf.answer(&request),
        }
    });
    let proxying = refusing(|| Response::text(403, "blocked"));
    let throttle = refusing(|| Response::status(429).with_header("retry-after", "60"));
    let down = refusing(|| Response::status(200));
    down.go_down();
    let foreign = Bitwarden::new().access_token(&[]);
    let (https, ca_file) = (secure.url(), ca.file());
    let ca_file = ca_file.to_str().unwrap();
    let proxy = proxying.url();
    for bws in [true, false] {
        let (usual, address, trusts) = match bws {
            true => (
                format!("bws://{}", services.id),
                "BWS_SERVER_URL",
                "--bws.ca-file",
            ),
            false => (
                "infisical:///DB".to_owned(),
                "INFISICAL_URL",
                "--infisical.ca-file",
            ),
        };
        let check = |reference: &str, more: &[&str], variables: &[(&str, &str)]| {
            let always = ["providers", "check", reference];
            let arguments: Vec<_> = always.iter().chain(more).copied().collect();
            let output = services.locket(&arguments, variables);
            let told = text(&output);
            assert!(!told.contains(VALUE), "{told}");
            (
                told.split_whitespace().next().unwrap_or_default().to_owned(),
                told,
            )
        };
        let at = |url: &str, more: &[&str], extra: &[(&str, &str)]| {
            let variables: Vec<_> = [(address, url)]
                .into_iter()
                .chain(extra.iter().copied())
                .collect();
            check(&usual, more, &variables)
        };
        let is = |(outcome, told): (String, String), due: &str, said: &str| {
            assert!(outcome == due && told.contains(said), "{due}, {said}: {told}");
        };
        is(check(&usual, &[], &[]), "ok", "");
        is(
            at("http://nowhere.invalid", &[], &[]),
            "unavailable",
            "has no address",
        );
        is(at(&down.url(), &[], &[]), "unavailable", "connection refused");
        is(at(&https, &[], &[]), "unavailable", "is not trusted");
        is(at(&https, &[trusts, ca_file], &[]), "ok", "");
        is(
            at("https://example.com", &[], &[("HTTPS_PROXY", &proxy)]),
            "unavailable",
            "proxy",
        );
        is(at(&throttle.url(), &[], &[]), "rate-limited", "asked too often");
        let (wrong, denied, missing, misplaced) = match bws {
            true => (
                ("BWS_ACCESS_TOKEN", foreign.as_str(), "bitwarden.eu"),
                ("bws://hidden/db", "sees no project"),
                "bws://prod/nothing",
                ("bws://prd/db", "Did you mean `prod`"),
            ),
            false => (
                (
                    "INFISICAL_TOKEN",
                    "head.claims.foreign",
                    "does not accept the access token",
                ),
                ("infisical:///DB?env=hidden", "may not be read"),
                "infisical:///NOTHING",
                ("infisical:///DB?path=/none", "no such place"),
            ),
        };
        is(check(&usual, &[], &[(wrong.0, wrong.1)]), "auth", wrong.2);
        is(check(denied.0, &[], &[]), "denied", denied.1);
        is(check(missing, &[], &[]), "not-found", "has no secret");
        let (outcome, told) = check(misplaced.0, &[], &[]);
        assert!(
            outcome != "ok" && outcome != "not-found" && told.contains(misplaced.1),
            "{told}"
        );
        assert_eq!(throttle.request_count(), 1, "a check asks once");
        throttle.forget();
    }
}

#[test]
fn one_template_over_several_providers_is_one_round_and_one_that_fails_is_named() {
    let services = Services::new();
    let id = &services.id;
    services.scene.write(
        "in/both",
        format!("{{{{ {id} }}}} {{{{ infisical:///DB }}}} {{{{ bws://prod/db }}}}"),
    );
    services.scene.write("in/bws", "x={{ bws://prod/db }}");
    services.scene.write("in/infisical", "x={{ infisical:///DB }}");
    let run = [
        "inject",
        "--map",
        "in:out",
        "--state-dir",
        "state",
        "--deadline",
        "2s",
    ];
    let output = services.locket(&run, &[]);
    assert!(output.status.success(), "{}", text(&output));
    let whole = format!("{VALUE} {VALUE} {VALUE}");
    assert_eq!(services.scene.read("out/both"), Some(whole));
    let paths = |server: &Server| -> Vec<_> {
        server
            .requests()
            .into_iter()
            .map(|request| request.path)
            .collect()
    };
    let reads = paths(&services.bws);
    assert_eq!(
        reads.iter().filter(|path| path.ends_with("/get-by-ids")).count(),
        1,
        "{reads:?}"
    );
    assert_eq!(paths(&services.inf), ["/api/v4/secrets/DB"]);

    services.infisical.end_tokens();
    std::fs::remove_dir_all(services.scene.path("out")).unwrap();
    let output = services.locket(&run, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert_eq!(services.scene.read("out/bws"), Some(format!("x={VALUE}")));
    let told = text(&output);
    assert!(!services.scene.path("out/both").exists() && !services.scene.path("out/infisical").exists());
    assert!(
        told.contains("infisical:///DB") && !told.contains(VALUE),
        "{told}"
    );
    assert!(
        !told.contains(&services.bws_token) && !told.contains(&services.inf_token),
        "{told}"
    );
}

#[test]
fn bitwarden_is_chosen_by_flag_or_variable_and_serves_bare_ids() {
    let services = Services::new();
    services.scene.write("in/a", format!("{{{{ {} }}}}", services.id));
    let run = ["inject", "--map", "in:out", "--state-dir", "state"];
    let flag: Vec<_> = run.into_iter().chain(["--provider=bws"]).collect();
    for (arguments, variables) in [
        (flag.as_slice(), &[][..]),
        (run.as_slice(), &[("SECRETS_PROVIDER", "bws")]),
    ] {
        let output = services.locket(arguments, variables);
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(services.scene.read("out/a").as_deref(), Some(VALUE));
        std::fs::remove_file(services.scene.path("out/a")).unwrap();
    }
}
