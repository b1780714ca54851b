use super::*;
use crate::{Files, Request, Unreadable, load};

struct Disk(BTreeMap<PathBuf, String>);

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, Unreadable> {
        self.0.get(path).cloned().ok_or(Unreadable::Missing)
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }
}

fn request() -> Request {
    Request {
        directory: "/p".into(),
        ..Request::default()
    }
}

fn reference(name: &str) -> String {
    format!("{{{{ file://secrets/{name}.txt }}}}")
}

/// The files of a project, the project, and what is decided for it.
fn planned(files: &[(&str, &str)]) -> (BTreeMap<PathBuf, String>, Project, Migration) {
    let before: BTreeMap<PathBuf, String> = files
        .iter()
        .map(|(name, text)| (Path::new("/p").join(name), (*text).to_owned()))
        .collect();
    let project = load(&request(), &Disk(before.clone()), &Environment::default()).unwrap();
    let env = before.get(Path::new("/p/.env")).cloned().unwrap_or_default();
    let migration = plan(&project, &[], (Path::new("/p/.env"), &env), &reference);
    (before, project, migration)
}

/// The texts after a migration, which leaves the project as it was.
fn migrated(files: &[(&str, &str)]) -> (BTreeMap<String, String>, Migration) {
    let (before, project, migration) = planned(files);
    let read = |path: &Path| before.get(path).cloned().unwrap_or_default();
    let texts = migration.texts(&read);
    let mut after = before.clone();
    after.extend(texts.clone());
    let given: Environment = migration
        .moved
        .iter()
        .map(|moved| (moved.variable.as_str(), moved.value.as_str()))
        .collect();
    let again = load(&request(), &Disk(after), &given).unwrap();
    assert_eq!(differences(&project, &again), [""; 0], "{texts:?}");
    let path = Path::new("/p/.env");
    if let Some(text) = texts.get(path) {
        let misread = migration.misread(&read(path), text, &Environment::default(), &reference);
        assert_eq!(misread, [""; 0], "{text}");
    }
    for text in texts.values() {
        assert!(!text.contains("hunter"), "{text}");
    }
    let texts = texts
        .into_iter()
        .map(|(path, text)| (path.file_name().unwrap().to_string_lossy().into_owned(), text));
    (texts.collect(), migration)
}

#[test]
fn values_move_out_and_comments_quotes_and_order_stay() {
    let (texts, migration) = migrated(&[
        (
            "compose.yaml",
            "# mine\nservices:\n  db:\n    image: postgres # pinned later\n    environment:\n      POSTGRES_PASSWORD: 'hunter2$$x' # why not\n      POSTGRES_USER:   app\n  web:\n    image: shop\n    environment:\n      - \"API_TOKEN=hunter3\"\n      - DB_PASSWORD=hunter2$$x\n      - DATABASE_URL=postgres://app:hunter4@db/app # an address\n",
        ),
        (
            ".env",
            "# variables\nSMTP_PASSWORD=\"hunter5 x\" # of the mail\nPORT=80\n",
        ),
    ]);
    assert_eq!(
        texts["compose.yaml"],
        "# mine\nservices:\n  db:\n    image: postgres # pinned later\n    environment:\n      POSTGRES_PASSWORD: \"${POSTGRES_PASSWORD}\" # why not\n      POSTGRES_USER:   app\n  web:\n    image: shop\n    environment:\n      - \"API_TOKEN=${API_TOKEN}\"\n      - DB_PASSWORD=${POSTGRES_PASSWORD}\n      - DATABASE_URL=postgres://app:${DATABASE_PASSWORD}@db/app # an address\n"
    );
    assert_eq!(
        texts[".env"],
        "# variables\nSMTP_PASSWORD={{ file://secrets/smtp_password.txt }} # of the mail\nPORT=80\nPOSTGRES_PASSWORD={{ file://secrets/postgres_password.txt }}\nAPI_TOKEN={{ file://secrets/api_token.txt }}\nDATABASE_PASSWORD={{ file://secrets/database_password.txt }}\n"
    );
    assert!(!format!("{migration:?}").contains("hunter"));
}

#[test]
fn what_stands_in_for_a_variable_moves_out_and_the_variable_stays() {
    let (texts, _) = migrated(&[(
        "compose.yaml",
        "x-env: &env\n  SECRET_KEY: ${SECRET_KEY:-hunter2}\nservices:\n  a: {image: a, environment: *env}\n  b:\n    image: b\n    environment:\n      <<: *env\n      OTHER_TOKEN: ${OTHER:-}\n",
    )]);
    assert!(texts["compose.yaml"].contains("SECRET_KEY: ${SECRET_KEY}\n"));
    assert_eq!(texts[".env"], "SECRET_KEY={{ file://secrets/secret_key.txt }}\n");
}

#[test]
fn files_of_variables_and_commands_lose_their_values_too() {
    let (texts, _) = migrated(&[
        (
            "compose.yaml",
            "services:\n  cache:\n    image: redis\n    command: [redis-server, --requirepass, hunter2, --save, '']\n  other:\n    image: redis\n    command: redis-server --requirepass hunter3 --appendonly yes\n  app:\n    image: app\n    env_file: app.env\n",
        ),
        ("app.env", "# app\nAPI_TOKEN=hunter4\nLEVEL=debug\n"),
    ]);
    assert!(texts["compose.yaml"].contains("[redis-server, --requirepass, \"${REQUIREPASS}\", --save, '']"));
    assert!(
        texts["compose.yaml"]
            .contains("command: redis-server --requirepass ${OTHER_REQUIREPASS} --appendonly yes\n")
    );
    assert_eq!(texts["app.env"], "# app\nAPI_TOKEN=${API_TOKEN}\nLEVEL=debug\n");
}

#[test]
fn values_of_files_of_variables_move_whole_however_they_are_written() {
    let compose = "services:\n  a:\n    image: a\n    env_file: app.env\n    environment:\n      ONE: ${DB_PASSWORD}\n      TWO: ${API_TOKEN}\n      THREE: ${MAIL_PASSWORD}\n      FOUR: ${NOTE}\n";
    let (texts, migration) = migrated(&[
        ("compose.yaml", compose),
        (
            ".env",
            "DB_PASSWORD='hunter\\'s 2' # of the database\nAPI_TOKEN: hunter3==\nMAIL_PASSWORD= \"hunter4 # x\"\nNOTE=n-${DB_PASSWORD}\n",
        ),
        (
            "app.env",
            "APP_PASSWORD='hunter\\'s 5'\nAPP_TOKEN: hunter6==\nAPP_SECRET_KEY= \"hunter7 # x\"\n",
        ),
    ]);
    let values: Vec<_> = migration.moved.iter().map(|moved| moved.value.as_str()).collect();
    assert_eq!(
        values,
        [
            "hunter's 2",
            "hunter3==",
            "hunter4 # x",
            "hunter's 5",
            "hunter6==",
            "hunter7 # x"
        ]
    );
    assert!(
        texts[".env"].starts_with(
            "DB_PASSWORD={{ file://secrets/db_password.txt }} # of the database\nAPI_TOKEN: {{ file://secrets/api_token.txt }}\nMAIL_PASSWORD= {{ file://secrets/mail_password.txt }}\nNOTE=n-${DB_PASSWORD}\n"
        ),
        "{}",
        texts[".env"]
    );
    assert_eq!(
        texts["app.env"],
        "APP_PASSWORD=\"${APP_PASSWORD}\"\nAPP_TOKEN: \"${APP_TOKEN}\"\nAPP_SECRET_KEY= \"${APP_SECRET_KEY}\"\n"
    );
}

#[test]
fn no_statement_that_a_later_one_shadows_keeps_its_value() {
    let compose =
        "services:\n  a:\n    image: a\n    env_file: app.env\n    environment:\n      ONE: ${DB_PASSWORD}\n";
    let (texts, migration) = migrated(&[
        ("compose.yaml", compose),
        (
            ".env",
            "DB_PASSWORD='hunter2' # the first\nDB_PASSWORD=hunter3\nAPI_TOKEN=hunter4\nAPI_TOKEN=\nPORT=1\nPORT=2\n",
        ),
        (
            "app.env",
            "APP_PASSWORD: hunter5\nAPP_PASSWORD=hunter6\nURL=postgres://a:hunter7@db/a\nURL=none\n",
        ),
    ]);
    assert_eq!(
        texts[".env"],
        "DB_PASSWORD=\"\" # the first\nDB_PASSWORD={{ file://secrets/db_password.txt }}\nAPI_TOKEN=\"\"\nAPI_TOKEN=\nPORT=1\nPORT=2\nAPP_PASSWORD={{ file://secrets/app_password.txt }}\n"
    );
    assert_eq!(
        texts["app.env"],
        "APP_PASSWORD: \"\"\nAPP_PASSWORD=${APP_PASSWORD}\nURL=\"\"\nURL=none\n"
    );
    assert!(migration.left.is_empty(), "{:?}", migration.left);
}

#[test]
fn a_value_that_another_file_replaces_is_told_with_its_place() {
    let compose = "services:\n  a:\n    image: a\n    env_file: app.env\n    environment:\n      DB_PASSWORD: ${DB_PASSWORD}\n";
    let (_, _, migration) = planned(&[
        ("compose.yaml", compose),
        ("app.env", "LEVEL=debug\nDB_PASSWORD=hunter2\n"),
    ]);
    assert!(migration.edits.is_empty(), "{migration:?}");
    assert_eq!(
        migration.left,
        [("app.env:2: DB_PASSWORD".to_owned(), IN_USE_NOWHERE.to_owned())]
    );
}

#[test]
fn a_variable_that_would_not_be_its_reference_is_told_before_anything_is_written() {
    let before = "DB_PASSWORD='hunter\\'s'\nPORT=80\nNOTE=n-${DB_PASSWORD}\n";
    let (_, _, migration) = planned(&[("compose.yaml", "services: {a: {image: a}}\n"), (".env", before)]);
    let misread = |after: &str| migration.misread(before, after, &Environment::default(), &reference);
    let moved = "DB_PASSWORD={{ file://secrets/db_password.txt }}";
    assert_eq!(
        misread(&format!("{moved}\nPORT=80\nNOTE=n-${{DB_PASSWORD}}\n")),
        [""; 0]
    );
    assert_eq!(
        misread(&format!("{moved}s'\nPORT=80\nNOTE=n\n")),
        ["DB_PASSWORD", "NOTE"]
    );
    assert_eq!(
        misread(&format!("{moved}\nPORT=8\nNOTE=n-${{DB_PASSWORD}}\nMORE=1\n")),
        ["MORE", "PORT"]
    );
    assert_eq!(misread("PORT='80\n"), ["a line that cannot be read"]);
}

#[test]
fn a_file_of_variables_that_a_service_reads_itself_is_left_as_it_is() {
    let (before, _, migration) = planned(&[
        (
            "compose.yaml",
            "services:\n  a:\n    image: mysql\n    env_file: ./.env\n    environment:\n      MYSQL_PASSWORD: hunter3\n  b:\n    image: b\n    env_file: [.env]\n",
        ),
        (
            ".env",
            "# mine\nDB_PASSWORD=hunter2\nPORT=80\nDB_URL=postgres://a:${DB_PASSWORD}@db/a\n",
        ),
    ]);
    assert!(
        migration.moved.is_empty() && migration.edits.is_empty(),
        "{migration:?}"
    );
    let read = |path: &Path| before.get(path).cloned().unwrap_or_default();
    assert!(migration.texts(&read).is_empty());
    let left: Vec<_> = migration
        .left
        .iter()
        .map(|(place, why)| (place.as_str(), why.as_str()))
        .collect();
    assert_eq!(
        left,
        [
            ("DB_PASSWORD", READ_BY_SERVICE),
            ("DB_URL", "its value is put together of other variables"),
            ("a: MYSQL_PASSWORD", READ_BY_SERVICE),
        ]
    );
}

#[test]
fn two_edits_of_one_place_are_one() {
    let edit = |span: Range<usize>, text: &str| Edit {
        path: "/p/.env".into(),
        span,
        text: text.to_owned(),
    };
    let migration = Migration {
        edits: vec![
            edit(0..1, "x"),
            edit(2..9, "long"),
            edit(4..9, "y"),
            edit(9..9, "z"),
        ],
        ..Migration::default()
    };
    let texts = migration.texts(&|_| "A=hunter2".to_owned());
    assert_eq!(texts[Path::new("/p/.env")], "x=huyz");
}

#[test]
fn what_holds_no_credential_is_not_touched() {
    let (texts, migration) = migrated(&[
        (
            "compose.yaml",
            "services:\n  a:\n    image: postgres\n    environment:\n      POSTGRES_PASSWORD_FILE: /run/secrets/pw\n      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}\n      TOKEN_TTL: 3600\n",
        ),
        (".env", "POSTGRES_PASSWORD={{ store://pw }}\n"),
    ]);
    assert!(texts.is_empty() && migration.moved.is_empty(), "{texts:?}");
}
