//! Bodies that stall, trickle and break off as a script says.
use super::Content;
use super::connection::{Broken, Flushes};
use crate::Gate;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;

/// How a body is sent. Offsets count from the start of this body.
pub(super) struct Script {
    pub(super) stall: Option<(u64, Gate)>,
    pub(super) trickle: Option<(usize, Duration)>,
    pub(super) cut_after: Option<u64>,
}

/// A body that is being sent.
pub(super) struct ScriptedBody {
    steps: Option<mpsc::Receiver<Step>>,
    flushes: Flushes,
    /// The first flush by which all that was sent so far is with the kernel.
    sent_at_flush: u64,
    cut: bool,
}

enum Step {
    Send(Bytes),
    Cut,
}

const CHUNK_BYTES: usize = 64 << 10;

impl ScriptedBody {
    pub(super) fn empty() -> Self {
        Self {
            steps: None,
            flushes: Flushes::default(),
            sent_at_flush: 0,
            cut: false,
        }
    }

    pub(super) fn play(content: Content, script: Script, flushes: Flushes) -> Self {
        let (sender, steps) = mpsc::channel(1);
        tokio::spawn(feed(content, script, sender));
        Self {
            steps: Some(steps),
            sent_at_flush: flushes.count() + 1,
            flushes,
            cut: false,
        }
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if !self.cut {
            let Some(steps) = &mut self.steps else {
                return Poll::Ready(None);
            };
            match ready!(steps.poll_recv(context)) {
                Some(Step::Send(chunk)) => {
                    self.sent_at_flush = self.flushes.count() + 1;
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                None => return Poll::Ready(None),
                Some(Step::Cut) => self.cut = true,
            }
        }
        // The server drops what it holds when a body fails, so wait until it has written all of it.
        ready!(self.flushes.poll_reached(self.sent_at_flush, context));
        Poll::Ready(Some(Err(Broken)))
    }
}

async fn feed(content: Content, script: Script, steps: mpsc::Sender<Step>) {
    let len_bytes = content.len_bytes();
    let end = script.cut_after.map_or(len_bytes, |cut| cut.min(len_bytes));
    let chunk_bytes = script
        .trickle
        .as_ref()
        .map_or(CHUNK_BYTES, |(bytes, _)| *bytes) as u64;
    let mut stall = script.stall;
    let mut sent = 0;
    loop {
        if let Some((_, gate)) = stall.take_if(|(at, _)| sent >= *at) {
            gate.pass().await;
        }
        if sent >= end {
            break;
        }
        let until = stall.as_ref().map_or(end, |(at, _)| end.min(*at));
        let chunk = read(&content, sent, chunk_bytes.min(until - sent));
        sent += chunk.len() as u64;
        if steps.send(Step::Send(chunk)).await.is_err() {
            return;
        }
        if let Some((_, interval)) = &script.trickle {
            tokio::time::sleep(*interval).await;
        }
    }
    if script.cut_after.is_some() {
        // The receiver is gone where the client hung up first.
        let _ = steps.send(Step::Cut).await;
    }
}

fn read(content: &Content, offset: u64, len_bytes: u64) -> Bytes {
    match content {
        Content::Bytes(bytes) => bytes.slice(offset as usize..(offset + len_bytes) as usize),
        Content::File(file, _) => {
            let mut chunk = vec![0; len_bytes as usize];
            file.read_exact_at(&mut chunk, offset).unwrap();
            chunk.into()
        }
    }
}
