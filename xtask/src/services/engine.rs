//! A Docker Engine with its clients for the tests, unpacked beside the other services and never installed: the machine's
//! own engine, if it has one, is left alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{apt, exists, run, say};

/// Debian's release whose engine, Compose and buildx are new enough.
const RELEASE: &str = "forky";

/// From that release.
const NEW: &[&str] = &[
    "docker.io",
    "docker-cli",
    "docker-compose",
    "docker-buildx",
    "tini-static",
];

/// From the machine's own release, whose C library they fit.
const OWN: &[&str] = &[
    "containerd",
    "runc",
    "busybox-static",
    "iptables",
    "libip4tc2",
    "libip6tc2",
    "libxtables12",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
];

/// What the directory `bin` names, and where the packages have it.
const PROGRAMS: &[(&str, &str)] = &[
    ("dockerd", "usr/sbin/dockerd"),
    ("docker-proxy", "usr/sbin/docker-proxy"),
    ("docker-init", "usr/bin/tini-static"),
    ("docker", "usr/bin/docker"),
    ("containerd", "usr/bin/containerd"),
    ("containerd-shim-runc-v2", "usr/bin/containerd-shim-runc-v2"),
    ("runc", "usr/sbin/runc"),
    ("busybox", "bin/busybox"),
    ("iptables", "usr/sbin/xtables-nft-multi"),
    ("iptables-save", "usr/sbin/xtables-nft-multi"),
    ("iptables-restore", "usr/sbin/xtables-nft-multi"),
    ("ip6tables", "usr/sbin/xtables-nft-multi"),
    ("ip6tables-save", "usr/sbin/xtables-nft-multi"),
    ("ip6tables-restore", "usr/sbin/xtables-nft-multi"),
];

/// Unpacks the engine into `home/engine`: `bin`, `cli-plugins` and `root`, the packages' files.
pub(super) fn install(home: &Path) -> Result<(), String> {
    let (engine, stamp) = (home.join("engine"), home.join("engine.installed"));
    let wanted = format!("{RELEASE} {NEW:?} {OWN:?} {PROGRAMS:?}");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if !exists("dpkg") || !exists("apt-get") {
        return if exists("dockerd") && exists("busybox") {
            Ok(())
        } else {
            Err("install Docker Engine 28 or newer with Compose, buildx and busybox, then try again".into())
        };
    }
    say("unpacking Docker Engine, Compose and buildx");
    let failed = |error| format!("{}: {error}", engine.display());
    // The stamp goes first: one that outlives what it speaks of would hide the damage.
    let _ = fs::remove_file(&stamp);
    let _ = fs::remove_dir_all(&engine);
    fs::create_dir_all(engine.join("packages")).map_err(failed)?;
    if !exists("ip") || !exists("unshare") {
        apt(&["iproute2", "util-linux"])?;
    }
    download(&engine)?;
    unpack(&engine)?;
    link(&engine).map_err(failed)?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

fn download(engine: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", engine.display());
    let apt_dir = engine.join("apt");
    fs::create_dir_all(apt_dir.join("lists/partial")).map_err(failed)?;
    fs::create_dir_all(apt_dir.join("cache/archives/partial")).map_err(failed)?;
    // The machine's own lists and pins stay as they are: the newer release is known to these commands alone.
    let place = apt_dir.display();
    let sources = format!(
        "Types: deb\nURIs: {}\nSuites: {RELEASE}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        mirror()?
    );
    let settings = format!(
        "Dir::State::lists \"{place}/lists\";\nDir::Cache \"{place}/cache\";\n\
         Dir::Etc::sourcelist \"{place}/{RELEASE}.sources\";\nDir::Etc::sourceparts \"{place}/none\";\n\
         Dir::Etc::preferencesparts \"{place}/none\";\nAcquire::Languages \"none\";\n"
    );
    fs::create_dir_all(apt_dir.join("none")).map_err(failed)?;
    fs::write(apt_dir.join(format!("{RELEASE}.sources")), sources).map_err(failed)?;
    fs::write(apt_dir.join("settings"), settings).map_err(failed)?;
    let newer = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.arg("-qq").args(arguments).stdout(Stdio::null());
        command.current_dir(engine.join("packages"));
        command.env("APT_CONFIG", apt_dir.join("settings"));
        command
    };
    run(&mut newer(&["update"]))?;
    run(newer(&["download"]).args(NEW))?;
    run(Command::new("apt-get")
        .args(["update", "-qq"])
        .stdout(Stdio::null()))?;
    run(Command::new("apt-get")
        .args(["-qq", "download"])
        .args(OWN)
        .current_dir(engine.join("packages"))
        .stdout(Stdio::null()))?;
    fs::remove_dir_all(apt_dir).map_err(failed)
}

/// The mirror that the machine uses already.
fn mirror() -> Result<String, String> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(SITE)", "Origin: Debian"])
        .output()
        .map_err(|error| format!("apt-get cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut sites = text.lines().filter(|site| !site.contains("security"));
    sites
        .next()
        .map(str::to_owned)
        .ok_or_else(|| "no mirror of Debian is known; install Docker Engine 28 or newer by hand".into())
}

fn unpack(engine: &Path) -> Result<(), String> {
    let packages = engine.join("packages");
    let root = engine.join("root");
    let entries = fs::read_dir(&packages).map_err(|error| format!("{}: {error}", packages.display()))?;
    for package in entries.flatten() {
        run(Command::new("dpkg")
            .arg("--extract")
            .arg(package.path())
            .arg(&root))?;
    }
    fs::remove_dir_all(&packages).map_err(|error| format!("{}: {error}", packages.display()))
}

fn link(engine: &Path) -> std::io::Result<()> {
    let root = engine.join("root");
    fs::create_dir_all(engine.join("bin"))?;
    for (name, place) in PROGRAMS {
        // Releases after bookworm have everything below `usr`.
        let merged = root.join("usr").join(place);
        let place = if merged.exists() { merged } else { root.join(place) };
        symlink(place, engine.join("bin").join(name))?;
    }
    symlink(
        root.join("usr/libexec/docker/cli-plugins"),
        engine.join("cli-plugins"),
    )?;
    // Debian names the directory of libraries after the machine.
    for entry in fs::read_dir(root.join("usr/lib"))?.flatten() {
        if entry.path().join("libnftnl.so.11").exists() {
            symlink(entry.path(), engine.join("lib"))?;
        }
    }
    Ok(())
}
