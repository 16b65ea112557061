//! How events go out: as slices of the chunk that they came in, or written anew.

use std::ops::Range;

use bytes::Bytes;

use crate::sse::{self, Decoder, Frame};

/// What becomes of one event.
pub(super) enum Fate {
    /// It goes out as it came.
    Pass,
    /// It does not go out.
    Withhold,
    /// These bytes go out instead.
    Replace(Bytes),
}

/// An event with this name and these data. They are one line: line breaks between tokens are as good as blanks.
pub(super) fn event(kind: &str, data: &str) -> Bytes {
    let mut out = Vec::with_capacity(data.len() + 64);
    let line = data.replace(['\n', '\r'], " ");
    sse::encode(&mut out, (!kind.is_empty()).then_some(kind), line.as_bytes());
    out.into()
}

/// The event in these bytes.
pub(super) fn reread(raw: &Bytes) -> Option<Frame> {
    let mut decoder = Decoder::default();
    decoder.push(raw.clone());
    decoder.next_frame().ok().flatten()
}

/// Passes one event on. Neighbours within a chunk go out together, as a slice of it: `run` is what waits to.
pub(super) fn pass(chunk: &Bytes, fate: Fate, frame: Frame, run: &mut Range<usize>, out: &mut Vec<Bytes>) {
    let instead = match (fate, frame.within) {
        (Fate::Pass, Some(span))
            if span.start == run.end && chunk.get(span.clone()) == Some(&frame.raw[..]) =>
        {
            run.end = span.end;
            return;
        }
        (Fate::Pass, _) => Some(frame.raw),
        (Fate::Replace(bytes), _) => Some(bytes),
        (Fate::Withhold, _) => None,
    };
    flush(chunk, run, out);
    out.extend(instead);
}

/// Passes what waits to, as a slice of its chunk.
pub(super) fn flush(chunk: &Bytes, run: &mut Range<usize>, out: &mut Vec<Bytes>) {
    if run.start < run.end {
        out.push(if run.len() == chunk.len() { chunk.clone() } else { chunk.slice(run.clone()) });
    }
    *run = run.end..run.end;
}

/// The event with the empty line that its sender forgot.
pub(super) fn whole_frame(frame: &Frame) -> Bytes {
    let mut whole = frame.raw.to_vec();
    let missing = if whole.ends_with(b"\n") { 1 } else { 2 };
    whole.resize(whole.len() + missing, b'\n');
    whole.into()
}
