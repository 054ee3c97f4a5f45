//! Many machines: a remote builder over SSH, and a signed binary cache, both on this one.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::Value;

use super::checkout::Flake;
use crate::support::nix::{Nix, Plugin};
use crate::support::{Ran, is_root, root, run, skip, static_program, tool};

/// What is built here: two libraries for two platforms, and a look into them.
const WHAT: &str = "checks.x86_64-linux.example";

/// An SSH server on a free port of the loopback, for the current user and one key; it ends when it is dropped.
struct Sshd {
    child: Child,
    port: u16,
    user: String,
    /// The client's private key.
    key: PathBuf,
    /// The server's public key.
    host_key: String,
}

impl Sshd {
    /// Starts one that keeps its files in `folder`; `None` (after a visible skip of `test`) where no server is installed.
    fn start(test: &str, folder: &Path) -> Option<Sshd> {
        tool(test, "ssh")?;
        tool(test, "ssh-keygen")?;
        // Not in every user's PATH.
        let Some(sshd) = ["/usr/sbin/sshd", "/usr/bin/sshd"]
            .map(Path::new)
            .into_iter()
            .find(|file| file.is_file())
        else {
            skip(test, "`sshd` is not installed (openssh-server)");
            return None;
        };
        // Where the server of root puts unprivileged children. Empty, and gone after each boot.
        if is_root() {
            std::fs::create_dir_all("/run/sshd").expect("the folder of sshd");
        }
        std::fs::create_dir_all(folder).expect("a folder");
        for name in ["host", "user"] {
            run(Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.join(name)))
            .expect(0);
        }
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let at = folder.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/user.pub\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        );
        std::fs::write(folder.join("config"), config).expect("the configuration");
        let log = std::fs::File::create(folder.join("log")).expect("the log");
        let child = Command::new(sshd)
            .args(["-D", "-e", "-f"])
            .arg(folder.join("config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts");
        let server = Sshd {
            child,
            port,
            user: run(Command::new("id").arg("-un")).stdout.trim().to_owned(),
            key: folder.join("user"),
            host_key: std::fs::read_to_string(folder.join("host.pub")).expect("a public key"),
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "sshd: {:?}",
                std::fs::read_to_string(folder.join("log"))
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    /// A line of `builders`: this machine again, whose Nix is `program`.
    fn builder(&self, program: &Path) -> String {
        format!(
            "builders = ssh-ng://{}@127.0.0.1?remote-program={} x86_64-linux {} 2 1 - - {}",
            self.user,
            program.display(),
            self.key.display(),
            BASE64.encode(self.host_key.as_bytes())
        )
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A store whose paths read as those of `nix` and are elsewhere, as on another machine.
fn other_store(nix: &Nix, name: &str) -> String {
    format!("local?root={}", nix.path(name).display())
}

/// Writes the program that is started at the remote end: a Nix with settings and a store of its own.
fn write_remote_nix(nix: &Nix, file: &Path) {
    let mut script = "#!/bin/sh\nunset NIX_SSHOPTS\n".to_owned();
    let command = nix.command("nix-daemon", Plugin::Absent);
    for (name, value) in command.get_envs() {
        let name = name.to_string_lossy();
        match value {
            Some(value) => {
                script.push_str(&format!("export {name}='{}'\n", value.to_string_lossy()))
            }
            None => script.push_str(&format!("unset {name}\n")),
        }
    }
    script.push_str(&format!(
        "export NIX_CONFIG=\"$NIX_CONFIG\ntrusted-users = *\"\nexport NIX_REMOTE='{}' PATH='{}'\nexec nix-daemon \"$@\"\n",
        other_store(nix, "remote"),
        std::env::var("PATH").expect("a PATH")
    ));
    std::fs::write(file, script).expect("the script");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// `nix build WHAT` with further settings, in a store.
fn build(nix: &Nix, flake: &Flake, store: Option<&str>, settings: &str) -> Command {
    let mut command = flake.command(nix, Plugin::Absent, &["build", "--no-link", "--json"], WHAT);
    let configured = command.get_envs().find(|(name, _)| *name == "NIX_CONFIG");
    let configured = configured.and_then(|(_, value)| value).expect("settings");
    let all = format!("{}{settings}\n", configured.to_string_lossy());
    command.env("NIX_CONFIG", all);
    if let Some(store) = store {
        command.env("NIX_REMOTE", store);
    }
    command
}

/// What was built.
fn path(ran: &Ran) -> String {
    let value: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let path = value[0]["outputs"]["out"].as_str();
    path.expect("an output").to_owned()
}

/// The NAR hashes of everything that `path` refers to, in a store.
fn hashes(nix: &Nix, store: Option<&str>, path: &str) -> BTreeMap<String, String> {
    let mut command = nix.command("nix", Plugin::Absent);
    if let Some(store) = store {
        command.env("NIX_REMOTE", store);
    }
    let ran = run(command.args(["path-info", "--recursive", "--json", path])).expect(0);
    let value: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(|info| {
            let text = |key: &str| info[key].as_str().expect("text").to_owned();
            (text("path"), text("narHash"))
        })
        .collect()
}

/// This machine allows itself no build; everything that is not fetched is built by the remote Nix, and comes back the same as
/// from a build here.
#[test]
fn builds_run_on_a_remote_builder() {
    let test = "builds_run_on_a_remote_builder";
    let (Some(nix), Some(program)) = (Nix::new(test), static_program(test)) else {
        return;
    };
    let Some(sshd) = Sshd::start(test, &nix.path("ssh")) else {
        return;
    };
    let remote_nix = nix.path("remote-nix");
    write_remote_nix(&nix, &remote_nix);
    let flake = Flake::new(&program, &root().join("tests/nix/sets"));

    let settings = format!("max-jobs = 0\n{}", sshd.builder(&remote_nix));
    let ran = run(build(&nix, &flake, None, &settings)
        .env("NIX_SSHOPTS", format!("-p {} -F none", sshd.port)))
    .expect(0);
    let built = path(&ran);
    for package in ["libexample-linux-x86_64", "libexample_base-linux-sbsa"] {
        let line = ran
            .stderr
            .lines()
            .find(|line| line.contains(&format!("-{package}-1.0.0.drv' on 'ssh-ng://")));
        assert!(line.is_some(), "{package}: {}", ran.stderr);
    }

    let here = hashes(&nix, None, &built);
    assert!(here.len() >= 5, "{here:?}");
    assert_eq!(
        hashes(&nix, Some(&other_store(&nix, "remote")), &built),
        here
    );
    let alone = other_store(&nix, "alone");
    assert_eq!(
        path(&run(&mut build(&nix, &flake, Some(&alone), "")).expect(0)),
        built
    );
    assert_eq!(hashes(&nix, Some(&alone), &built), here);
}

/// What one store built another one takes from a `file://` cache, to the byte, if the signature is that of a key it trusts.
#[test]
fn a_signed_binary_cache_serves_a_second_store() {
    let test = "a_signed_binary_cache_serves_a_second_store";
    let (Some(nix), Some(program)) = (Nix::new(test), static_program(test)) else {
        return;
    };
    let key = |name: &str| {
        let [secret, public] = ["secret", "public"].map(|half| nix.path(&format!("{name}-{half}")));
        run(nix
            .command("nix-store", Plugin::Absent)
            .args(["--generate-binary-cache-key", "cache.example.org-1"])
            .args([&secret, &public]))
        .expect(0);
        (secret, std::fs::read_to_string(public).expect("a key"))
    };
    let (secret, trusted) = key("one");
    let (_, foreign) = key("other");
    let flake = Flake::new(&program, &root().join("tests/nix/sets"));
    let built = path(&run(&mut build(&nix, &flake, None, "")).expect(0));
    let cache = nix.path("cache");
    run(nix
        .command("nix", Plugin::Absent)
        .args(["copy", "--to"])
        .arg(format!(
            "file://{}?secret-key={}",
            cache.display(),
            secret.display()
        ))
        .arg(&built))
    .expect(0);

    let settings = |key: &str| {
        format!(
            "max-jobs = 0\nsubstituters = file://{}\ntrusted-public-keys = {key}",
            cache.display()
        )
    };
    let refusing = other_store(&nix, "refusing");
    let refused = run(&mut build(
        &nix,
        &flake,
        Some(&refusing),
        &settings(&foreign),
    ));
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("is not signed by any of the keys"),
        "{}",
        refused.stderr
    );

    let second = other_store(&nix, "second");
    let ran = run(&mut build(&nix, &flake, Some(&second), &settings(&trusted))).expect(0);
    assert_eq!(path(&ran), built);
    assert!(!ran.stderr.contains("building '"), "{}", ran.stderr);
    let here = hashes(&nix, None, &built);
    assert!(here.len() >= 5, "{here:?}");
    assert_eq!(hashes(&nix, Some(&second), &built), here);
}
