//! Landlock (landlock(7)): the process gives up for good whatever files, ports and signals it will not need.
//!
//! A ruleset counts for the thread that sets it and for the threads and programs that this thread starts from then on,
//! and nothing can widen it again. So it is set while there is one thread, or not at all.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{Access, FileType, Mode, OFlags};

/// What the process may still do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Files, and directories with everything below, that may be read.
    pub read: BTreeSet<PathBuf>,
    /// Directories in which, and below which, files may be read, made, replaced and removed; single files that may be
    /// written over.
    pub write: BTreeSet<PathBuf>,
    /// Directories whose names may be listed, here and below, and nothing else.
    pub list: BTreeSet<PathBuf>,
    /// TCP ports that may be listened at.
    pub listen: BTreeSet<u16>,
    /// Whom the process may signal.
    pub signals: Signals,
}

/// Whom a confined process may signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signals {
    /// Itself and what it starts.
    #[default]
    Own,
    /// Everybody that its user may signal.
    Anybody,
}

/// What is in force, and what the kernel is too old for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confined {
    /// The kernel's version of Landlock.
    pub version: Version,
    /// The rules, with the real paths of what was there.
    pub rules: Rules,
    /// The rules as they were asked for, with what was not there.
    asked: Rules,
}

/// The kernel's version of Landlock, which says what it can deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32);

/// Why the process is not confined.
#[derive(Debug)]
pub enum Refused {
    /// The kernel was built without it, is too old, or hides it from this container.
    Absent,
    /// It is part of the kernel and was not chosen at boot.
    Disabled,
    /// Other threads run, which the rules would not bind.
    Threads(usize),
    /// The kernel says no for another reason.
    Failed(io::Error),
}

/// What to do about a place that the process gave up, as a sentence.
pub const ADVICE: &str = "The agent gave up this place when it started (Landlock): restart it, so that it takes the place \
    in, or set `--sandbox off`.";

/// What [`confine`] has set, for those who explain a refusal.
static IN_FORCE: OnceLock<Confined> = OnceLock::new();

/// Binds this process to `rules`, for good. Paths that do not exist are left out.
///
/// # Errors
/// Nothing is denied then.
pub fn confine(rules: &Rules) -> Result<&'static Confined, Refused> {
    let version = version()?;
    let threads = std::fs::read_dir("/proc/self/task")
        .map_err(Refused::Failed)?
        .count();
    if threads != 1 {
        return Err(Refused::Threads(threads));
    }
    let ruleset = Ruleset::new(version, rules.signals)?;
    let mut settled = Rules {
        listen: rules.listen.clone(),
        signals: rules.signals,
        ..Rules::default()
    };
    for (paths, rights, real) in [
        (&rules.read, READ, &mut settled.read),
        (&rules.write, WRITE, &mut settled.write),
        (&rules.list, fs::READ_DIR, &mut settled.list),
    ] {
        for path in paths {
            if ruleset.allow(path, rights)? {
                real.insert(path.canonicalize().unwrap_or_else(|_| path.clone()));
            }
        }
    }
    for port in &rules.listen {
        ruleset.allow_listening(*port)?;
    }
    ruleset.enforce()?;
    Ok(IN_FORCE.get_or_init(|| Confined {
        version,
        rules: settled,
        asked: rules.clone(),
    }))
}

/// What is in force for this process; `None` when it is not confined.
pub fn confined() -> Option<&'static Confined> {
    IN_FORCE.get()
}

/// Whether the reason why `path` was refused for reading, with "permission denied", is that the process is confined:
/// modes and owners would allow it.
pub fn denies_reading(path: &Path) -> bool {
    confined().is_some() && rustix::fs::access(path, Access::READ_OK).is_ok()
}

/// The same for writing to `path`.
pub fn denies_writing(path: &Path) -> bool {
    confined().is_some() && rustix::fs::access(path, Access::WRITE_OK).is_ok()
}

/// The kernel's version.
///
/// # Errors
/// There is none.
pub fn version() -> Result<Version, Refused> {
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads no attributes and gives a number back (landlock_create_ruleset(2)).
    #[expect(unsafe_code, reason = "no library in the tree has this call")]
    let answer = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<RulesetAttributes>(),
            0usize,
            CREATE_RULESET_VERSION,
        )
    };
    match u32::try_from(answer) {
        Ok(version) => Ok(Version(version)),
        Err(_) => Err(Refused::of(io::Error::last_os_error())),
    }
}

impl Confined {
    /// What of `rules` goes beyond what was asked for, as the ends of sentences that begin with "it would have to".
    pub fn lacks(&self, rules: &Rules) -> Vec<String> {
        let (real, asked) = (&self.rules, &self.asked);
        let is_below =
            |path: &Path, places: &BTreeSet<PathBuf>| places.iter().any(|known| path.starts_with(known));
        let may_write = |path: &PathBuf| asked.write.contains(path) || is_below(&settled(path), &real.write);
        let may_read = |path: &PathBuf| {
            asked.read.contains(path) || may_write(path) || is_below(&settled(path), &real.read)
        };
        let mut lacks = Vec::new();
        for path in rules.read.iter().filter(|path| !may_read(path)) {
            lacks.push(format!("read {}", path.display()));
        }
        for path in rules.write.iter().filter(|path| !may_write(path)) {
            lacks.push(format!("write to {}", path.display()));
        }
        let mine = asked;
        if self.version.limits_listening() {
            for port in rules.listen.difference(&mine.listen) {
                lacks.push(format!("listen at port {port}"));
            }
        }
        if self.version.limits_signals() && rules.signals == Signals::Anybody && mine.signals == Signals::Own
        {
            lacks.push("signal other processes".to_owned());
        }
        lacks
    }
}

impl Version {
    /// Whether listening at TCP ports can be denied (Linux 6.7).
    pub fn limits_listening(self) -> bool {
        self.0 >= 4
    }

    /// Whether signals to other processes can be denied (Linux 6.12).
    pub fn limits_signals(self) -> bool {
        self.0 >= 6
    }

    /// Whether the content of a file can be protected from being cut off without being opened (Linux 6.2).
    pub fn limits_truncation(self) -> bool {
        self.0 >= 3
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Refused {
    fn of(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOSYS | libc::EPERM) => Self::Absent,
            Some(libc::EOPNOTSUPP) => Self::Disabled,
            _ => Self::Failed(error),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str(
                "the kernel offers no Landlock here (it came with Linux 5.13, and a container's seccomp profile may hide it)",
            ),
            Self::Disabled => {
                f.write_str("Landlock is not among the security modules that the kernel was booted with (`lsm=`)")
            }
            Self::Threads(count) => write!(f, "{count} threads run already, and Landlock binds single ones"),
            Self::Failed(error) => write!(f, "the kernel refuses: {error}"),
        }
    }
}

impl std::error::Error for Refused {}

// The numbers of include/uapi/linux/landlock.h.
mod fs {
    pub(super) const EXECUTE: u64 = 1 << 0;
    pub(super) const WRITE_FILE: u64 = 1 << 1;
    pub(super) const READ_FILE: u64 = 1 << 2;
    pub(super) const READ_DIR: u64 = 1 << 3;
    pub(super) const REMOVE_DIR: u64 = 1 << 4;
    pub(super) const REMOVE_FILE: u64 = 1 << 5;
    pub(super) const MAKE_DIR: u64 = 1 << 7;
    pub(super) const MAKE_REG: u64 = 1 << 8;
    pub(super) const MAKE_SYM: u64 = 1 << 12;
    pub(super) const TRUNCATE: u64 = 1 << 14;
    pub(super) const IOCTL_DEV: u64 = 1 << 15;
    /// What version 1 knows: the first thirteen.
    pub(super) const FIRST: u64 = (1 << 13) - 1;
    pub(super) const REFER: u64 = 1 << 13;
}
const BIND_TCP: u64 = 1 << 0;
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1 << 0;
const SCOPE_SIGNAL: u64 = 1 << 1;
const RULE_PATH_BENEATH: u32 = 1;
const RULE_NET_PORT: u32 = 2;

const READ: u64 = fs::READ_FILE | fs::READ_DIR;
const WRITE: u64 = READ
    | fs::WRITE_FILE
    | fs::TRUNCATE
    | fs::MAKE_REG
    | fs::MAKE_DIR
    | fs::MAKE_SYM
    | fs::REMOVE_FILE
    | fs::REMOVE_DIR;

/// What means something for a file that is no directory; the kernel refuses a rule with anything else.
const OF_FILES: u64 = fs::EXECUTE | fs::WRITE_FILE | fs::READ_FILE | fs::TRUNCATE | fs::IOCTL_DEV;

#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent: i32,
}

#[repr(C)]
struct NetPort {
    allowed_access: u64,
    port: u64,
}

struct Ruleset {
    fd: OwnedFd,
    version: Version,
    handled: u64,
}

impl Ruleset {
    /// Denies everything that this kernel can deny and that no rule allows afterwards. Connections go out as before.
    fn new(version: Version, signals: Signals) -> Result<Self, Refused> {
        let since = |first: u32, rights: u64| if version.0 >= first { rights } else { 0 };
        let handled = fs::FIRST | since(2, fs::REFER) | since(3, fs::TRUNCATE) | since(5, fs::IOCTL_DEV);
        let scoped = SCOPE_ABSTRACT_UNIX_SOCKET
            | match signals {
                Signals::Own => SCOPE_SIGNAL,
                Signals::Anybody => 0,
            };
        let attributes = RulesetAttributes {
            handled_access_fs: handled,
            handled_access_net: since(4, BIND_TCP),
            scoped: since(6, scoped),
        };
        // SAFETY: the attributes outlive the call and their size is given; an older kernel takes a longer structure
        // whose end is zero.
        #[expect(unsafe_code, reason = "no library in the tree has this call")]
        let answer = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                &raw const attributes,
                size_of::<RulesetAttributes>(),
                0u32,
            )
        };
        let fd = i32::try_from(answer)
            .ok()
            .filter(|fd| *fd >= 0)
            .ok_or_else(|| Refused::of(io::Error::last_os_error()))?;
        // SAFETY: the kernel has just made this descriptor (close-on-exec) and nobody else knows it.
        #[expect(unsafe_code, reason = "a raw call gives a raw descriptor")]
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, version, handled })
    }

    /// Allows `rights` at `path` and below. Says whether there is something at this path.
    fn allow(&self, path: &Path, rights: u64) -> Result<bool, Refused> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let Ok(place) = rustix::fs::open(path, flags, Mode::empty()) else {
            return Ok(false);
        };
        let stat = rustix::fs::fstat(&place).map_err(|error| Refused::Failed(error.into()))?;
        let meaningful = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => u64::MAX,
            _ => OF_FILES,
        };
        let rule = PathBeneath {
            allowed_access: rights & meaningful & self.handled,
            parent: place.as_raw_fd(),
        };
        // A rule that allows nothing is one the kernel refuses.
        if rule.allowed_access == 0 {
            return Ok(true);
        }
        self.add(RULE_PATH_BENEATH, (&raw const rule).cast())?;
        Ok(true)
    }

    fn allow_listening(&self, port: u16) -> Result<(), Refused> {
        if !self.version.limits_listening() {
            return Ok(());
        }
        let rule = NetPort {
            allowed_access: BIND_TCP,
            port: port.into(),
        };
        self.add(RULE_NET_PORT, (&raw const rule).cast())
    }

    /// Adds the rule at `rule`, which has the form that `kind` asks for.
    fn add(&self, kind: u32, rule: *const libc::c_void) -> Result<(), Refused> {
        // SAFETY: both callers pass a rule of the right form that lives until they return; the kernel only reads it.
        #[expect(unsafe_code, reason = "no library in the tree has this call")]
        let answer = unsafe { libc::syscall(libc::SYS_landlock_add_rule, self.raw(), kind, rule, 0u32) };
        done(answer)
    }

    fn enforce(self) -> Result<(), Refused> {
        rustix::thread::set_no_new_privs(true).map_err(|error| Refused::Failed(error.into()))?;
        // SAFETY: the descriptor is one of a ruleset; the call takes no memory.
        #[expect(unsafe_code, reason = "no library in the tree has this call")]
        let answer = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.raw(), 0u32) };
        done(answer)
    }

    fn raw(&self) -> i32 {
        let fd: BorrowedFd<'_> = self.fd.as_fd();
        fd.as_raw_fd()
    }
}

fn done(answer: libc::c_long) -> Result<(), Refused> {
    if answer == 0 {
        Ok(())
    } else {
        Err(Refused::Failed(io::Error::last_os_error()))
    }
}

/// The path with links resolved as far as it exists.
fn settled(path: &Path) -> PathBuf {
    for at in path.ancestors() {
        if let Ok(real) = at.canonicalize() {
            let rest = path.strip_prefix(at).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            };
        }
    }
    path.to_owned()
}
