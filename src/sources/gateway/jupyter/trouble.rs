//! Why there is no table, in one sentence with its remedy.

use hyper::StatusCode;
use hyper::header::LOCATION;
use thiserror::Error;

use crate::domain::ids::Pid;
use crate::domain::table::TableView;
use crate::sources::http::{HttpClient, HttpError, Response};

/// Why there is no table.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Http(HttpError),
    #[error("its answer is larger than max_table_bytes: raise it if there really are so many kernels")]
    TooLarge,
    #[error(
        "it wants a token, and none is configured: name it by token_env or token_file; a server that is entered by a password alone has no \
         API for programs: start it with JUPYTER_TOKEN set, too"
    )]
    NoToken,
    #[error("it did not accept the token ({0}): check what token_env or token_file names")]
    WrongToken(StatusCode),
    #[error(
        "redirected to {0}: redirects are not followed; put the server's own base address into url, not that of a proxy"
    )]
    Redirected(Box<str>),
    #[error(
        "it answered with an HTML page: a login page or a proxy; url has to be the server's own base address"
    )]
    Page,
    #[error(
        "three answers in a row took longer than a second, and a client may have come back meanwhile: nothing was closed, and the next run \
         tries again; if that goes on, lower closes_at_once, or give the server more processor time"
    )]
    Slow,
    #[error("it answered {0}{1}")]
    Status(StatusCode, Box<str>),
    #[error(
        "no Jupyter Server and no Kernel Gateway answers there: url has to be its base address, with its base_url"
    )]
    NotJupyter,
    #[error(
        "it runs jupyter-server-documents, with which no kernel shows whether a client is connected: nothing can be reaped here; take the \
         extension out, or this gateway"
    )]
    ServerDocuments,
    #[error(
        "it doesn't list its kernels, and its process can't be seen from here: start it with KG_LIST_KERNELS=True"
    )]
    NoListing,
    #[error(
        "process {found} listens there, and not {expected}, of which there is a file: nothing it says is used"
    )]
    OtherProcess { expected: Pid, found: Pid },
    #[error("its list of kernels is not understood: {0}")]
    NotUnderstood(Box<str>),
    #[error("no kernel of its list says {0}: a release that is not understood")]
    Release(&'static str),
}

impl Trouble {
    /// An answer that is none.
    pub(super) fn refused(client: &HttpClient, response: &Response) -> Self {
        let status = response.status;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if client.token().is_none() => Self::NoToken,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::WrongToken(status),
            _ if status.is_redirection() => {
                let to = response.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
                Self::Redirected(client.quote(to.split('?').next().unwrap_or(to)))
            }
            _ if is_page(&response.body) => Self::Page,
            _ => {
                let said = String::from_utf8_lossy(&response.body);
                let said =
                    if said.trim().is_empty() { String::new() } else { format!(": {}", client.quote(&said)) };
                Self::Status(status, said.into())
            }
        }
    }

    /// What that means for the table.
    pub(super) fn view(&self, client: &HttpClient, at: &str, limit: usize) -> TableView {
        match self {
            Self::Http(error) if error.reached() => TableView::refused(error.in_full()),
            Self::Http(error) if error.nothing_listens() => TableView::nothing_listens(error.in_full()),
            Self::Http(error) => TableView::unreachable(error.in_full()),
            Self::TooLarge => TableView::refused(format!("{at}: {self} (max_table_bytes = {limit})")),
            _ => TableView::refused(client.redact(&format!("{at}: {self}")).into_owned()),
        }
    }
}

pub(super) fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}
