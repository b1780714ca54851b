//! The fixtures of the registry, each a test, and the check that no provider lacks one.

use locket_providers::{KINDS, ProviderKind};

use super::fixture::Fixture;
use super::{
    azkv, bao, bws, connect, env, exec, file, infisical, oci, op_core, op_program, report, store, toy, vault,
};

macro_rules! fixtures {
    ($($test:ident: $fixture:expr;)*) => {
        static FIXTURES: &[&dyn Fixture] = &[$(&$fixture),*];

        $(
            #[test]
            fn $test() {
                if $fixture.is_installed() {
                    report::run(&$fixture).conclude();
                }
            }
        )*
    };
}

fixtures! {
    store: store::Embedded;
    file: file::Files;
    env: env::Variables;
    exec: exec::Helper;
    connect_by_names: connect::ByConnect::Names;
    connect_by_ids: connect::ByConnect::Ids;
    op_by_the_core: op_core::ByCore;
    op_by_the_program: op_program::ByProgram;
    azkv_with_a_client_secret: azkv::Azkv::Secret;
    azkv_with_a_certificate: azkv::Azkv::Certificate;
    azkv_with_workload_identity: azkv::Azkv::Workload;
    azkv_as_a_machine: azkv::Azkv::Machine;
    azkv_as_an_app: azkv::Azkv::AppService;
    oci_with_an_api_key: oci::Oracle::ApiKey;
    oci_with_a_session: oci::Oracle::Session;
    oci_as_a_resource: oci::Oracle::Resource;
    oci_as_an_instance: oci::Oracle::Instance;
    bao_with_a_token: bao::TOKEN;
    bao_version_1: bao::VERSION_1;
    bao_with_approle: bao::APPROLE;
    bao_in_a_namespace: bao::NAMESPACE;
    bao_with_userpass: bao::USERPASS;
    bao_with_kubernetes: bao::KUBERNETES;
    bao_with_jwt: bao::JWT;
    bao_with_a_certificate: bao::CERTIFICATE;
    vault_with_a_token: vault::TOKEN;
    bws_by_names: bws::ByBws::Names;
    bws_by_ids: bws::ByBws::Ids;
    infisical_with_universal_auth: infisical::ByInfisical::Universal;
    infisical_of_the_third_generation: infisical::ByInfisical::OldToken;
    infisical_with_oidc: infisical::ByInfisical::Oidc;
}

#[test]
fn every_provider_of_the_registry_has_a_fixture() {
    let uncovered = uncovered(KINDS, FIXTURES);
    assert!(
        uncovered.is_empty(),
        "no fixture holds {uncovered:?} to the suite"
    );
}

#[test]
fn a_provider_without_a_fixture_is_noticed() {
    assert_eq!(uncovered(&[&toy::KIND], FIXTURES), ["toy"]);
    assert!(uncovered(&[&toy::KIND], &[&toy::FLAWLESS]).is_empty());
}

fn uncovered(kinds: &[&'static ProviderKind], fixtures: &[&dyn Fixture]) -> Vec<&'static str> {
    let covered = |kind: &ProviderKind| fixtures.iter().any(|fixture| fixture.kind().name == kind.name);
    kinds
        .iter()
        .filter(|kind| !covered(kind))
        .map(|kind| kind.name)
        .collect()
}
