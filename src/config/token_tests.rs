//! A token is had, or its absence is explained; it never shows.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::token::{Token, TokenSource};
use crate::text::in_full;

/// What reading a token file of these bytes says, with the folder's name taken out.
fn read(bytes: &[u8]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    match TokenSource::File(path).read() {
        Ok(token) => Ok(token.unwrap().expose().to_owned()),
        Err(error) => Err(in_full(&error).replace(&format!("{}/", folder.path().display()), "")),
    }
}

#[test]
fn no_source_is_no_token_and_no_error() {
    assert_eq!(TokenSource::None.read().unwrap(), None);
}

#[test]
fn one_trailing_newline_is_no_part_of_the_token() {
    for bytes in ["hunter2", "hunter2\n", "hunter2\r\n"] {
        assert_eq!(read(bytes.as_bytes()), Ok("hunter2".to_owned()));
    }
}

#[test]
fn what_can_not_be_a_token_is_refused_and_not_repeated() {
    let message = "token file token holds something that can't be a token; expected visible ASCII characters without \
                   spaces, on one line, and nothing else";
    let long = "hunter2".repeat(10_000);
    for bytes in [
        "hunter2\n\n",
        "Bearer hunter2",
        "hunter2\u{1b}",
        "hunter2\0",
        " hunter2",
        "hünter2",
        "hunter2\rhunter2",
        &long,
    ] {
        assert_eq!(read(bytes.as_bytes()), Err(message.to_owned()), "{bytes:.20}");
    }
    assert_eq!(read(b"hunter2\xff"), Err(message.to_owned()));
}

#[test]
fn an_empty_token_file_is_no_token() {
    for bytes in ["", "\n", "\r\n"] {
        assert_eq!(
            read(bytes.as_bytes()),
            Err("token file token is empty; expected the gateway's token".to_owned())
        );
    }
}

#[test]
fn a_missing_token_file_keeps_the_systems_answer_as_its_source() {
    let error = TokenSource::File(PathBuf::from("/nowhere/token")).read().unwrap_err();
    assert_eq!(
        in_full(&error),
        "token file /nowhere/token: can't be read: No such file or directory (os error 2)"
    );
}

#[test]
fn a_token_file_is_a_regular_file() {
    for (path, kind) in [("/", "a directory"), ("/dev/zero", "a device")] {
        assert_eq!(
            in_full(&TokenSource::File(PathBuf::from(path)).read().unwrap_err()),
            format!("token file {path}: is {kind}; expected a regular file")
        );
    }
}

#[test]
fn a_token_comes_from_the_environment() {
    let source = TokenSource::Env("T".to_owned());
    let token = source.read_with(|name| (name == "T").then(|| "hunter2".into())).unwrap().unwrap();
    assert_eq!(token.expose(), "hunter2");
    assert_eq!(
        source.read_with(|_| None).unwrap_err().to_string(),
        "environment variable T is not set; set it to the gateway's token where gateway-reaper is started"
    );
    assert_eq!(
        source.read_with(|_| Some("".into())).unwrap_err().to_string(),
        "environment variable T is empty; expected the gateway's token"
    );
    assert_eq!(
        source.read_with(|_| Some("hunter 2".into())).unwrap_err().to_string(),
        "environment variable T holds something that can't be a token; expected visible ASCII characters without \
         spaces, on one line, and nothing else"
    );
}

#[test]
fn the_real_environment_is_asked() {
    assert!(TokenSource::Env("CARGO_MANIFEST_DIR".to_owned()).read().unwrap().is_some());
}

#[test]
fn a_printed_token_is_an_ellipsis() {
    assert_eq!(format!("{:?}", Token::new("hunter2")), "Some(Token(…))");
}

#[test]
fn a_token_file_that_all_users_can_read_is_warned_about_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "hunter2").unwrap();
    for (mode, warnings) in [(0o604, 1), (0o640, 0)] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).without_time().finish();
        tracing::subscriber::with_default(subscriber, || {
            TokenSource::File(path.clone()).read().unwrap().unwrap();
        });
        let written = log.written();
        assert_eq!(written.matches("chmod o-r").count(), warnings, "{written}");
        assert!(!written.contains("hunter2"));
    }
}

/// A log that is kept.
#[derive(Debug, Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn written(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
