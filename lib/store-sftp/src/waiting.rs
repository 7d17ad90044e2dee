//! Who waits for which answer, and when an answer came last.

use crate::wire::Reply;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by the threads that ask and the one that reads answers.
pub(crate) struct Waiting(Mutex<State>);

struct State {
    next_number: u32,
    /// `None` once the connection is lost.
    asked: Option<HashMap<u32, Sender<Reply>>>,
    heard_at: Instant,
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The connection ended.
    Lost,
    /// Nothing at all came for so long.
    Silence(Duration),
}

impl Waiting {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { next_number: 1, asked: Some(HashMap::new()), heard_at: Instant::now() }))
    }

    /// A number for a request, and where its answer will come.
    pub(crate) fn ask(&self) -> Result<(u32, Receiver<Reply>), NoAnswer> {
        let mut state = self.state();
        let number = state.next_number;
        state.next_number = number.wrapping_add(1);
        let asked = state.asked.as_mut().ok_or(NoAnswer::Lost)?;
        let idle = asked.is_empty();
        let (sender, receiver) = channel();
        asked.insert(number, sender);
        if idle {
            // Silence counts from when an answer is due.
            state.heard_at = Instant::now();
        }
        Ok((number, receiver))
    }

    /// An answer came. One that nobody waits for any more is dropped.
    pub(crate) fn answer(&self, number: u32, reply: Reply) {
        let mut state = self.state();
        state.heard_at = Instant::now();
        if let Some(sender) = state.asked.as_mut().and_then(|asked| asked.remove(&number)) {
            let _given_up = sender.send(reply);
        }
    }

    /// The connection ended: nobody shall wait on.
    pub(crate) fn end(&self) {
        self.state().asked = None;
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.state().asked.is_none()
    }

    /// Waits as long as anything comes at all: many answers may stand before this one on a slow line.
    pub(crate) fn wait(&self, receiver: &Receiver<Reply>, silence: Duration) -> Result<Reply, NoAnswer> {
        loop {
            let quiet = self.state().heard_at.elapsed();
            let Some(rest) = silence.checked_sub(quiet).filter(|rest| !rest.is_zero()) else {
                return receiver.try_recv().map_err(|_| NoAnswer::Silence(silence));
            };
            match receiver.recv_timeout(rest) {
                Ok(reply) => return Ok(reply),
                Err(RecvTimeoutError::Disconnected) => return Err(NoAnswer::Lost),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn answers_find_those_who_asked_in_any_order() {
        let waiting = Waiting::new();
        let (first, first_answer) = waiting.ask().unwrap();
        let (second, second_answer) = waiting.ask().unwrap();
        waiting.answer(second, Reply::Data(vec![2]));
        waiting.answer(first, Reply::Data(vec![1]));
        waiting.answer(77, Reply::Data(vec![3]));
        assert_eq!(waiting.wait(&first_answer, SHORT), Ok(Reply::Data(vec![1])));
        assert_eq!(waiting.wait(&second_answer, SHORT), Ok(Reply::Data(vec![2])));
    }

    #[test]
    fn silence_has_an_end_and_so_has_a_lost_connection() {
        let waiting = Waiting::new();
        let (_, answer) = waiting.ask().unwrap();
        assert_eq!(waiting.wait(&answer, SHORT), Err(NoAnswer::Silence(SHORT)));
        waiting.end();
        assert_eq!(waiting.wait(&answer, Duration::from_secs(60)), Err(NoAnswer::Lost));
        assert_eq!(waiting.ask().map(|_| ()), Err(NoAnswer::Lost));
    }

    #[test]
    fn whoever_waits_long_waits_on_while_others_are_answered() {
        let waiting = Waiting::new();
        let (_, slow) = waiting.ask().unwrap();
        std::thread::sleep(SHORT);
        let (number, _quick) = waiting.ask().unwrap();
        waiting.answer(number, Reply::Data(Vec::new()));
        let begun = Instant::now();
        assert_eq!(waiting.wait(&slow, SHORT), Err(NoAnswer::Silence(SHORT)));
        assert!(begun.elapsed() >= SHORT / 2);
    }
}
