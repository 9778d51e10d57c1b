//! An HTTP/1.1 client for a gateway: one deadline from connect to last byte, a size limit, no redirects, no proxies. An answer that isn't
//! whole is an error. Nothing is sent before it is known which user listens, and no message contains a token. It knows nothing of session
//! tables.

mod client;
mod connect;
mod connection;
mod credential;
mod deadline;
mod error;
mod exchange;
mod listener;
mod resolve;
mod stream;

pub use self::client::{HttpClient, Response};
pub use self::connection::Connection;
pub use self::credential::{Credential, Scheme};
pub use self::error::{HttpError, HttpProblem, Phase};
pub use self::exchange::Exchange;
pub use self::listener::{Listeners, Unwelcome};
pub use self::stream::{Peer, Stream};
