//! A policy for system calls, as containers and service managers impose them (seccomp), written out as a program.

/// A call that a filter refuses.
pub(crate) struct Rule {
    pub(crate) call: libc::c_long,
    pub(crate) only: Only,
    pub(crate) errno: i32,
}

/// With which arguments it is refused.
pub(crate) enum Only {
    Any,
    /// One of these bits in the argument with this index.
    With(u32, i32),
    /// This value of the argument with this index.
    Equal(u32, u32),
}

impl Rule {
    /// The same as a program: reached with the number of the call in the accumulator, left with it if the rule does not apply.
    fn program(&self) -> Vec<libc::sock_filter> {
        use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};
        // Arguments follow the number, the architecture and the instruction pointer of `struct seccomp_data`.
        let argument = |index| statement(BPF_LD | BPF_W | BPF_ABS, 16 + 8 * index);
        let number = statement(BPF_LD | BPF_W | BPF_ABS, 0);
        let refusal = statement(
            BPF_RET | BPF_K,
            libc::SECCOMP_RET_ERRNO | self.errno.cast_unsigned(),
        );
        let test = match self.only {
            Only::Any => None,
            Only::With(index, bits) => Some((index, BPF_JSET, bits.cast_unsigned())),
            Only::Equal(index, value) => Some((index, BPF_JEQ, value)),
        };
        let mut rest = match test {
            None => vec![refusal],
            Some((index, comparison, operand)) => vec![
                argument(index),
                jump(BPF_JMP | comparison | BPF_K, operand, 0, 1),
                refusal,
                number,
            ],
        };
        let length = rest.len() as u8;
        let is_call = jump(
            BPF_JMP | BPF_JEQ | BPF_K,
            self.call.cast_unsigned() as u32,
            0,
            length,
        );
        rest.insert(0, is_call);
        rest
    }
}

fn statement(code: u32, operand: u32) -> libc::sock_filter {
    unsafe { libc::BPF_STMT(code as u16, operand) }
}

fn jump(code: u32, operand: u32, if_true: u8, if_false: u8) -> libc::sock_filter {
    unsafe { libc::BPF_JUMP(code as u16, operand, if_true, if_false) }
}

/// From now on this thread, and every one that it starts, is refused these calls.
pub(crate) fn refuse(rules: &[Rule]) {
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    program.extend(rules.iter().flat_map(Rule::program));
    program.push(statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ALLOW,
    ));
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    let installed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const filter,
            ) == 0
    };
    assert!(installed, "{}", std::io::Error::last_os_error());
}
