//! The servers of a user, by the files that they keep of themselves: `jpserver-<pid>.json`, in a folder that only that user can read.
//!
//! A server that was killed leaves its file, and its PID may be another process's by now: the process has to be that user's and older than
//! the file, and to be the one that listens at the address.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use thiserror::Error;

use crate::config::address::{Address, NotAnAddress};
use crate::config::token::Token;
use crate::domain::ids::Pid;
use crate::named_file::{self, Refusal, Trust};
use crate::sources::clock;
use crate::sources::processes::{Proc, ProcessesError};

/// Such a file has three hundred bytes.
const MOST_BYTES: u64 = 64 * 1024;
/// The wall clock that dates a file may have been set a little since the process started.
const SET_SINCE: Duration = Duration::from_secs(5);

/// A server that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub pid: Pid,
    /// When that started.
    pub start_ticks: u64,
    /// Its base address.
    pub address: Address,
    /// What its owner may ask with.
    pub token: Option<Token>,
}

/// What the files tell.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that run.
    pub running: Vec<Running>,
    /// Of those that may run as well, what is wrong with their files.
    pub troubles: Vec<RuntimeError>,
}

/// A file or a folder of servers is of no use.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// The folder.
    #[error("{}: the folder of the running servers can't be read; set runtime_dir, or name the server by url", path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder of another user.
    #[error("the folder of that user's running servers isn't known: user {0} has no home; set runtime_dir")]
    NoHome(u32),
    /// A file.
    #[error("server file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Refusal,
    },
    /// A file that isn't one of a server.
    #[error("{}: not understood as the file of a Jupyter Server; name the server by url", path.display())]
    NotUnderstood {
        /// The file.
        path: PathBuf,
    },
    /// A server that can't be asked.
    #[error("{}: the server's address can't be used: {source}; name one by url", path.display())]
    Address {
        /// Whose.
        path: PathBuf,
        /// Why.
        source: NotAnAddress,
    },
    /// A server that only people can log in to.
    #[error("{}: the server is entered by a password alone, so it has no API for programs: start it with JUPYTER_TOKEN set, too", path.display())]
    PasswordOnly {
        /// Whose.
        path: PathBuf,
    },
    /// The processes can't be looked at.
    #[error(transparent)]
    Processes(#[from] ProcessesError),
}

#[derive(Deserialize)]
struct ServerFile {
    pid: u64,
    url: String,
    base_url: String,
    port: u16,
    sock: Option<String>,
    secure: bool,
    token: String,
    password: bool,
}

/// The folder in which Jupyter keeps the files of a user's servers. `None`: nothing tells.
pub fn folder_of(uid: u32) -> Result<PathBuf, RuntimeError> {
    let own = rustix::process::geteuid().as_raw();
    #[expect(clippy::disallowed_methods, reason = "where Jupyter itself looks for the folder of this user")]
    let variable = |name: &str| std::env::var_os(name).filter(|value| uid == own && !value.is_empty());
    if let Some(folder) = variable("JUPYTER_RUNTIME_DIR") {
        return Ok(folder.into());
    }
    if let Some(data) = variable("JUPYTER_DATA_DIR") {
        return Ok(Path::new(&data).join("runtime"));
    }
    if let Some(data) = variable("XDG_DATA_HOME") {
        return Ok(Path::new(&data).join("jupyter/runtime"));
    }
    let home = variable("HOME").map(PathBuf::from).or_else(|| crate::users::home_of(uid));
    let home = home.ok_or(RuntimeError::NoHome(uid))?;
    Ok(home.join(".local/share/jupyter/runtime"))
}

/// The servers of this user that the files in a folder tell of. No folder: none ever ran.
pub fn servers(folder: &Path, uid: u32) -> Result<Found, RuntimeError> {
    let unreadable = |source| RuntimeError::Folder { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Found::default();
    let mut proc = Proc::open()?;
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(pid) = name.strip_prefix("jpserver-").and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        let Some(pid) = pid.parse().ok().and_then(Pid::new) else { continue };
        let Some(start_ticks) = alive(&mut proc, pid, uid, &path)? else { continue };
        match read(&path, uid, pid) {
            Ok((address, token)) => found.running.push(Running { pid, start_ticks, address, token }),
            // It ended meanwhile.
            Err(RuntimeError::File { source: Refusal::Unreadable(error), .. })
                if error.kind() == io::ErrorKind::NotFound => {}
            Err(trouble) => found.troubles.push(trouble),
        }
    }
    found.running.sort_by_key(|server| (server.start_ticks, server.pid));
    Ok(found)
}

/// When the process of a file started, if it is there and may be the one that wrote it.
fn alive(proc: &mut Proc, pid: Pid, uid: u32, path: &Path) -> Result<Option<u64>, ProcessesError> {
    let Some(dir) = proc.process(pid)? else { return Ok(None) };
    let Some((process, _)) = proc.describe(&dir)? else { return Ok(None) };
    let Ok(written) = fs::symlink_metadata(path).and_then(|file| file.modified()) else { return Ok(None) };
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let age = clock::ticks_now().saturating_sub(process.identity.start_ticks) / per_second;
    let started = clock::wall_now().checked_sub(Duration::from_secs(age));
    let is_older = started.is_some_and(|started: SystemTime| started <= written + SET_SINCE);
    Ok((process.uid == uid && !process.zombie && is_older).then_some(process.identity.start_ticks))
}

fn read(path: &Path, uid: u32, pid: Pid) -> Result<(Address, Option<Token>), RuntimeError> {
    let trust = Trust::named().and([uid]);
    let bytes = named_file::read(path, MOST_BYTES, &trust)
        .map_err(|source| RuntimeError::File { path: path.to_owned(), source })?;
    let not_understood = || RuntimeError::NotUnderstood { path: path.to_owned() };
    let file: ServerFile = serde_json::from_slice(&bytes).map_err(|_| not_understood())?;
    if file.pid != u64::from(pid.get()) {
        return Err(not_understood());
    }
    let address =
        url_of(&file).parse().map_err(|source| RuntimeError::Address { path: path.to_owned(), source })?;
    if file.token.is_empty() && file.password {
        return Err(RuntimeError::PasswordOnly { path: path.to_owned() });
    }
    let token =
        if file.token.is_empty() { None } else { Some(Token::new(&file.token).ok_or_else(not_understood)?) };
    Ok((address, token))
}

/// From this machine: one that listens everywhere is on loopback, too.
fn url_of(file: &ServerFile) -> String {
    if let Some(sock) = file.sock.as_deref().filter(|sock| !sock.is_empty()) {
        return format!("unix://{sock}:{}", file.base_url);
    }
    let scheme = if file.secure { "https" } else { "http" };
    let authority =
        file.url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let host = match host {
        "" | "0.0.0.0" | "[::]" | "::" | "*" => "127.0.0.1",
        host => host,
    };
    format!("{scheme}://{host}:{}{}", file.port, file.base_url)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::{Value, json};

    use super::*;

    fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn file(pid: u32) -> Value {
        json!({"base_url": "/base/", "hostname": "localhost", "password": false, "pid": pid, "port": 8888, "root_dir": "/x",
            "secure": false, "sock": "", "token": "t0ken", "url": "http://localhost:8888/base/", "version": "2.21.1"})
    }

    fn of(pid: u32, content: &str) -> Found {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(format!("jpserver-{pid}.json")), content).unwrap();
        fs::write(folder.path().join(format!("jpserver-{pid}-open.html")), "<html>").unwrap();
        servers(folder.path(), own_uid()).unwrap()
    }

    fn trouble(content: &Value) -> String {
        let found = of(std::process::id(), &content.to_string());
        assert_eq!(found.running, []);
        found.troubles.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_server_that_runs_is_found_with_its_address_and_token() {
        let pid = std::process::id();
        let found = of(pid, &file(pid).to_string());
        assert_eq!(found.running.len(), 1, "{found:?}");
        let server = &found.running[0];
        assert_eq!(
            (server.pid.get(), server.address.to_string()),
            (pid, "http://localhost:8888/base/".to_owned())
        );
        assert_eq!(server.token.as_ref().unwrap().expose(), "t0ken");
        assert!(!format!("{found:?}").contains("t0ken"), "a token is never shown");
    }

    #[test]
    fn a_server_at_any_address_or_at_a_socket_is_asked_where_it_listens() {
        for (change, expected) in [
            (json!({"url": "http://0.0.0.0:8888/"}), "http://127.0.0.1:8888/base/"),
            (json!({"url": "http://[::1]:8888/"}), "http://[::1]:8888/base/"),
            (
                json!({"sock": "/run/j.sock", "url": "http+unix://%2Frun%2Fj.sock/"}),
                "unix:///run/j.sock:/base/",
            ),
        ] {
            let pid = std::process::id();
            let mut content = file(pid);
            content.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert_eq!(of(pid, &content.to_string()).running[0].address.to_string(), expected);
        }
    }

    #[test]
    fn what_is_stale_is_no_server() {
        // Of no process; and of one that is younger than the file.
        assert!(of(4_194_999, &file(4_194_999).to_string()).running.is_empty());
        let pid = std::process::id();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("jpserver-{pid}.json"));
        fs::write(&path, file(pid).to_string()).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let found = servers(folder.path(), own_uid()).unwrap();
        assert!(found.running.is_empty() && found.troubles.is_empty(), "{found:?}");
        // Of another user's process.
        fs::File::options().write(true).open(&path).unwrap().set_modified(clock::wall_now()).unwrap();
        assert!(servers(folder.path(), own_uid() + 1).unwrap().running.is_empty());
    }

    #[test]
    fn what_can_not_be_used_is_told_with_its_remedy_and_without_the_token() {
        let pid = std::process::id();
        for (change, expected) in [
            (json!({"secure": true}), "address can't be used"),
            (json!({"token": "", "password": true}), "JUPYTER_TOKEN"),
            (json!({"pid": 1}), "not understood"),
            (json!({"token": "a b"}), "not understood"),
        ] {
            let mut content = file(pid);
            content.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let told = trouble(&content);
            assert!(told.contains(expected) && !told.contains("t0ken"), "{told}");
        }
        assert!(of(pid, "{").troubles[0].to_string().contains("not understood"));
    }

    #[test]
    fn a_file_that_others_may_write_is_not_read() {
        let pid = std::process::id();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("jpserver-{pid}.json"));
        fs::write(&path, file(pid).to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let found = servers(folder.path(), own_uid()).unwrap();
        assert!(found.running.is_empty() && found.troubles.len() == 1, "{found:?}");
    }

    #[test]
    fn no_folder_is_no_server() {
        let found = servers(Path::new("/nowhere/at/all"), own_uid()).unwrap();
        assert!(found.running.is_empty() && found.troubles.is_empty());
    }
}
