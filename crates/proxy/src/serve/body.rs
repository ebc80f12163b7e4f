//! The body of an answer: bytes in memory, a stored file, or one that is still arriving.

use std::fs::File;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::read_ahead::read_chunk;
use crate::failure::Failure;
use crate::fill::flight::Following;
use crate::observe::Exchange;

type Reading<T> = Pin<Box<dyn Future<Output = (T, Result<Option<Bytes>, Failure>)> + Send>>;

/// A body, with the record of the exchange that is closed when it is dropped.
pub(super) struct AnswerBody {
    kind: Kind,
    exchange: Option<Exchange>,
}

enum Kind {
    Empty,
    Whole(Bytes),
    File {
        file: Arc<File>,
        position: u64,
        end: u64,
        reading: Option<Reading<()>>,
    },
    Arriving {
        total_bytes: Option<u64>,
        sent_bytes: u64,
        reading: Option<Reading<Box<Following>>>,
    },
}

impl AnswerBody {
    /// No body.
    pub(super) fn empty() -> Self {
        Self::of(Kind::Empty)
    }
    /// Bytes in memory.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::of(Kind::Whole(bytes.into()))
    }
    /// The bytes `start..end` of a stored file.
    pub(super) fn file(file: Arc<File>, start: u64, end: u64) -> Self {
        Self::of(Kind::File {
            file,
            position: start,
            end,
            reading: None,
        })
    }
    /// A file that is still arriving.
    pub(super) fn arriving(following: Following) -> Self {
        let total_bytes = following.total_bytes();
        let reading = Some(next_of(Box::new(following)));
        Self::of(Kind::Arriving {
            total_bytes,
            sent_bytes: 0,
            reading,
        })
    }
    /// Hands over the record of the exchange; it is closed with the body.
    pub(super) fn with_exchange(mut self, exchange: Exchange) -> Self {
        self.exchange = Some(exchange);
        self
    }
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            exchange: None,
        }
    }
}

fn next_of(mut following: Box<Following>) -> Reading<Box<Following>> {
    Box::pin(async move {
        let next = following.next().await;
        (following, next)
    })
}

/// Why a body broke off. The connection breaks with it: an HTTP/1.1 client sees a short body, an
/// HTTP/2 client a reset stream, and nobody takes the part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub(super) struct BrokenOff(#[from] Failure);

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self.get_mut();
        let polled = this.kind.poll_chunk(context);
        let chunk = match ready!(polled) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Poll::Ready(None),
            Err(failure) => {
                if let Some(exchange) = &mut this.exchange {
                    exchange.broke_off(&failure);
                }
                return Poll::Ready(Some(Err(BrokenOff(failure))));
            }
        };
        if let Some(exchange) = &mut this.exchange {
            exchange.sent(chunk.len() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::File { position, end, .. } => position >= end,
            Kind::Arriving { reading, .. } => reading.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::File { position, end, .. } => SizeHint::with_exact(end.saturating_sub(*position)),
            Kind::Arriving {
                total_bytes: Some(total),
                sent_bytes,
                ..
            } => SizeHint::with_exact(total.saturating_sub(*sent_bytes)),
            Kind::Arriving {
                total_bytes: None, ..
            } => SizeHint::default(),
        }
    }
}

impl Kind {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        match self {
            Self::Empty => Poll::Ready(Ok(None)),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready(Ok((!bytes.is_empty()).then_some(bytes)))
            }
            Self::File {
                file,
                position,
                end,
                reading,
            } => {
                if position >= end {
                    return Poll::Ready(Ok(None));
                }
                let next = reading.get_or_insert_with(|| {
                    let (file, position, end) = (file.clone(), *position, *end);
                    Box::pin(async move {
                        let chunk = read_chunk(&file, position, end).await;
                        (
                            (),
                            chunk
                                .map(Some)
                                .map_err(|error| Failure::store(error.into())),
                        )
                    })
                });
                let ((), chunk) = ready!(next.as_mut().poll(context));
                *reading = None;
                let chunk = chunk?.unwrap_or_default();
                if chunk.is_empty() {
                    return Poll::Ready(Err(Failure::Internal("a stored file ended early".into())));
                }
                *position += chunk.len() as u64;
                Poll::Ready(Ok(Some(chunk)))
            }
            Self::Arriving {
                sent_bytes,
                reading,
                ..
            } => {
                let Some(next) = reading else {
                    return Poll::Ready(Ok(None));
                };
                let (following, chunk) = ready!(next.as_mut().poll(context));
                *reading = match &chunk {
                    Ok(Some(_)) => Some(next_of(following)),
                    Ok(None) | Err(_) => None,
                };
                if let Ok(Some(chunk)) = &chunk {
                    *sent_bytes += chunk.len() as u64;
                }
                Poll::Ready(chunk)
            }
        }
    }
}
