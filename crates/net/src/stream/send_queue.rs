//! What waits for a slow client: plaintext frames, replies before relayed data.
//!
//! RFC 8656 section 12.5 relays datagrams over a stream, which has no way to
//! lose one. Real-time data that is late is worth nothing, so the queue loses
//! the oldest itself, by whole frames `[H17]`:
//!
//! ```text
//!   | rest of a frame that has begun to leave | replies ... | data ... |
//!     never cut                                 never lost    oldest lost first
//! ```
//!
//! An emptied queue gives its memory back: much of it at once, a little when it
//! is found idle.

use std::collections::VecDeque;
use std::io::IoSlice;

/// Slices that a queue can consist of.
pub(crate) const MAX_SLICES: usize = 5;

/// Room that a first frame gets.
const FIRST_ROOM: usize = 2_048;

/// Room that a queue keeps while it is in use.
const KEPT_ROOM: usize = 16 * 1024;

/// Frames on their way to one client.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    /// A frame of which bytes have left, and how many.
    begun: Vec<u8>,
    begun_at: usize,
    control: Frames,
    data: Frames,
}

/// Whole frames in order.
#[derive(Debug, Default)]
struct Frames {
    bytes: VecDeque<u8>,
    lens: VecDeque<usize>,
}

impl SendQueue {
    /// Adds a reply. Replies are never lost; who makes them looks at
    /// [`control_len`](Self::control_len) and stops asking for more.
    pub(crate) fn push_control(&mut self, reply: &[u8]) {
        self.control.push(&[reply], 0, usize::MAX);
    }

    /// Adds relayed data of at most `limit` bytes in all, `padding` included;
    /// gives the number of frames that were lost for it, or was lost itself.
    pub(crate) fn push_data(
        &mut self,
        prefix: &[u8],
        payload: &[u8],
        padding: u8,
        limit: usize,
    ) -> u64 {
        let len = prefix.len() + payload.len() + usize::from(padding);
        let mut lost = 0;
        // [H17]
        while self.begun_len() + self.data.bytes.len() + len > limit {
            lost += 1;
            if !self.data.drop_oldest() {
                return lost;
            }
        }
        self.data.push(&[prefix, payload], padding, limit);
        lost
    }

    /// Takes `count` bytes, which have left, off the front.
    pub(crate) fn consume(&mut self, count: usize) {
        let of_begun = count.min(self.begun_len());
        self.begun_at += of_begun;
        if self.begun_at == self.begun.len() {
            self.begun.clear();
            self.begun_at = 0;
        }
        let left = self.control.consume(count - of_begun, &mut self.begun);
        self.data.consume(left, &mut self.begun);
        if self.is_empty() && self.room() > KEPT_ROOM {
            *self = Self::default();
        }
    }

    /// Gives back the memory of a queue that nobody uses.
    pub(crate) fn give_back(&mut self) {
        if self.is_empty() && self.room() > 0 {
            *self = Self::default();
        }
    }

    /// The frame that leaves next, or the rest of one that has begun to: its
    /// bytes lie in two pieces.
    pub(crate) fn front(&self) -> Option<[&[u8]; 2]> {
        match self.begun.get(self.begun_at..) {
            Some(begun) if !begun.is_empty() => Some([begun, &[]]),
            Some(_) | None => self.control.front().or_else(|| self.data.front()),
        }
    }

    /// What is to leave next, in order.
    pub(crate) fn slices(&self) -> [IoSlice<'_>; MAX_SLICES] {
        let begun = self.begun.get(self.begun_at..).unwrap_or_default();
        let (c0, c1) = self.control.bytes.as_slices();
        let (d0, d1) = self.data.bytes.as_slices();
        [begun, c0, c1, d0, d1].map(IoSlice::new)
    }

    /// Bytes of replies that wait.
    pub(crate) fn control_len(&self) -> usize {
        self.control.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.begun_len() == 0 && self.control.bytes.is_empty() && self.data.bytes.is_empty()
    }

    fn begun_len(&self) -> usize {
        self.begun.len() - self.begun_at
    }

    fn room(&self) -> usize {
        self.begun.capacity() + self.control.bytes.capacity() + self.data.bytes.capacity()
    }
}

impl Frames {
    fn push(&mut self, parts: &[&[u8]], padding: u8, limit: usize) {
        let len = parts.iter().map(|part| part.len()).sum::<usize>() + usize::from(padding);
        let needed = self.bytes.len() + len;
        if needed > self.bytes.capacity() {
            // Twice as much, but never more than the limit lets in.
            let room = (2 * self.bytes.capacity()).max(FIRST_ROOM).min(limit).max(needed);
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        for part in parts {
            self.bytes.extend(*part);
        }
        // [C7] Zeroes, never what lay here before.
        self.bytes.extend([0_u8; 3].iter().take(usize::from(padding)));
        self.lens.push_back(len);
    }

    fn front(&self) -> Option<[&[u8]; 2]> {
        let len = *self.lens.front()?;
        let (first, second) = self.bytes.as_slices();
        let of_first = first.get(..len.min(first.len()))?;
        Some([of_first, second.get(..len - of_first.len())?])
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(len) = self.lens.pop_front() else { return false };
        self.bytes.drain(..len.min(self.bytes.len()));
        true
    }

    /// Takes `count` bytes off; the rest of a frame that is cut goes to
    /// `begun`. Gives what was not taken.
    fn consume(&mut self, mut count: usize, begun: &mut Vec<u8>) -> usize {
        while count > 0
            && let Some(len) = self.lens.pop_front()
        {
            let taken = len.min(count);
            self.bytes.drain(..taken.min(self.bytes.len()));
            begun.extend(self.bytes.drain(..(len - taken).min(self.bytes.len())));
            count -= taken;
        }
        count
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use super::*;

    const LIMIT: usize = 100;

    #[test]
    fn h17_oldest_data_is_lost_by_whole_frames() {
        let mut queue = SendQueue::default();
        for frame in 0..12_u8 {
            let lost = queue.push_data(b"", &[frame; 10], 0, LIMIT);
            assert_eq!(lost, u64::from(frame >= 10), "frame {frame}");
        }
        let expected: Vec<u8> = (2..12).flat_map(|frame| [frame; 10]).collect();
        assert_eq!(contents(&queue), expected);
    }

    #[test]
    fn h17_replies_are_never_lost_and_leave_first() {
        let mut queue = SendQueue::default();
        queue.push_data(b"", &[1; 60], 0, LIMIT);
        for _ in 0..20 {
            queue.push_control(&[2; 10]);
        }
        queue.push_data(b"", &[3; 90], 0, LIMIT);
        assert_eq!(queue.control_len(), 200);
        assert_eq!(contents(&queue), [[2; 200].as_slice(), &[3; 90]].concat());
    }

    #[test]
    fn h17_frame_that_has_begun_to_leave_is_neither_cut_nor_lost() {
        let mut queue = SendQueue::default();
        queue.push_data(b"", &[1; 40], 0, LIMIT);
        queue.push_data(b"", &[2; 40], 0, LIMIT);
        queue.consume(10);
        queue.push_control(&[9; 4]);
        assert_eq!(queue.push_data(b"", &[3; 60], 0, LIMIT), 1);
        assert_eq!(contents(&queue), [[1; 30].as_slice(), &[9; 4], &[3; 60]].concat());
        queue.consume(30 + 2);
        queue.push_control(&[8; 4]);
        assert_eq!(contents(&queue), [[9; 2].as_slice(), &[8; 4], &[3; 60]].concat());
    }

    #[test]
    fn frame_larger_than_the_queue_is_lost_alone() {
        let mut queue = SendQueue::default();
        queue.push_control(&[1; 4]);
        assert_eq!(queue.push_data(&[0; 4], &[0; LIMIT], 0, LIMIT), 1);
        assert_eq!(contents(&queue), [1; 4]);
    }

    #[test]
    fn c7_padding_is_zero() {
        let mut queue = SendQueue::default();
        queue.push_data(&[0x40, 0, 0, 5], b"hello", 3, LIMIT);
        assert_eq!(contents(&queue), *b"\x40\0\0\x05hello\0\0\0");
    }

    #[test]
    fn emptied_queue_holds_little_and_an_idle_one_nothing() {
        let mut queue = SendQueue::default();
        for _ in 0..1_000 {
            queue.push_data(b"", &[0; 1_000], 0, 200_000);
        }
        assert!(queue.room() <= 200_000);
        queue.consume(contents(&queue).len());
        assert!(queue.is_empty() && queue.room() == 0);
        queue.push_control(&[0; 100]);
        queue.give_back();
        assert_eq!(queue.control_len(), 100);
        queue.consume(100);
        assert!((1..=KEPT_ROOM).contains(&queue.room()));
        queue.give_back();
        assert_eq!(queue.room(), 0);
    }

    #[test]
    fn bytes_leave_in_order_whatever_the_writes_take() {
        for step in 1..40 {
            let mut queue = SendQueue::default();
            for frame in 0..9_u8 {
                queue.push_data(&[frame; 3], &[frame; 7], 2, 1_000);
            }
            let (all, mut left) = (contents(&queue), Vec::new());
            while !queue.is_empty() {
                let now: Vec<u8> = contents(&queue).into_iter().take(step).collect();
                queue.consume(now.len());
                left.extend(now);
            }
            assert_eq!(left, all);
        }
    }

    #[test]
    fn frames_come_out_one_by_one_wherever_they_lie() {
        let mut queue = SendQueue::default();
        let mut next = 0_u8;
        for round in 0..50_u8 {
            // Pushed and taken by turns, so that frames wrap around the end of the ring.
            for frame in 0..7 {
                queue.push_data(&[round], &[frame; 299], 0, 4_000);
            }
            queue.push_control(&[round; 20]);
            assert_eq!(queue.front().unwrap().concat(), [round; 20]);
            queue.consume(20);
            for _ in 0..7 {
                let frame = queue.front().unwrap().concat();
                assert_eq!((frame.len(), frame.last()), (300, Some(&(next % 7))));
                queue.consume(100);
                assert_eq!(queue.front().unwrap().concat(), frame.get(100..).unwrap());
                queue.consume(200);
                next += 1;
            }
            next = 0;
        }
        assert_eq!(queue.front(), None);
    }

    fn contents(queue: &SendQueue) -> Vec<u8> {
        queue.slices().iter().flat_map(|slice| slice.to_vec()).collect()
    }
}
