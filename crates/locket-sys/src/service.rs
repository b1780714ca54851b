//! What a process tells the service manager that started it, as sd_notify(3) describes: datagrams to the socket that
//! the manager names. Nothing here waits for longer than a second, and nothing depends on being heard.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The variables that a manager speaks through. They are about this process and no child of it.
pub const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// A manager that reads faster than this is not one to wait for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The service manager that started this process.
#[derive(Debug)]
pub struct Manager {
    address: SocketAddr,
    /// Connected before a sandbox may forbid to name it.
    socket: Mutex<UnixDatagram>,
    watchdog: Option<Duration>,
}

/// What a manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// The service does what it is for; also that it has read its configuration again.
    Ready,
    /// It reads its configuration again. Says since when, as `Type=notify-reload` asks for.
    Reloading,
    /// It is about to end.
    Stopping,
    /// How it is, on one line, for people.
    Status(&'a str),
    /// It is alive.
    Alive,
}

impl Manager {
    /// The manager that the environment names: `variable` gives the value of one of [`VARIABLES`]. `None` when nobody
    /// wants to be told.
    ///
    /// # Errors
    /// The socket's address is none, or nobody listens there.
    pub fn named(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Option<Self>> {
        let [socket, interval, process] = VARIABLES;
        let Some(name) = variable(socket).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_meant = number(process).is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number(interval).filter(|micros| is_meant && *micros > 0);
        let address = address(&name)?;
        Ok(Some(Self {
            socket: Mutex::new(connect(&address)?),
            address,
            watchdog: watchdog.map(Duration::from_micros),
        }))
    }

    /// The process is ended when it has not said [`Word::Alive`] for this long.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells `words` in one datagram.
    ///
    /// # Errors
    /// They did not arrive.
    pub fn tell(&self, words: &[Word<'_>]) -> io::Result<()> {
        let message = message(words)?;
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(refused) = socket.send(message.as_bytes()) else {
            return Ok(());
        };
        match refused.kind() {
            // The manager began anew behind the same name.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotConnected | io::ErrorKind::BrokenPipe => {
                *socket = connect(&self.address)?;
                socket.send(message.as_bytes()).map(drop)
            }
            _ => Err(refused),
        }
    }
}

/// A path, or behind `@` a name in the abstract name space.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "it is neither an absolute path nor an abstract name",
        )),
    }
}

fn connect(address: &SocketAddr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn message(words: &[Word<'_>]) -> io::Result<String> {
    let mut message = String::new();
    for word in words {
        let written = match word {
            Word::Ready => message.write_str("READY=1\n"),
            Word::Reloading => writeln!(message, "RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()),
            Word::Stopping => message.write_str("STOPPING=1\n"),
            Word::Alive => message.write_str("WATCHDOG=1\n"),
            Word::Status(text) => {
                // A line break would begin another word of the protocol.
                let line: String = text
                    .chars()
                    .map(|char| if char.is_control() { ' ' } else { char })
                    .collect();
                writeln!(message, "STATUS={line}")
            }
        };
        written.map_err(io::Error::other)?;
    }
    Ok(message)
}

/// Microseconds on the clock by which the manager orders reloads.
fn monotonic_micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (now.tv_sec.cast_unsigned(), now.tv_nsec.cast_unsigned());
    seconds * 1_000_000 + nanos / 1000
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn manager(variables: &[(&str, &str)]) -> io::Result<Option<Manager>> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Manager::named(|name| variables.get(name).map(OsString::from))
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn words_arrive_at_a_path_and_at_an_abstract_name_as_one_datagram_each_time() {
        let directory = std::env::temp_dir().join(format!("locket-service-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("notify");
        let on_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("locket-service-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&abstract_name).unwrap();
        for (named, listener) in [
            (path.to_str().unwrap().to_owned(), &on_path),
            (format!("@{name}"), &by_name),
        ] {
            let manager = manager(&[("NOTIFY_SOCKET", &named)]).unwrap().unwrap();
            manager
                .tell(&[Word::Ready, Word::Status("all is\nREADY=0 well")])
                .unwrap();
            assert_eq!(heard(listener), "READY=1\nSTATUS=all is READY=0 well\n");
            manager.tell(&[Word::Stopping]).unwrap();
            assert_eq!(heard(listener), "STOPPING=1\n");
        }
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_reload_says_when_it_began_on_the_managers_clock() {
        let name = format!("locket-reload-{}", std::process::id());
        let listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let manager = manager(&[("NOTIFY_SOCKET", &format!("@{name}"))])
            .unwrap()
            .unwrap();
        let before = monotonic_micros();
        manager.tell(&[Word::Reloading]).unwrap();
        let heard = heard(&listener);
        let since = heard.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let since: u64 = since.trim_end().parse().unwrap();
        assert!((before..=monotonic_micros()).contains(&since), "{heard}");
    }

    #[test]
    fn a_manager_that_begins_anew_is_found_again() {
        let directory = std::env::temp_dir().join(format!("locket-anew-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("notify");
        let first = UnixDatagram::bind(&path).unwrap();
        let manager = manager(&[("NOTIFY_SOCKET", path.to_str().unwrap())])
            .unwrap()
            .unwrap();
        drop(first);
        assert!(manager.tell(&[Word::Alive]).is_err(), "nobody listens");
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        manager.tell(&[Word::Alive]).unwrap();
        assert_eq!(heard(&second), "WATCHDOG=1\n");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn the_watchdog_is_that_of_this_process() {
        let name = format!("locket-watchdog-{}", std::process::id());
        let _listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let socket = format!("@{name}");
        let own = std::process::id().to_string();
        for (pid, expected) in [
            (None, Some(Duration::from_secs(3))),
            (Some(own.as_str()), Some(Duration::from_secs(3))),
            (Some("1"), None),
        ] {
            let mut variables = vec![("NOTIFY_SOCKET", socket.as_str()), ("WATCHDOG_USEC", "3000000")];
            variables.extend(pid.map(|pid| ("WATCHDOG_PID", pid)));
            assert_eq!(
                manager(&variables).unwrap().unwrap().watchdog(),
                expected,
                "{pid:?}"
            );
        }
    }

    #[test]
    fn without_a_manager_nobody_is_told_and_an_odd_address_is_an_error() {
        assert!(manager(&[]).unwrap().is_none());
        assert!(manager(&[("NOTIFY_SOCKET", "")]).unwrap().is_none());
        assert!(manager(&[("NOTIFY_SOCKET", "vsock:2:1234")]).is_err());
        assert!(manager(&[("NOTIFY_SOCKET", "/nowhere/at/all")]).is_err());
    }
}
