use std::collections::BTreeSet;

use super::table::parse;
use super::*;

#[test]
fn the_table_has_no_mistake_and_each_row_its_source() {
    let rows = parse().unwrap_or_else(|error| panic!("{error}"));
    assert!(rows.len() >= 40, "{}", rows.len());
    let mut names = BTreeSet::new();
    for row in &rows {
        assert!(row.source.starts_with("https://"), "{}", row.title);
        assert!(
            row.names.iter().all(|name| names.insert(name)),
            "{} stands twice",
            row.title
        );
        let mut variables = BTreeSet::new();
        for secret in &row.secrets {
            assert!(variables.insert(&secret.variable), "{}", secret.variable);
            assert!(
                secret.file.is_some() || row.start.is_some(),
                "{} of {} can come from nowhere",
                secret.variable,
                row.title
            );
            if let Some(file) = &secret.file {
                assert!(!row.refused.contains(file), "{file} is read and refused");
            }
        }
        assert!(!row.secrets.is_empty() || row.family.is_some(), "{}", row.title);
    }
}

#[test]
fn an_image_is_known_under_every_name_of_its_registries() {
    for (image, title) in [
        ("postgres", "PostgreSQL"),
        ("postgres:17-alpine@sha256:0123", "PostgreSQL"),
        ("docker.io/library/postgres:16", "PostgreSQL"),
        ("public.ecr.aws/docker/library/postgres:16", "PostgreSQL"),
        ("registry.example:5000/postgres", "PostgreSQL"),
        ("ghcr.io/immich-app/postgres:14-vectorchord", "PostgreSQL"),
        ("bitnami/postgresql:16", "PostgreSQL by Bitnami"),
        ("docker.io/bitnamilegacy/postgresql:16", "PostgreSQL by Bitnami"),
        ("lscr.io/linuxserver/bookstack:latest", "LinuxServer images"),
        ("quay.io/keycloak/keycloak:26.0", "Keycloak"),
        ("proxy.example/quay/keycloak/keycloak", "Keycloak"),
        (
            "docker.elastic.co/elasticsearch/elasticsearch:8.15.0",
            "Elasticsearch",
        ),
        ("docker.gitea.com/gitea:1.25", "Gitea"),
        ("codeberg.org/forgejo/forgejo:12", "Forgejo"),
    ] {
        assert_eq!(
            find(image).map(|image| image.title.as_str()),
            Some(title),
            "{image}"
        );
    }
    for image in [
        "team/postgres",
        "registry.example/team/postgres",
        "my-postgres",
        "postgres-exporter",
        "xgrafana/grafana",
        "linuxserver",
        "",
    ] {
        assert!(find(image).is_none(), "{image}");
    }
}

#[test]
fn the_variable_for_a_file_is_spelled_as_each_image_reads_it() {
    let form = |image: &str, variable: &str| {
        find(image)
            .unwrap()
            .file_form(variable)
            .map(|form| format!("{}={}/f", form.variable, form.prefix))
    };
    for (image, variable, spelled) in [
        ("postgres", "POSTGRES_PASSWORD", Some("POSTGRES_PASSWORD_FILE=/f")),
        ("postgres", "POSTGRES_USER", Some("POSTGRES_USER_FILE=/f")),
        ("postgres", "PGTZ", None),
        (
            "grafana/grafana",
            "GF_SECURITY_ADMIN_PASSWORD",
            Some("GF_SECURITY_ADMIN_PASSWORD__FILE=/f"),
        ),
        (
            "grafana/grafana",
            "GF_AUTH_LDAP_SECRET",
            Some("GF_AUTH_LDAP_SECRET__FILE=/f"),
        ),
        ("linuxserver/nextcloud", "DB_PASS", Some("FILE__DB_PASS=/f")),
        (
            "ghcr.io/goauthentik/server",
            "AUTHENTIK_SECRET_KEY",
            Some("AUTHENTIK_SECRET_KEY=file:///f"),
        ),
        (
            "gitea/gitea",
            "GITEA__database__PASSWD",
            Some("GITEA__database__PASSWD__FILE=/f"),
        ),
        ("redis", "REDIS_PASSWORD", None),
        ("rabbitmq", "RABBITMQ_DEFAULT_PASS", None),
        (
            "paperlessngx/paperless-ngx",
            "PAPERLESS_ANYTHING",
            Some("PAPERLESS_ANYTHING_FILE=/f"),
        ),
    ] {
        assert_eq!(form(image, variable).as_deref(), spelled, "{image} {variable}");
    }
}

#[test]
fn a_misspelt_variable_for_a_file_is_read_by_nobody() {
    let reads = |image: &str, variable: &str| find(image).unwrap().variable_of(variable).map(str::to_owned);
    assert_eq!(
        reads("postgres", "POSTGRES_PASSWORD_FILE").as_deref(),
        Some("POSTGRES_PASSWORD")
    );
    assert_eq!(
        reads("postgres", "POSTGRES_DB_FILE").as_deref(),
        Some("POSTGRES_DB")
    );
    assert_eq!(reads("n8nio/n8n", "ANY_FILE").as_deref(), Some("ANY"));
    for (image, variable) in [
        ("grafana/grafana", "GF_SECURITY_ADMIN_PASSWORD_FILE"),
        ("postgres", "DB_PASSWORD_FILE"),
        ("redis", "REDIS_PASSWORD_FILE"),
        ("rabbitmq", "RABBITMQ_DEFAULT_PASS_FILE"),
        ("gitea/gitea", "GITEA__database__PASSWD_FILE"),
        ("linuxserver/swag", "FILE__"),
    ] {
        assert_eq!(reads(image, variable), None, "{image} {variable}");
    }
}

#[test]
fn the_page_has_a_section_for_every_row() {
    let page = page();
    for image in all() {
        assert!(
            page.contains(&format!("\n## {}\n", image.title)),
            "{}",
            image.title
        );
    }
}
