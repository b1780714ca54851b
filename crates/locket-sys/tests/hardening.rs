//! The process-wide switches, in a process of their own.

use locket_sys::process::{Hardening, harden, hardening};

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
