//! The process-wide switches, in a process of their own.

use locket_sys::process::{Hardening, close_files_on_exec, harden, hardening};

#[test]
fn an_inherited_file_is_not_passed_on() {
    use std::os::fd::AsRawFd;
    let file = std::fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let number = file.as_raw_fd();
    let has_it = || {
        let script = format!("test -e /proc/self/fd/{number}");
        std::process::Command::new("sh")
            .args(["-c", &script])
            .status()
            .unwrap()
            .success()
    };
    assert!(has_it(), "the control");
    close_files_on_exec().unwrap();
    assert!(!has_it());
}

#[test]
fn a_hardened_process_leaves_no_core_and_gains_no_privileges() {
    let before = hardening().unwrap();
    assert!(before.dumpable, "otherwise this test shows nothing");
    assert!(!before.no_new_privileges);
    harden().unwrap();
    let expected = Hardening {
        dumpable: false,
        core_limit: Some(0),
        no_new_privileges: true,
    };
    assert_eq!(hardening().unwrap(), expected);
    harden().unwrap();
    assert_eq!(hardening().unwrap(), expected, "a second call changes nothing");
}
