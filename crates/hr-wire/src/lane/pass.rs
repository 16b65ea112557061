//! How a native stream passes: whole events in the bytes that they came in, judged one by one.
//!
//! Neighbours that pass go out together, as one slice of their chunk: a chunk of whole events costs no copy and
//! one write, however many events are in it. What an event means is the dialect's to say, by [`Judge`].

use std::ops::Range;

use bytes::Bytes;
use hr_core::failure::{Failure, FailureKind};

use crate::sse::{Decoder, Frame};

/// How many events that cannot be read are withheld before the stream is given up.
const UNREADABLE_TOLERATED: u64 = 1;

/// What becomes of one event.
pub(crate) enum Fate {
    /// It goes out as it came.
    Pass,
    /// It stays here.
    Withhold,
    /// These bytes go out instead.
    Replace(Bytes),
}

/// Says what becomes of the events of one stream.
pub(crate) trait Judge {
    /// What cuts the stream into events.
    fn decoder(&mut self) -> &mut Decoder;

    /// Whether the end mark has passed; nothing after it is looked at.
    fn is_over(&self) -> bool;

    /// Looks at one event.
    fn judge(&mut self, frame: &Frame) -> Result<Fate, Failure>;

    /// Takes one event where it belongs, which is out unless there is a reason to hold it back.
    fn take(&mut self, frame: Frame, passage: &mut Passage<'_>) -> Result<(), Failure> {
        let fate = self.judge(&frame)?;
        passage.pass(fate, frame);
        Ok(())
    }
}

/// The way out of the events of one chunk.
pub(crate) struct Passage<'a> {
    chunk: &'a Bytes,
    /// What of the chunk waits to go out in one piece.
    run: Range<usize>,
    out: &'a mut Vec<Bytes>,
}

impl<'a> Passage<'a> {
    /// A way from this chunk to what goes out.
    pub(crate) fn new(chunk: &'a Bytes, out: &'a mut Vec<Bytes>) -> Self {
        Self { chunk, run: 0..0, out }
    }

    /// Does with an event what was judged.
    pub(crate) fn pass(&mut self, fate: Fate, frame: Frame) {
        let instead = match (fate, frame.within) {
            (Fate::Pass, Some(span)) if span.start == self.run.end => {
                self.run.end = span.end;
                return;
            }
            (Fate::Pass, Some(span)) => {
                self.flush();
                self.run = span;
                return;
            }
            (Fate::Pass, None) => Some(frame.raw),
            (Fate::Replace(bytes), _) => Some(bytes),
            (Fate::Withhold, _) => None,
        };
        self.flush();
        self.out.extend(instead);
    }

    /// Lets go what waits.
    fn flush(&mut self) {
        let Range { start, end } = self.run;
        if start < end {
            let is_all = end - start == self.chunk.len();
            self.out.push(if is_all { self.chunk.clone() } else { self.chunk.slice(start..end) });
        }
        self.run = end..end;
    }
}

/// Takes the next chunk and puts what may go out into `out`. What passed before a failure goes out.
pub(crate) fn push(judge: &mut impl Judge, chunk: &Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
    if judge.is_over() {
        return Ok(());
    }
    judge.decoder().push(chunk.clone());
    let mut passage = Passage::new(chunk, out);
    let ended = loop {
        if judge.is_over() {
            break Ok(());
        }
        let frame = match judge.decoder().next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => break Ok(()),
            Err(error) => break Err(malformed(error.to_string())),
        };
        if let Err(failure) = judge.take(frame, &mut passage) {
            break Err(failure);
        }
    };
    passage.flush();
    ended
}

/// Takes the last event of a stream that has ended, and gives it the empty line that its sender forgot.
pub(crate) fn push_last(judge: &mut impl Judge, out: &mut Vec<Bytes>) -> Result<(), Failure> {
    if judge.is_over() {
        return Ok(());
    }
    let Some(mut frame) = judge.decoder().finish() else { return Ok(()) };
    if frame.data.is_some() {
        let mut closed = frame.raw.to_vec();
        let missing = if closed.ends_with(b"\n") { 1 } else { 2 };
        closed.resize(closed.len() + missing, b'\n');
        frame.raw = closed.into();
        return judge.take(frame, &mut Passage::new(&Bytes::new(), out));
    }
    // A comment without its end tells nobody anything; what is no event at all may still be an error.
    judge.judge(&frame).map(|_| ())
}

/// What becomes of an event without data: comments pass, anything else was never meant as a stream of events.
/// `failure` reads the JSON text that stands where events were expected.
pub(crate) fn without_data(frame: &Frame, failure: impl FnOnce(&[u8]) -> Failure) -> Result<Fate, Failure> {
    match frame.raw.trim_ascii().first() {
        Some(b'{' | b'[') => Err(failure(&frame.raw)),
        Some(b'<') => Err(malformed("the stream is a page of HTML".into())),
        Some(b':') if !frame.has_connection_fields && frame.event.is_none() => Ok(Fate::Pass),
        None => Ok(Fate::Pass),
        Some(_) => Ok(Fate::Withhold),
    }
}

/// Counts the events that could not be read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unreadable(u64);

impl Unreadable {
    /// How many were withheld.
    pub(crate) fn count(self) -> u64 {
        self.0
    }

    /// Withholds one more, unless it is one too many.
    pub(crate) fn withhold(&mut self, data: &[u8]) -> Result<Fate, Failure> {
        if self.0 == UNREADABLE_TOLERATED {
            let head: String = String::from_utf8_lossy(data).chars().take(120).collect();
            return Err(malformed(format!("a second event of the stream cannot be read: `{head}`")));
        }
        self.0 += 1;
        Ok(Fate::Withhold)
    }
}

fn malformed(words: String) -> Failure {
    Failure::new(FailureKind::Malformed, words).status(200)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Withholds what says so, replaces what says so, and ends at `end`.
    #[derive(Default)]
    struct Script {
        decoder: Decoder,
        over: bool,
    }

    impl Judge for Script {
        fn decoder(&mut self) -> &mut Decoder {
            &mut self.decoder
        }

        fn is_over(&self) -> bool {
            self.over
        }

        fn judge(&mut self, frame: &Frame) -> Result<Fate, Failure> {
            Ok(match frame.data.as_deref() {
                Some(b"withhold") => Fate::Withhold,
                Some(b"replace") => Fate::Replace(Bytes::from_static(b"data: new\n\n")),
                Some(b"fail") => return Err(malformed("as told".into())),
                data => {
                    self.over = data == Some(b"end");
                    Fate::Pass
                }
            })
        }
    }

    fn pushed(script: &mut Script, chunk: &'static str) -> (bool, Vec<String>) {
        let mut out = Vec::new();
        let ok = push(script, &Bytes::from_static(chunk.as_bytes()), &mut out).is_ok();
        (ok, out.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect())
    }

    #[test]
    fn neighbours_go_out_together_and_untouched() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
        let mut out = Vec::new();
        assert!(push(&mut Script::default(), &chunk, &mut out).is_ok());
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].as_ptr(), chunk.as_ptr(), "the chunk itself, not a copy");
    }

    #[test]
    fn order_is_kept_around_what_is_withheld_and_replaced() {
        let mut script = Script::default();
        let chunk = "data: a\n\ndata: withhold\n\ndata: b\n\ndata: replace\n\ndata: c\n\ndata: d\n\nda";
        let (_, out) = pushed(&mut script, chunk);
        assert_eq!(out, ["data: a\n\n", "data: b\n\n", "data: new\n\n", "data: c\n\ndata: d\n\n"]);
        assert_eq!(pushed(&mut script, "ta: e\n\ndata: f\n\n").1, ["data: e\n\n", "data: f\n\n"]);
    }

    #[test]
    fn nothing_is_looked_at_after_the_end() {
        let mut script = Script::default();
        assert_eq!(
            pushed(&mut script, "data: end\n\ndata: fail\n\n"),
            (true, vec!["data: end\n\n".to_owned()])
        );
        assert_eq!(pushed(&mut script, "data: fail\n\n"), (true, vec![]));
    }

    #[test]
    fn what_passed_before_a_failure_goes_out() {
        let (ok, out) = pushed(&mut Script::default(), "data: a\n\ndata: fail\n\ndata: b\n\n");
        assert!(!ok);
        assert_eq!(out, ["data: a\n\n"]);
    }

    #[test]
    fn the_last_event_gets_the_empty_line_that_it_lacks() {
        for (rest, wanted) in
            [("data: a", &["data: a\n\n"][..]), ("data: a\n", &["data: a\n\n"]), (": half a com", &[])]
        {
            let mut script = Script::default();
            assert!(pushed(&mut script, rest).1.is_empty());
            let mut out = Vec::new();
            assert!(push_last(&mut script, &mut out).is_ok());
            assert_eq!(out, wanted, "{rest:?}");
        }
    }

    #[test]
    fn one_unreadable_event_is_forgiven() {
        let mut unreadable = Unreadable::default();
        assert!(matches!(unreadable.withhold(b"{"), Ok(Fate::Withhold)));
        assert!(unreadable.withhold(b"{").is_err());
        assert_eq!(unreadable.count(), 1);
    }
}
