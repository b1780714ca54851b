//! `locket check` of a large project.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::process::{command, median, time};
use crate::scenes::{Binaries, millis};
use crate::table::Table;

const SERVICES: usize = 200;

/// Services with variables, secret files and mounts in which nothing is wrong.
pub(crate) fn check(binaries: &Binaries<'_>, table: &mut Table) {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("x-common: &common {LOG_LEVEL: info, TZ: Europe/Vienna}\nservices:\n");
    let mut secrets = String::from("secrets:\n");
    fs::create_dir(dir.path().join("secrets")).unwrap();
    for at in 0..SERVICES {
        let _ = write!(
            text,
            "  s{at}:\n    image: postgres:17\n    environment:\n      <<: *common\n      POSTGRES_PASSWORD_FILE: /run/secrets/p{at}\n      \
             URL: 'https://example.com/${{BASE:-s{at}}}'\n      WORKERS: {at}\n    secrets: [p{at}]\n    volumes: ['d{at}:/var/lib/data', './conf:/etc/conf:ro']\n    \
             command: [run, --port, '80{at}']\n    labels: [a=b, c=d]\n"
        );
        let _ = writeln!(secrets, "  p{at}: {{file: ./secrets/p{at}}}");
        let path = dir.path().join(format!("secrets/p{at}"));
        fs::write(&path, "kZ83mmQx").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(dir.path().join("compose.yaml"), text + &secrets).unwrap();
    let times = (0..50)
        .map(|_| time(command(binaries.locket).arg("check").current_dir(dir.path())))
        .collect();
    let took = median(times);
    table.gate(
        format!("check of {SERVICES} services and as many secret files"),
        millis(took),
        "the whole command",
        "50 ms",
        took <= Duration::from_millis(50),
    );
}
