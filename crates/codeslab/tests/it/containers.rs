//! `SELinux` and containers: which writers they leave, tried by what they answer to calls.

use crate::filter::{Only, Rule, refuse};
use crate::policies::{open, takes_away, unavailable};
use codeslab_testing::{assert_passed, is_child, run_child};

use codeslab::{Writer, capabilities};

/// What `SELinux` answers a domain without the permission `execmem` that may execute its own memory files.
#[test]
fn where_selinux_denies_execmem_memory_files_are_used() {
    const NAME: &str = "containers::where_selinux_denies_execmem_memory_files_are_used";
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
    let denied = |call| Rule {
        call,
        only: Only::With(2, libc::PROT_EXEC),
        errno: libc::EACCES,
    };
    let policy = || refuse(&[denied(libc::SYS_mprotect), denied(libc::SYS_pkey_mprotect)]);
    let says = "a security policy forbids it";
    let taken = [Writer::Protect, Writer::SelfMem, Writer::Pkeys];
    takes_away(policy, &taken.map(|writer| (writer, says)));
}

/// What it answers a domain that may execute neither.
#[test]
fn where_selinux_denies_to_execute_memory_files_as_well_the_error_says_so() {
    const NAME: &str =
        "containers::where_selinux_denies_to_execute_memory_files_as_well_the_error_says_so";
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
    let calls = [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_pkey_mprotect];
    refuse(&calls.map(|call| Rule {
        call,
        only: Only::With(2, libc::PROT_EXEC),
        errno: libc::EACCES,
    }));
    let refused = open(None).unwrap_err();
    let says = "a security policy forbids it";
    assert!(refused.to_string().contains(says), "{refused}");
    assert_eq!(unavailable().len(), Writer::ALL.len());
}

/// Of what codeslab may call, the default profile of Docker, containerd and Podman lets through all but what is newer than the profile.
#[test]
fn in_a_container_with_the_usual_profile_only_sealed_mappings_are_missing() {
    const NAME: &str =
        "containers::in_a_container_with_the_usual_profile_only_sealed_mappings_are_missing";
    if !is_child(NAME) {
        return assert_passed(&run_child(NAME, "exec \"$@\"", &[]));
    }
    let any = |call, errno| Rule {
        call,
        only: Only::Any,
        errno,
    };
    let policy = || {
        refuse(&[
            any(libc::SYS_clone3, libc::ENOSYS),
            any(libc::SYS_mseal, libc::EPERM),
            any(libc::SYS_process_madvise, libc::EPERM),
            any(libc::SYS_userfaultfd, libc::EPERM),
            any(libc::SYS_unshare, libc::EPERM),
            any(libc::SYS_mount, libc::EPERM),
            any(libc::SYS_bpf, libc::EPERM),
            any(libc::SYS_perf_event_open, libc::EPERM),
        ]);
    };
    takes_away(policy, &[]);
    let sealing = capabilities().expect("a supported platform").sealing;
    assert_eq!(sealing.writes_unavailable, None);
    let reason = sealing.mappings_unavailable.expect("it is refused");
    assert!(reason.contains("mseal"), "{reason}");
}
