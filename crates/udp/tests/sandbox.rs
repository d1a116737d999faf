//! A sandbox that forbids `recvmmsg` and `sendmmsg`.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use std::{ptr, thread};

use common::{numbered, payloads, plain};
use turn_udp::{Destination, RecvBatch, SendBatch, capabilities};

#[test]
fn r26_under_a_seccomp_filter_the_same_bytes_pass() {
    // Asked outside of the sandbox, so that batches expect the calls to work.
    assert!(capabilities().sendmmsg && capabilities().recvmmsg);
    for errno in [libc::ENOSYS, libc::EPERM] {
        // A filter binds its thread only and ends with it.
        let sandboxed = thread::spawn(move || {
            let (sender, receiver) = (plain(), plain());
            let (mut received, mut batch) = (RecvBatch::new(16), SendBatch::new());
            forbid([libc::SYS_recvmmsg, libc::SYS_sendmmsg], errno);
            let to = Destination::to(receiver.local_addr());
            for _ in 0..2 {
                // Trains go on without sendmmsg.
                let sent = [(1, 90), (2, 90), (3, 40), (4, 0)].map(|(n, size)| numbered(n, size));
                for bytes in &sent {
                    batch.push_bytes(&sender, to, bytes);
                }
                let flushed = batch.flush(&mut received, |_, _, error| panic!("{error}"));
                assert_eq!((flushed.datagrams, flushed.dropped, flushed.segmented), (4, 0, 3));
                let fill = received.fill(&receiver, 16).unwrap();
                assert!(fill.drained);
                let arrived: Vec<_> =
                    received.datagrams(fill.slots).map(|d| d.bytes.to_vec()).collect();
                assert_eq!(arrived, sent);
                received.clear();
            }
            payloads(&receiver).len()
        });
        assert_eq!(sandboxed.join().unwrap(), 0);
    }
}

/// Makes these system calls fail with `errno` on this thread, from now on.
fn forbid(calls: [libc::c_long; 2], errno: i32) {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let end = libc::BPF_RET | libc::BPF_K;
    let step =
        |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap(), jt, jf, k };
    let number = |call: libc::c_long| u32::try_from(call).unwrap();
    let mut program = [
        // The number of the system call is the first field of seccomp_data.
        step(load, 0, 0, 0),
        step(equal, 2, 0, number(calls[0])),
        step(equal, 1, 0, number(calls[1])),
        step(end, 0, 0, libc::SECCOMP_RET_ALLOW),
        step(end, 0, 0, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()),
    ];
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap(),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: PR_SET_NO_NEW_PRIVS touches no memory; the filter and its
    // program are valid for the length of the second call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, ptr::from_ref(&filter)), 0);
    }
}
