//! The units under a systemd that runs: installed by `locket systemd` itself inside a machine of systemd-nspawn.

use std::fs;
use std::path::Path;

use locket_testkit::services::Machine;

/// Waits for a condition of the shell, and fails the story when it never comes.
const WAIT: &str = r#"
wait_for() {
    what=$1; shift
    for try in $(seq 600); do if "$@"; then return 0; fi; sleep 0.1; done
    echo "never: $what"; systemctl status --no-pager 'locket*' || true; exit 1
}
is() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }
shows() { systemctl show --property="$2" --value "$1" | grep -q -- "$3"; }
not() { ! "$@"; }
L=/opt/locket
"#;

fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    machine.add_program(Path::new(env!("CARGO_BIN_EXE_locket")), "locket");
    Some(machine)
}

/// Tells the story; gives what it wrote, line by line.
fn tell(machine: &Machine, story: &str) -> Vec<String> {
    let told = machine.tell(&format!("{WAIT}{story}"));
    assert_eq!(told.status, "0", "{}\n{}", told.stdout, told.log);
    told.stdout.lines().map(str::to_owned).collect()
}

fn said<'a>(lines: &'a [String], about: &str) -> &'a str {
    let mut found = lines
        .iter()
        .filter_map(|line| line.strip_prefix(about)?.strip_prefix(": "));
    found
        .next()
        .unwrap_or_else(|| panic!("nothing about {about}: {lines:#?}"))
}

/// A timer on the machine's clock would have fired long ago, or only in two minutes.
const SOON: &str = "
mkdir -p /etc/systemd/system/locket-sync.timer.d
printf '[Timer]\\nOnActiveSec=1ms\\nAccuracySec=1ms\\n' >/etc/systemd/system/locket-sync.timer.d/soon.conf
";

#[test]
fn the_timer_syncs_into_memory_with_a_credential_of_the_machine_and_a_change_is_no_failure() {
    let Some(machine) = machine() else { return };
    machine.write(
        "etc/locket/map.csv",
        "store://db,/run/secrets/db_password,0600,,\nfile:///srv/key,/run/secrets/key,0440,,\n",
    );
    machine.write("srv/key", "one");
    let story = format!(
        r#"
export HOME=/root
echo hunter2 >/root/value
cd /root && $L store init >/dev/null 2>&1 && $L store set db </root/value
mkdir -p /etc/credstore && mv /root/.config/locket/identity.txt /etc/credstore/locket.store.identity
chmod 600 /etc/credstore/locket.store.identity
mv locket.store /etc/locket/locket.store
echo 'LOCKET_STORE_FILE=/etc/locket/locket.store' >/etc/locket/environment
{SOON}
echo "dry: $($L systemd sync --install --now --dry-run | grep -c '^would ') $(ls /etc/systemd/system | tr '\n' ' ')"
$L systemd sync --install --now --every 2s --jitter 0s
wait_for "the first round" is /run/secrets/key one
echo "mount: $(grep ' /run/secrets ' /proc/mounts)"
echo "mode: $(stat -c '%a %a' /run/secrets) $(stat -c %a /run/secrets/key)"
echo "password: $(cat /run/secrets/db_password)"
wait_for "the round is over" shows locket-sync.service SubState dead
echo "first: $(systemctl show --property=Result --value locket-sync.service)"
printf two >/srv/key
wait_for "the timer fires again" is /run/secrets/key two
wait_for "the status of a change" shows locket-sync.service ExecMainStatus 3
echo "changed: $(systemctl show --property=Result --value locket-sync.service)"
echo "enabled: $(systemctl is-enabled locket-sync.timer run-secrets.mount | tr '\n' ' ')"

mkdir -p /etc/systemd/system/locket-sync.service.d
printf '[Service]\nSuccessExitStatus=\n' >/etc/systemd/system/locket-sync.service.d/control.conf
systemctl stop locket-sync.timer
systemctl daemon-reload
printf three >/srv/key
systemctl start locket-sync.service || true
echo "control: $(systemctl show --property=Result --value locket-sync.service)"

rm -r /etc/systemd/system/locket-sync.service.d /etc/systemd/system/locket-sync.timer.d
systemctl reset-failed
$L systemd run --install >/dev/null
echo "beside: $($L systemd run --uninstall | grep -c '^kept .*run-secrets.mount, which locket-sync.service needs') $(grep -c ' /run/secrets ' /proc/mounts)"
$L systemd sync --uninstall >/dev/null
echo "left: $(ls /etc/systemd/system | tr '\n' ' ')$(grep -c ' /run/secrets ' /proc/mounts || true)"
"#
    );
    let lines = tell(&machine, &story);
    assert_eq!(said(&lines, "dry"), "5 locket-sync.timer.d story.service ");
    let mount = said(&lines, "mount");
    for option in [
        "tmpfs /run/secrets tmpfs",
        "nosuid",
        "nodev",
        "noexec",
        "size=8192k",
        "mode=700",
    ] {
        assert!(mount.contains(option), "{option}: {mount}");
    }
    assert_eq!(said(&lines, "mode"), "700 700 440");
    assert_eq!(said(&lines, "password"), "hunter2");
    assert_eq!(said(&lines, "first"), "success");
    assert_eq!(said(&lines, "changed"), "success");
    assert_eq!(said(&lines, "enabled"), "enabled enabled ");
    assert_eq!(
        said(&lines, "control"),
        "exit-code",
        "3 is a failure for any other unit"
    );
    assert_eq!(
        said(&lines, "beside"),
        "1 1",
        "the mount of another service stays"
    );
    assert_eq!(said(&lines, "left"), "story.service 0");
}

#[test]
fn the_agent_is_ready_with_its_secrets_feeds_its_watchdog_and_reloads() {
    let Some(machine) = machine() else { return };
    machine.write(
        "etc/locket/locket.toml",
        "[run]\nout = '/run/secrets'\ndebounce = '20ms'\n[[secret]]\nname = 'key'\ntemplate = '{{ file:///srv/key }}'\n",
    );
    machine.write(
        "etc/systemd/system/app.service",
        "[Unit]\nRequires=locket.service\nAfter=locket.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/bin/sh -c 'cat /run/secrets/key >/srv/app'\n",
    );
    let story = r#"
mkdir -p /etc/systemd/system/locket.service.d
printf '[Service]\nWatchdogSec=1s\nRestartSec=100ms\nTimeoutAbortSec=1s\n' >/etc/systemd/system/locket.service.d/quick.conf
$L systemd run --install --now 2>/dev/null &
wait_for "what is missing is told" shows locket.service StatusText 'wanted, some not in place'
systemctl start --no-block app.service
echo "waiting: $(systemctl show --property=ActiveState --value locket.service) $(test -e /srv/app && echo started || echo held)"
printf one >/srv/key
systemctl kill --kill-whom=main --signal=HUP locket.service
wait_for "the agent is ready" shows locket.service ActiveState '^active'
wait
wait_for "what depends on it starts" is /srv/app one
echo "ready: $(systemctl show --property=StatusText --value locket.service)"
pid=$(systemctl show --property=MainPID --value locket.service)
echo "state: $(stat -c '%U %a' /var/lib/locket) $($L healthcheck --status-file /run/locket-run/status && echo healthy)"

fed=$(systemctl show --property=WatchdogTimestampMonotonic --value locket.service)
later() { [ "$(systemctl show --property=WatchdogTimestampMonotonic --value locket.service)" -gt $((fed + 3000000)) ]; }
wait_for "the watchdog is fed for three of its intervals" later
echo "fed: $(systemctl show --property=NRestarts --value locket.service) $([ $pid = $(systemctl show --property=MainPID --value locket.service) ] && echo same)"

printf two >/srv/key
systemctl reload locket.service
wait_for "the reload is done" is /run/secrets/key two
wait_for "it is ready again" shows locket.service SubState '^running'

kill -STOP $pid
wait_for "a stuck agent is ended" shows locket.service NRestarts '^1$'
wait_for "and started anew" shows locket.service SubState '^running'
journalctl --no-pager -u locket.service -o cat >/story/journal 2>/dev/null || true
echo "control: $([ $pid != $(systemctl show --property=MainPID --value locket.service) ] && echo another)"
systemctl stop locket.service
echo "stopped: $(systemctl show --property=Result --value locket.service) $(test -e /run/locket-run || echo gone)"
"#;
    let lines = tell(&machine, story);
    assert_eq!(said(&lines, "waiting"), "activating held");
    assert_eq!(said(&lines, "ready"), "1 output in place and confirmed");
    assert_eq!(said(&lines, "state"), "root 700 healthy");
    assert_eq!(said(&lines, "fed"), "0 same");
    assert_eq!(said(&lines, "control"), "another");
    assert_eq!(said(&lines, "stopped"), "success gone");
    let journal = fs::read_to_string(machine.path("story/journal")).unwrap_or_default();
    assert!(journal.contains("Watchdog timeout"), "{journal}");
}

#[test]
fn outputs_elsewhere_and_for_others_are_noticed_when_the_unit_is_made() {
    let Some(machine) = machine() else { return };
    machine.write(
        "etc/locket/locket.toml",
        "[[secret]]\nname = 'a'\ntemplate = '{{ file:///srv/key }}'\n[[map]]\nsource = '/srv/in'\n\
         destination = '/srv/out'\nuser = '1234:1234'\n",
    );
    machine.write("srv/key", "one");
    machine.write("srv/in/conf", "x={{ file:///srv/key }}");
    fs::create_dir(machine.path("srv/out")).unwrap();
    let story = r#"
$L systemd run --install --now >/dev/null
echo "owned: $(stat -c '%u:%g %a' /srv/out/conf) $(cat /srv/out/conf)"
echo "own: $(stat -c '%u:%g %a' /srv/out/a)"
systemctl stop locket.service
# What nobody asked for stays forbidden.
sed -i 's/^user.*//; s#/srv/out#/etc/out#' /etc/locket/locket.toml
rm /srv/out/conf
systemctl start locket.service || true
echo "forbidden: $(systemctl show --property=ExecMainStatus --value locket.service) $(test -e /etc/out || echo nothing)"
"#;
    let lines = tell(&machine, story);
    assert_eq!(said(&lines, "owned"), "1234:1234 600 x=one");
    assert_eq!(said(&lines, "own"), "0:0 600");
    assert_eq!(said(&lines, "forbidden"), "2 nothing");
}

#[test]
fn what_was_in_memory_is_back_after_a_reboot() {
    let Some(machine) = machine() else { return };
    machine.write("etc/locket/map.csv", "file:///srv/key,/run/secrets/key,,,\n");
    machine.write("srv/key", "one");
    let first = format!(
        "{SOON}\n$L systemd sync --install --now --jitter 0s >/dev/null\n\
         wait_for 'the first round' is /run/secrets/key one\necho before: $(cat /run/secrets/key)\n"
    );
    assert_eq!(said(&tell(&machine, &first), "before"), "one");
    assert!(!machine.path("run/secrets/key").exists(), "it was in memory only");
    // The machine of the story starts nothing by itself; what is enabled is what these targets want.
    let again = "systemctl start --no-block multi-user.target\n\
                 wait_for 'the timer after the reboot' is /run/secrets/key one\necho after: $(cat /run/secrets/key)\n";
    assert_eq!(said(&tell(&machine, again), "after"), "one");
}
