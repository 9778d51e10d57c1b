//! An HTTP/1.1 client for a gateway next door: one deadline from connect to last byte, a size limit, no redirects, no proxies, no half
//! answers, no byte before it is known who listens, and no word of a token in what it says. It knows nothing of session tables.

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
