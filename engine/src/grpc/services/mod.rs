//! The services of `proto/ward/v1`: they check who calls, translate, and leave the work to [`crate::job`].

pub mod attestations;
pub mod catalogue;
pub mod identity;
pub mod jobs;
pub mod parties;
pub mod receipts;
pub mod setup;
pub mod studies;

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::Status;

/// A stream of answers.
pub type Streaming<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
