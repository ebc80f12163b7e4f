//! What a connection needs while it works on a request, and gives back while it waits for the next:
//! ten thousand connections that wait hold none of it.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut, Range};

/// Bytes of input at once: a head and what was pipelined behind it. Longer heads are hyper's.
const INPUT_BYTES: usize = 4 << 10;
/// Kept for the next request, by each thread.
const IDLE: usize = 32;

thread_local! {
    static IDLE_SCRATCHES: RefCell<Vec<Box<Space>>> = const { RefCell::new(Vec::new()) };
}

/// The memory of one request, borrowed from its thread; dropped, it goes to the thread that it is on then.
pub(super) struct Scratch(Option<Box<Space>>);

pub(super) struct Space {
    input: [u8; INPUT_BYTES],
    /// The part of the input that holds bytes which are not used up.
    unread: Range<usize>,
    /// The head of the answer.
    pub(super) answer: Vec<u8>,
}

impl Scratch {
    pub(super) fn take() -> Self {
        let idle = IDLE_SCRATCHES.with_borrow_mut(Vec::pop);
        Self(Some(idle.unwrap_or_else(|| {
            Box::new(Space {
                input: [0; INPUT_BYTES],
                unread: 0..0,
                answer: Vec::with_capacity(512),
            })
        })))
    }
}

impl Scratch {
    /// What is left when a request of `count` bytes is taken from it. Where nothing is, the memory goes back.
    pub(super) fn behind(mut self, count: usize) -> Option<Self> {
        self.used(count);
        (!self.unread().is_empty()).then_some(self)
    }
}

impl Space {
    /// What was read and not used up.
    pub(super) fn unread(&self) -> &[u8] {
        self.input.get(self.unread.clone()).unwrap_or_default()
    }

    /// The same, and the place for the head of its answer.
    pub(super) fn parts(&mut self) -> (&[u8], &mut Vec<u8>) {
        let unread = self.input.get(self.unread.clone()).unwrap_or_default();
        (unread, &mut self.answer)
    }

    /// Room to read into; empty where all is taken.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.unread.start > 0 {
            self.input.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        self.input.get_mut(self.unread.end..).unwrap_or_default()
    }

    /// More was read into [`Self::room`].
    pub(super) fn filled(&mut self, count: usize) {
        self.unread.end = self.input.len().min(self.unread.end + count);
    }

    /// A request was answered, which was said with so many bytes.
    pub(super) fn used(&mut self, count: usize) {
        self.unread.start = self.unread.end.min(self.unread.start + count);
    }

    pub(super) fn is_full(&self) -> bool {
        self.unread.len() == self.input.len()
    }
}

impl Deref for Scratch {
    type Target = Space;
    fn deref(&self) -> &Space {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut Space {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let Some(mut space) = self.0.take() else {
            return;
        };
        space.unread = 0..0;
        space.answer.clear();
        // At the end of a thread there is no place left to give it back to.
        let _given = IDLE_SCRATCHES.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            if idle.len() < IDLE {
                idle.push(space);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_used_up_stays_at_the_front() {
        let mut scratch = Scratch::take();
        scratch.room()[..6].copy_from_slice(b"onetwo");
        scratch.filled(6);
        scratch.used(3);
        assert_eq!(scratch.unread(), b"two");
        scratch.room()[..5].copy_from_slice(b"three");
        scratch.filled(5);
        assert_eq!(scratch.unread(), b"twothree");
        let left = scratch.room().len();
        scratch.filled(left);
        assert!(scratch.is_full() && scratch.room().is_empty());
        drop(scratch);
        assert_eq!(
            Scratch::take().unread(),
            b"",
            "no bytes of the request before"
        );
    }
}
