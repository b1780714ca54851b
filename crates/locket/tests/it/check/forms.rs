//! How findings are printed, and which are left out.

use serde_json::Value;

use super::{check, findings, ids, open_scene};
use crate::support::Scene;

fn scene() -> Scene {
    let scene = open_scene();
    scene.write(
        "compose.yaml",
        "services:\n  db:\n    image: postgres\n    environment:\n      POSTGRES_PASSWORD: hidden-value # ä\n      MORE: ü\n    depends_on: {x: {condition: healthy}}\n  x: {image: y}\n",
    );
    scene
}

fn printed(scene: &Scene, form: &str) -> String {
    String::from_utf8(check(scene, &["--format", form]).stdout).unwrap()
}

#[test]
fn people_see_each_finding_at_its_place_with_advice_and_without_the_value() {
    let said = printed(&scene(), "text");
    for part in [
        "error: `POSTGRES_PASSWORD` holds a password [plain-credential]",
        "compose.yaml:5:26",
        "POSTGRES_PASSWORD: ************",
        "Did you mean `service_healthy`?",
        "2 findings: 2 errors, 0 warnings",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("hidden-value"));
}

#[test]
fn sarif_names_every_rule_and_points_at_lines_and_columns() {
    let document: Value = serde_json::from_str(&printed(&scene(), "sarif")).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "compose.yaml");
        assert!(place["region"]["startLine"].as_u64().unwrap() > 1);
    }
    let region = &results[0]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (&region["startColumn"], &region["endColumn"]),
        (&26.into(), &38.into())
    );
}

#[test]
fn github_gets_one_command_for_each_finding() {
    let said = printed(&scene(), "github");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines[0].starts_with(
            "::error file=compose.yaml,line=5,endLine=5,col=26,endColumn=38,title=plain-credential::"
        ),
        "{said}"
    );
}

#[test]
fn a_baseline_leaves_out_what_it_knows_even_when_lines_move() {
    let scene = scene();
    let written = check(&scene, &["--baseline", "known.json", "--write-baseline"]);
    assert_eq!(written.status.code(), Some(0));
    assert!(!scene.read("known.json").unwrap().contains("hidden-value"));
    assert!(findings(&scene, &["--baseline", "known.json"]).is_empty());
    let moved = scene
        .read("compose.yaml")
        .unwrap()
        .replace("services:", "# moved\n\nservices:")
        + "  z: {image: z, environment: {Z_PASSWORD: new-one}}\n";
    scene.write("compose.yaml", moved);
    let found = findings(&scene, &["--baseline", "known.json"]);
    assert_eq!(ids(&found), ["plain-credential"]);
    assert_eq!(found[0]["subject"], "z: Z_PASSWORD");
    let missing = check(&scene, &["--baseline", "nowhere.json"]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn what_comments_take_back_is_counted_and_not_shown() {
    let scene = open_scene();
    scene.write(
        "compose.yaml",
        "services:\n  db:\n    image: x\n    environment:\n      DB_PASSWORD: a # locket-ignore: plain-credential\n",
    );
    let output = check(&scene, &[]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "nothing is wrong, 1 finding taken back by comments\n");
}
