//! What is to be done next so that a secret and its services are as they should be, from what there is. Whoever was
//! interrupted anywhere finds the same next step.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::engine::{SecretObject, SwarmService};

/// The label of an object with the name of its secret; versions of one secret have it in common.
pub const BASE: &str = "locket.sync";

/// The label with the version.
const VERSION: &str = "locket.version";

/// The label with the keyed digest of the value.
const DIGEST: &str = "locket.digest";

/// What stands before the name of a secret in the label of a service, for what its tasks were last given by a driver.
const GIVEN: &str = "locket.given.";

/// A secret as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name, without a version.
    pub name: String,
    /// The file of the value in containers that are given it anew.
    pub target: String,
    /// Services that get it; beside them all that use an earlier version, or a secret of its name.
    pub services: Vec<String>,
    /// Ids of services that are left as they are.
    pub left_out: Vec<String>,
    /// The keyed digest of its value.
    pub digest: String,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Make the object of this name and labels.
    Create {
        name: String,
        labels: BTreeMap<String, String>,
    },
    /// Give a service the newest value.
    Move {
        service: SwarmService,
        spec: Value,
        to: String,
    },
    /// Remove an object that nobody uses.
    Remove { id: String, name: String },
    /// Everything is as it should be.
    Done,
}

/// The next step for `wanted`. What is in `given_up` is left as it is: services and objects by their numbers.
pub(super) fn next(
    wanted: &Wanted,
    secrets: &[SecretObject],
    services: &[SwarmService],
    given_up: &[String],
) -> Step {
    let driven = secrets
        .iter()
        .find(|secret| secret.name == wanted.name && secret.driver.is_some());
    if let Some(driven) = driven {
        return force(wanted, driven, services, given_up);
    }
    let mut versions: Vec<_> = secrets
        .iter()
        .filter(|secret| secret.labels.get(BASE) == Some(&wanted.name))
        .collect();
    versions.sort_by_key(|secret| version(secret));
    let newest = versions.last().copied();
    let Some(newest) = newest.filter(|newest| newest.labels.get(DIGEST) == Some(&wanted.digest)) else {
        let version = newest.map_or(0, version) + 1;
        return Step::Create {
            name: format!("{}.v{version}", wanted.name),
            labels: BTreeMap::from([
                (BASE.to_owned(), wanted.name.clone()),
                (VERSION.to_owned(), version.to_string()),
                (DIGEST.to_owned(), wanted.digest.clone()),
            ]),
        };
    };
    let is_earlier = |id: &str, name: &str| {
        name == wanted.name
            || versions
                .iter()
                .any(|secret| secret.id == id && secret.id != newest.id)
    };
    for service in services.iter().filter(|service| !given_up.contains(&service.id)) {
        let is_named = wanted.services.iter().any(|name| name == service.name());
        if let Some(spec) = moved(service, newest, wanted, is_named, is_earlier) {
            return Step::Move {
                service: service.clone(),
                spec,
                to: newest.name.clone(),
            };
        }
    }
    let is_used = |id: &str| services.iter().any(|service| uses(&service.spec, id));
    let free = versions
        .iter()
        .find(|secret| secret.id != newest.id && !is_used(&secret.id) && !given_up.contains(&secret.id));
    match free {
        Some(free) => Step::Remove {
            id: free.id.clone(),
            name: free.name.clone(),
        },
        None => Step::Done,
    }
}

/// The next step for a secret whose value a driver gives: services whose tasks had another value start new ones.
fn force(wanted: &Wanted, driven: &SecretObject, services: &[SwarmService], given_up: &[String]) -> Step {
    let label = format!("{GIVEN}{}", wanted.name);
    let behind = services.iter().find(|service| {
        !given_up.contains(&service.id)
            && uses(&service.spec, &driven.id)
            && service.label(&label) != Some(wanted.digest.as_str())
    });
    let Some(service) = behind else {
        return Step::Done;
    };
    let mut spec = service.spec.clone();
    if !spec["Labels"].is_object() {
        spec["Labels"] = json!({});
    }
    spec["Labels"][label.as_str()] = json!(wanted.digest);
    let task = &mut spec["TaskTemplate"];
    task["ForceUpdate"] = json!(task["ForceUpdate"].as_u64().unwrap_or_default() + 1);
    Step::Move {
        service: service.clone(),
        spec,
        to: driven.name.clone(),
    }
}

/// The service with the newest version in the place of others; `None` where it is there and nothing else is.
fn moved(
    service: &SwarmService,
    newest: &SecretObject,
    wanted: &Wanted,
    is_named: bool,
    is_earlier: impl Fn(&str, &str) -> bool,
) -> Option<Value> {
    let mut spec = service.spec.clone();
    let container = spec["TaskTemplate"].get_mut("ContainerSpec")?;
    let mut given = container["Secrets"].as_array().cloned().unwrap_or_default();
    let (mut is_changed, mut is_there) = (false, false);
    for reference in &mut given {
        let id = reference["SecretID"].as_str().unwrap_or_default();
        let name = reference["SecretName"].as_str().unwrap_or_default();
        if id == newest.id {
            is_there = true;
        } else if is_earlier(id, name) {
            reference["SecretID"] = json!(newest.id);
            reference["SecretName"] = json!(newest.name);
            (is_changed, is_there) = (true, true);
        }
    }
    if is_named && !is_there {
        given.push(json!({
            "SecretID": newest.id,
            "SecretName": newest.name,
            "File": { "Name": wanted.target, "UID": "0", "GID": "0", "Mode": 0o444 },
        }));
        is_changed = true;
    }
    container["Secrets"] = json!(given);
    is_changed.then_some(spec)
}

/// The numbers of the objects of a secret: of its versions, and of the one that a driver gives.
pub(super) fn family<'a>(wanted: &Wanted, secrets: &'a [SecretObject]) -> BTreeSet<&'a str> {
    let is_of_it = |secret: &&SecretObject| {
        secret.labels.get(BASE) == Some(&wanted.name)
            || (secret.driver.is_some() && secret.name == wanted.name)
    };
    secrets
        .iter()
        .filter(is_of_it)
        .map(|secret| secret.id.as_str())
        .collect()
}

/// Whether the last change of a service was one of this secret: it uses other objects of the `family` than before, or
/// the driver gave it another value. Whatever else was changed is the affair of those who changed it.
pub(super) fn is_ours(wanted: &Wanted, family: &BTreeSet<&str>, service: &SwarmService) -> bool {
    let label = format!("{GIVEN}{}", wanted.name);
    let previous = service.previous.as_ref();
    previous.is_some_and(|previous| given(previous, family, &label) != given(&service.spec, family, &label))
}

/// What of a secret a service's spec gives: objects, and the digest of what a driver gave.
fn given<'a>(spec: &'a Value, family: &BTreeSet<&str>, label: &str) -> (BTreeSet<&'a str>, Option<&'a str>) {
    let references = spec["TaskTemplate"]["ContainerSpec"]["Secrets"].as_array();
    let objects = references
        .into_iter()
        .flatten()
        .filter_map(|reference| reference["SecretID"].as_str())
        .filter(|id| family.contains(id))
        .collect();
    (objects, spec["Labels"][label].as_str())
}

/// Whether a service's or task's spec gives it the secret of this number.
pub(crate) fn uses(spec: &Value, id: &str) -> bool {
    let task = spec.get("TaskTemplate").unwrap_or(spec);
    let given = task["ContainerSpec"]["Secrets"].as_array();
    given.is_some_and(|given| given.iter().any(|reference| reference["SecretID"] == id))
}

fn version(secret: &SecretObject) -> u64 {
    let label = secret.labels.get(VERSION);
    label.and_then(|label| label.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(digest: &str) -> Wanted {
        Wanted {
            left_out: Vec::new(),
            name: "db".into(),
            target: "db".into(),
            services: vec![],
            digest: digest.into(),
        }
    }

    fn object(version: u64, digest: &str) -> SecretObject {
        let labels = [
            (BASE.to_owned(), "db".to_owned()),
            (VERSION.to_owned(), version.to_string()),
            (DIGEST.to_owned(), digest.to_owned()),
        ];
        SecretObject {
            id: format!("id{version}"),
            name: format!("db.v{version}"),
            labels: labels.into(),
            driver: None,
        }
    }

    fn service(name: &str, secret: &str, secret_name: &str) -> SwarmService {
        let given = match secret {
            "" => json!([]),
            _ => json!([
                { "SecretID": "other", "SecretName": "other", "File": { "Name": "other" } },
                { "SecretID": secret, "SecretName": secret_name, "File": { "Name": "password", "Mode": 256 } },
            ]),
        };
        SwarmService {
            id: name.into(),
            version: 1,
            spec: json!({ "Name": name, "TaskTemplate": { "ContainerSpec": { "Image": "app", "Secrets": given } } }),
            previous: None,
            update: None,
            message: String::new(),
        }
    }

    #[test]
    fn a_new_value_is_a_new_object_then_services_move_then_the_old_one_goes() {
        let old = object(9, "one");
        let web = service("web", "id9", "db.v9");
        let Step::Create { name, labels } = next(
            &wanted("two"),
            std::slice::from_ref(&old),
            std::slice::from_ref(&web),
            &[],
        ) else {
            panic!()
        };
        assert_eq!((name.as_str(), labels[VERSION].as_str()), ("db.v10", "10"));
        assert!(!labels.values().any(|label| label.contains("value")));
        let both = [object(10, "two"), old];
        let Step::Move { spec, to, .. } = next(&wanted("two"), &both, std::slice::from_ref(&web), &[]) else {
            panic!()
        };
        assert_eq!(to, "db.v10");
        let given = &spec["TaskTemplate"]["ContainerSpec"]["Secrets"];
        assert_eq!(given[0]["SecretID"], "other");
        assert_eq!(given[1]["SecretID"], "id10");
        assert_eq!(
            given[1]["File"],
            json!({ "Name": "password", "Mode": 256 }),
            "under its name"
        );
        let moved = SwarmService { spec, ..web.clone() };
        let step = next(&wanted("two"), &both, std::slice::from_ref(&moved), &[]);
        assert!(
            matches!(step, Step::Remove { ref id, .. } if id == "id9"),
            "{step:?}"
        );
        assert_eq!(next(&wanted("two"), &both[..1], &[moved], &[]), Step::Done);
        // What could not be moved keeps what it uses.
        assert_eq!(
            next(&wanted("two"), &both, &[web], &["web".to_owned()]),
            Step::Done
        );
    }

    #[test]
    fn the_tenth_version_comes_after_the_ninth() {
        let objects = [object(9, "x"), object(10, "now"), object(2, "y")];
        let step = next(&wanted("now"), &objects, &[], &[]);
        assert!(
            matches!(step, Step::Remove { ref id, .. } if id != "id10"),
            "{step:?}"
        );
    }

    #[test]
    fn a_value_that_comes_back_is_a_new_version() {
        let step = next(&wanted("one"), &[object(1, "one"), object(2, "two")], &[], &[]);
        assert!(
            matches!(step, Step::Create { ref name, .. } if name == "db.v3"),
            "{step:?}"
        );
    }

    #[test]
    fn services_that_are_named_get_it_and_those_with_a_secret_of_its_name_are_taken_over() {
        let objects = [object(1, "one")];
        let by_hand = service("old", "made", "db");
        let step = next(&wanted("one"), &objects, &[by_hand], &[]);
        assert!(matches!(step, Step::Move { .. }), "{step:?}");
        let bare = service("new", "", "");
        assert_eq!(
            next(&wanted("one"), &objects, std::slice::from_ref(&bare), &[]),
            Step::Done
        );
        let named = Wanted {
            services: vec!["new".into()],
            ..wanted("one")
        };
        let Step::Move { spec, .. } = next(&named, &objects, &[bare], &[]) else {
            panic!()
        };
        let given = &spec["TaskTemplate"]["ContainerSpec"]["Secrets"][0];
        assert_eq!(
            (&given["SecretID"], &given["File"]["Name"]),
            (&json!("id1"), &json!("db"))
        );
        let fake = SwarmService {
            spec,
            ..service("new", "", "")
        };
        assert_eq!(next(&named, &objects, &[fake], &[]), Step::Done);
    }

    #[test]
    fn services_of_a_secret_with_a_driver_start_new_tasks_once_for_each_value() {
        let driven = SecretObject {
            driver: Some("locket".into()),
            labels: BTreeMap::new(),
            name: "db".into(),
            id: "d".into(),
        };
        let secrets = [driven];
        let web = service("web", "d", "db");
        let Step::Move { spec, .. } = next(&wanted("one"), &secrets, std::slice::from_ref(&web), &[]) else {
            panic!()
        };
        assert_eq!(spec["TaskTemplate"]["ForceUpdate"], 1);
        let forced = SwarmService { spec, ..web };
        assert_eq!(
            next(&wanted("one"), &secrets, std::slice::from_ref(&forced), &[]),
            Step::Done
        );
        let step = next(&wanted("two"), &secrets, &[forced], &[]);
        assert!(
            matches!(step, Step::Move { ref spec, .. } if spec["TaskTemplate"]["ForceUpdate"] == 2),
            "{step:?}"
        );
    }

    /// `now`, which was `before`.
    fn changed(before: &SwarmService, now: SwarmService) -> SwarmService {
        SwarmService {
            previous: Some(before.spec.clone()),
            ..now
        }
    }

    fn with_image(mut service: SwarmService) -> SwarmService {
        service.spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!("other");
        service
    }

    #[test]
    fn an_update_is_ours_only_if_it_changed_which_version_is_used() {
        let objects = [object(1, "one"), object(2, "two")];
        let wanted = wanted("two");
        let family = family(&wanted, &objects);
        assert_eq!(family, BTreeSet::from(["id1", "id2"]));
        let [first, second] = [("id1", "db.v1"), ("id2", "db.v2")].map(|(id, name)| service("web", id, name));
        let is_ours = |service: &SwarmService| is_ours(&wanted, &family, service);
        assert!(is_ours(&changed(&first, second.clone())));
        assert!(
            is_ours(&changed(&first, with_image(second.clone()))),
            "whatever else it changed"
        );
        assert!(
            is_ours(&changed(&service("web", "", ""), second.clone())),
            "it had none"
        );
        assert!(
            is_ours(&changed(&service("web", "made", "db"), second.clone())),
            "it was taken over"
        );
        assert!(!is_ours(&changed(&second, with_image(second.clone()))));
        assert!(!is_ours(&second), "what it was before is not known");
        // The other secret of the same service is not of this family.
        let mut others = second.clone();
        others.spec["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretID"] = json!("another");
        assert!(!is_ours(&changed(&second, others)));
    }

    #[test]
    fn an_update_of_a_secret_with_a_driver_is_ours_only_if_another_value_was_given() {
        let driven = SecretObject {
            driver: Some("locket".into()),
            labels: BTreeMap::new(),
            name: "db".into(),
            id: "d".into(),
        };
        let secrets = [driven];
        let web = service("web", "d", "db");
        let Step::Move { spec, .. } = next(&wanted("one"), &secrets, std::slice::from_ref(&web), &[]) else {
            panic!()
        };
        let forced = SwarmService { spec, ..web.clone() };
        let wanted = wanted("one");
        let family = family(&wanted, &secrets);
        assert!(is_ours(&wanted, &family, &changed(&web, forced.clone())));
        // An operator may force an update, too.
        let mut again = forced.clone();
        again.spec["TaskTemplate"]["ForceUpdate"] = json!(2);
        assert!(!is_ours(&wanted, &family, &changed(&forced, again)));
    }
}
