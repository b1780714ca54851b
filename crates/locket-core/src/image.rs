//! The name of a container image, taken apart in the one place that does so.

/// `registry/owner/name:tag@digest`, as Compose files and containers have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageName<'a> {
    /// The host that it comes from, with its port; `None` for Docker Hub.
    pub registry: Option<&'a str>,
    /// Owner and name, or the name alone; without `library/` where that is implied.
    pub repository: &'a str,
    /// What stands behind the name's colon.
    pub tag: Option<&'a str>,
}

impl<'a> ImageName<'a> {
    /// Takes `text` apart. Every text is a name; a nonsensical one is known to nobody.
    pub fn of(text: &'a str) -> Self {
        let named = text.split('@').next().unwrap_or_default();
        let (registry, rest) = match named.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), rest),
            _ => (None, named),
        };
        // A colon before the last slash belongs to a registry.
        let last = rest.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match rest[last..].split_once(':') {
            Some((name, tag)) => (&rest[..last + name.len()], Some(tag)),
            None => (rest, None),
        };
        let registry = registry.filter(|host| !matches!(*host, "docker.io" | "index.docker.io"));
        let repository = match registry {
            None => repository.strip_prefix("library/").unwrap_or(repository),
            Some(_) => repository,
        };
        Self {
            registry,
            repository,
            tag,
        }
    }

    /// The last name of the repository.
    pub fn last(&self) -> &'a str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// Everything before the last name, which is the owner where there is one name before it.
    pub fn owner(&self) -> Option<&'a str> {
        self.repository.rsplit_once('/').map(|(owner, _)| owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_repository_and_tag_are_told_apart() {
        for (text, registry, repository, tag) in [
            ("postgres", None, "postgres", None),
            ("postgres:17-alpine", None, "postgres", Some("17-alpine")),
            (
                "docker.io/library/postgres:17@sha256:0123",
                None,
                "postgres",
                Some("17"),
            ),
            ("library/redis", None, "redis", None),
            ("bitnami/redis:7", None, "bitnami/redis", Some("7")),
            (
                "ghcr.io/immich-app/postgres:14",
                Some("ghcr.io"),
                "immich-app/postgres",
                Some("14"),
            ),
            ("localhost/app", Some("localhost"), "app", None),
            (
                "registry:5000/team/app:1",
                Some("registry:5000"),
                "team/app",
                Some("1"),
            ),
            (
                "public.ecr.aws/docker/library/redis",
                Some("public.ecr.aws"),
                "docker/library/redis",
                None,
            ),
            ("", None, "", None),
            (":", None, "", Some("")),
        ] {
            let expected = ImageName {
                registry,
                repository,
                tag,
            };
            assert_eq!(ImageName::of(text), expected, "{text}");
        }
        assert_eq!(ImageName::of("a.example/b/c/d:1").last(), "d");
        assert_eq!(ImageName::of("a.example/b/c/d:1").owner(), Some("b/c"));
    }
}
