use locket_core::ErrorKind;

use super::*;

const ITEM: &str = r#"{
    "title": "db",
    "sections": [
        {"id": "add more"},
        {"id": "admin1", "label": "Admin"},
        {"id": "ro2", "label": "Read only"},
        {"id": "twin1", "label": "Twins"},
        {"id": "twin2", "label": "Twins"}
    ],
    "fields": [
        {"id": "username", "label": "username", "purpose": "USERNAME", "type": "STRING", "value": "u"},
        {"id": "password", "label": "password", "purpose": "PASSWORD", "type": "CONCEALED", "value": "main"},
        {"id": "f1", "label": "password", "section": {"id": "admin1"}, "value": "admin"},
        {"id": "f2", "label": "password", "section": {"id": "ro2"}, "value": "reader"},
        {"id": "f3", "label": "host", "section": {"id": "ro2"}, "value": "h"},
        {"id": "f4", "label": "port", "section": {"id": "admin1"}, "value": "1"},
        {"id": "f5", "label": "port", "section": {"id": "ro2"}, "value": "2"},
        {"id": "f6", "label": "extra", "section": {"id": "add more"}, "value": "custom"},
        {"id": "f7", "label": "extra", "section": {"id": "ro2"}, "value": "sectioned"},
        {"id": "f8", "label": "Case", "value": "upper"},
        {"id": "f9", "label": "case", "value": "lower"},
        {"id": "f3x", "label": "f3", "value": "label that is an id"},
        {"id": "t1", "label": "half", "section": {"id": "twin1"}, "value": "left"},
        {"id": "t2", "label": "other half", "section": {"id": "twin2"}, "value": "right"},
        {"id": "a", "label": "odd/slash", "value": "slashed"},
        {"id": "nolabel", "value": "bare"},
        {"id": "att", "label": "cert.pem", "type": "FILE", "section": {"id": "admin1"}}
    ],
    "files": [
        {"id": "file1", "name": "cert.pem", "size": 3, "section": {"id": "admin1"}},
        {"id": "file2", "name": "top.txt", "size": 4}
    ]
}"#;

fn reference(section: Option<&str>, field: Option<&str>, view: View) -> OpReference {
    OpReference {
        vault: "v".into(),
        item: "db".into(),
        section: section.map(str::to_owned),
        field: field.map(str::to_owned),
        view,
    }
}

/// Id of what is chosen.
fn id_in(json: &str, reference: &OpReference) -> Result<String, ProviderError> {
    let item: Item<'_> = serde_json::from_str(json).unwrap();
    Ok(match select(&item, reference)? {
        Chosen::Field(field) => field.id.clone(),
        Chosen::File(file) => file.id.clone(),
    })
}

fn field(name: &str) -> Result<String, ProviderError> {
    id_in(ITEM, &reference(None, Some(name), View::Value))
}

fn in_section(section: &str, name: &str) -> Result<String, ProviderError> {
    id_in(ITEM, &reference(Some(section), Some(name), View::Value))
}

#[test]
fn a_section_decides_between_fields_of_one_name() {
    assert_eq!(in_section("Admin", "password").unwrap(), "f1");
    assert_eq!(in_section("Read only", "password").unwrap(), "f2");
    assert_eq!(
        in_section("ro2", "password").unwrap(),
        "f2",
        "by the section's id"
    );
    assert_eq!(
        in_section("read ONLY", "password").unwrap(),
        "f2",
        "case does not matter"
    );
    assert_eq!(in_section("ro2", "f3").unwrap(), "f3", "by both ids");
}

#[test]
fn a_field_of_another_section_is_never_given() {
    let error = in_section("Admin", "host").unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.context.contains("section `Admin`"), "{}", error.context);
    let error = in_section("Admn", "host").unwrap_err();
    assert_eq!(
        (error.kind, error.hint.as_deref()),
        (ErrorKind::NotFound, Some("Did you mean `Admin`?"))
    );
}

#[test]
fn without_a_section_the_field_outside_of_sections_comes_first() {
    assert_eq!(field("password").unwrap(), "password");
    assert_eq!(
        field("extra").unwrap(),
        "f6",
        "a section without a label counts as none"
    );
}

#[test]
fn without_a_section_the_only_field_of_a_name_is_found_wherever_it_is() {
    assert_eq!(field("host").unwrap(), "f3");
    assert_eq!(field("half").unwrap(), "t1");
}

#[test]
fn an_ambiguous_field_is_refused_with_its_sections_and_ids() {
    let error = field("port").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(
        error
            .context
            .contains("`Admin/port` (id `f4`), `Read only/port` (id `f5`)"),
        "{}",
        error.context
    );
}

#[test]
fn an_exact_name_beats_an_id_beats_another_case() {
    assert_eq!(field("case").unwrap(), "f9");
    assert_eq!(field("Case").unwrap(), "f8");
    assert_eq!(field("CASE").unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(field("HOST").unwrap(), "f3");
    assert_eq!(field("f3").unwrap(), "f3x", "a label before an id");
    assert_eq!(field("f4").unwrap(), "f4");
}

#[test]
fn sections_of_one_label_are_searched_together() {
    assert_eq!(in_section("Twins", "half").unwrap(), "t1");
    assert_eq!(in_section("Twins", "other half").unwrap(), "t2");
}

#[test]
fn odd_names_are_names() {
    assert_eq!(field("odd/slash").unwrap(), "a");
    assert_eq!(field("nolabel").unwrap(), "nolabel");
}

#[test]
fn files_are_found_by_name_and_id_also_in_sections() {
    assert_eq!(
        field("cert.pem").unwrap(),
        "file1",
        "not the field that stands for it"
    );
    assert_eq!(in_section("Admin", "cert.pem").unwrap(), "file1");
    assert_eq!(
        in_section("Read only", "cert.pem").unwrap_err().kind,
        ErrorKind::NotFound
    );
    assert_eq!(field("file2").unwrap(), "file2");
}

#[test]
fn a_missing_field_is_not_found_with_the_nearest_name() {
    let error = field("pasword").unwrap_err();
    assert_eq!(
        (error.kind, error.hint.as_deref()),
        (ErrorKind::NotFound, Some("Did you mean `password`?"))
    );
    let error = field("entirely different").unwrap_err();
    assert!(error.hint.unwrap().contains("`username`, `password`"));
}

#[test]
fn without_a_field_it_is_the_password_or_credential() {
    assert_eq!(
        id_in(ITEM, &reference(None, None, View::Value)).unwrap(),
        "password"
    );
    let api = r#"{"fields":[{"id":"u","label":"username","value":"x"},{"id":"c","label":"Credential","value":"y"}]}"#;
    assert_eq!(id_in(api, &reference(None, None, View::Value)).unwrap(), "c");
    let plain = r#"{"fields":[{"id":"password","label":"pw","value":"y"}]}"#;
    assert_eq!(
        id_in(plain, &reference(None, None, View::Value)).unwrap(),
        "password"
    );
    let note = r#"{"fields":[{"id":"notesPlain","label":"notes","value":"y"}]}"#;
    let error = id_in(note, &reference(None, None, View::Value)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(error.hint.as_deref(), Some("Name one of its fields: `notes`."));
}

#[test]
fn without_a_field_codes_and_keys_are_found_by_type_when_there_is_one() {
    let one =
        r#"{"fields":[{"id":"p","purpose":"PASSWORD"},{"id":"o","type":"OTP"},{"id":"k","type":"SSHKEY"}]}"#;
    assert_eq!(id_in(one, &reference(None, None, View::Otp)).unwrap(), "o");
    assert_eq!(id_in(one, &reference(None, None, View::OpenSsh)).unwrap(), "k");
    let two = r#"{"fields":[{"id":"o1","type":"OTP","label":"a"},{"id":"o2","type":"OTP","label":"b"}]}"#;
    assert_eq!(
        id_in(two, &reference(None, None, View::Otp)).unwrap_err().kind,
        ErrorKind::Invalid
    );
    assert_eq!(
        id_in(two, &reference(None, None, View::OpenSsh))
            .unwrap_err()
            .kind,
        ErrorKind::NotFound
    );
}
