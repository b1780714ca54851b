//! Secrets that end when nobody renews them.

use locket_testkit::services::{OpenBao, Postgres};

use crate::bao_leases::{database, scene};
use crate::support::{Agent, eventually};

#[test]
fn a_lease_is_renewed_while_the_program_runs_and_given_back_with_it() {
    let (Some(bao), Some(postgres)) = (OpenBao::start(), Postgres::start()) else {
        return;
    };
    database(&bao, &postgres);
    let scene = scene(&bao, r#"path "database/creds/app" { capabilities = ["read"] }"#);
    scene.write(
        "x.env",
        "U={{ bao://database/creds/app/username }}\nP={{ bao://database/creds/app/password }}\n",
    );
    let exec = |more: &[&str]| {
        let script = "echo \"$U $P $$\" > is.new; mv is.new is; while [ ! -e stop ]; do sleep 0.05; done";
        let command = ["--", "sh", "-c", script];
        let words = ["exec", "-e", "x.env", "--config", "locket.toml"]
            .iter()
            .chain(more)
            .chain(&command);
        Agent::start(&mut scene.locket(words))
    };
    let is = || {
        scene
            .read("is")
            .map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    bao.audit();
    let agent = exec(&[]);
    eventually("it runs", || is().is_some());
    let [user, password, pid]: [String; 3] = is().unwrap().try_into().unwrap();
    assert_ne!(pid, agent.id().to_string(), "locket stays beside it");
    eventually("the lease is renewed", || {
        bao.count("update", "sys/leases/renew") >= 2
    });
    assert!(postgres.logs_in(&user, &password));
    scene.write("stop", "");
    let (status, log) = agent.wait();
    assert!(status.success(), "{log}");
    eventually("it is given back", || !postgres.logs_in(&user, &password));

    std::fs::remove_file(scene.path("is")).unwrap();
    std::fs::remove_file(scene.path("stop")).unwrap();
    let agent = exec(&["--no-renew"]);
    eventually("it runs", || is().is_some());
    assert_eq!(
        is().unwrap()[2],
        agent.id().to_string(),
        "locket became the program"
    );
    scene.write("stop", "");
    agent.wait();
}
