//! An HTTP/1.1 client for a gateway next door: one deadline from connect to last byte, a size limit, no redirects, no proxies, no half
//! answers, and no word of a token in what it says. It knows nothing of session tables.

mod client;
mod connection;
mod credential;
mod deadline;
mod error;
mod stream;

pub use self::client::{HttpClient, Response};
pub use self::connection::Connection;
pub use self::credential::Credential;
pub use self::error::{HttpError, HttpProblem, Phase};
pub use self::stream::Stream;
