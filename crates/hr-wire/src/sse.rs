//! Server-sent events, read by bytes and written by bytes.
//!
//! [`Decoder`] takes chunks as the network cuts them and yields whole events. An event that lies within one
//! chunk is a slice of it; only what straddles a border is copied. The raw bytes of all events, one after
//! the other, are the bytes that came in (less a byte order mark in front).

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// The longest event, and so the longest line, that is accepted. Images come inside one event.
pub const MAX_EVENT: usize = 16 * 1024 * 1024;

/// An event that grew past the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {limit} bytes")]
pub struct TooLong {
    /// The limit.
    pub limit: usize,
}

/// One event, or a run of comments and empty lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The bytes as they came, with the empty line that ended them.
    pub raw: Bytes,
    /// Where `raw` lies in the chunk that was pushed last; `None` when it began in an earlier one.
    pub within: Option<Range<usize>>,
    /// The `event:` field.
    pub event: Option<Bytes>,
    /// The `data:` fields, joined by newlines; `None` when there was none.
    pub data: Option<Bytes>,
    /// Whether it has `id:` or `retry:`, which speak about a connection that is not the caller's.
    pub has_connection_fields: bool,
}

impl Frame {
    /// Reads the fields of an event from its bytes.
    fn parse(raw: Bytes, within: Option<Range<usize>>) -> Self {
        let mut frame =
            Self { raw: raw.clone(), within, event: None, data: None, has_connection_fields: false };
        let mut joined: Option<BytesMut> = None;
        let mut at = 0;
        while at < raw.len() {
            let line_end = memchr::memchr2(b'\n', b'\r', &raw[at..]).map_or(raw.len(), |found| at + found);
            let line = at..line_end;
            at = line_end + 1;
            let (name, value) = split_field(&raw, line);
            match &raw[name] {
                b"data" => match (&mut joined, frame.data.take()) {
                    (Some(joined), _) => {
                        joined.extend_from_slice(b"\n");
                        joined.extend_from_slice(&raw[value]);
                    }
                    (None, Some(first)) => {
                        let mut both = BytesMut::with_capacity(raw.len());
                        both.extend_from_slice(&first);
                        both.extend_from_slice(b"\n");
                        both.extend_from_slice(&raw[value]);
                        joined = Some(both);
                    }
                    (None, None) => frame.data = Some(raw.slice(value)),
                },
                b"event" => frame.event = Some(raw.slice(value)),
                b"id" | b"retry" => frame.has_connection_fields = true,
                _ => {}
            }
        }
        if let Some(joined) = joined {
            frame.data = Some(joined.freeze());
        }
        frame
    }
}

/// The name and value of a line: the value loses one leading space, a comment has an empty name.
fn split_field(raw: &[u8], line: Range<usize>) -> (Range<usize>, Range<usize>) {
    match memchr::memchr(b':', &raw[line.clone()]) {
        Some(colon) => {
            let colon = line.start + colon;
            let space = usize::from(raw[colon + 1..line.end].first() == Some(&b' '));
            (line.start..colon, colon + 1 + space..line.end)
        }
        None => (line.clone(), line.end..line.end),
    }
}

/// Cuts a stream of bytes into events.
#[derive(Debug)]
pub struct Decoder {
    /// The chunk being read.
    chunk: Bytes,
    /// How much of it was handed out.
    at: usize,
    /// The beginning of an event whose end has not come.
    carry: BytesMut,
    /// Whether the line being read has no byte yet.
    line_is_empty: bool,
    /// Whether the last byte was a carriage return, so that a line feed belongs to it.
    after_return: bool,
    /// How many bytes of a byte order mark were seen; `None` when the stream has begun.
    mark: Option<usize>,
    limit: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(MAX_EVENT)
    }
}

const MARK: &[u8] = b"\xEF\xBB\xBF";

impl Decoder {
    /// A decoder that accepts events of up to `limit` bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            chunk: Bytes::new(),
            at: 0,
            carry: BytesMut::new(),
            line_is_empty: true,
            after_return: false,
            mark: Some(0),
            limit,
        }
    }

    /// Gives the decoder the next chunk; what was left of the one before is kept. Take all events with
    /// [`Self::next_frame`] before the next push.
    pub fn push(&mut self, chunk: Bytes) {
        if self.at < self.chunk.len() {
            self.carry.extend_from_slice(&self.chunk[self.at..]);
        }
        self.chunk = chunk;
        self.at = 0;
        self.skip_mark();
    }

    /// The next whole event of what was pushed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, TooLong> {
        if self.at == self.chunk.len() {
            return Ok(None);
        }
        let start = self.at;
        match self.find_end() {
            Some(end) => {
                self.at = end;
                self.bound(end - start)?;
                if self.carry.is_empty() {
                    return Ok(Some(Frame::parse(self.chunk.slice(start..end), Some(start..end))));
                }
                self.carry.extend_from_slice(&self.chunk[start..end]);
                Ok(Some(Frame::parse(self.carry.split().freeze(), None)))
            }
            None => {
                self.bound(self.chunk.len() - start)?;
                self.carry.extend_from_slice(&self.chunk[start..]);
                self.at = self.chunk.len();
                self.chunk = Bytes::new();
                self.at = 0;
                Ok(None)
            }
        }
    }

    /// What is left when the stream has ended: a last event without its empty line.
    pub fn finish(&mut self) -> Option<Frame> {
        if let Some(seen) = self.mark.take() {
            // All there was is the beginning of a mark.
            self.carry.extend_from_slice(&MARK[..seen]);
        }
        let rest = self.carry.split().freeze();
        self.line_is_empty = true;
        (!rest.is_empty()).then(|| Frame::parse(rest, None))
    }

    fn bound(&self, more: usize) -> Result<(), TooLong> {
        if self.carry.len() + more > self.limit { Err(TooLong { limit: self.limit }) } else { Ok(()) }
    }

    /// The end of the first event from `self.at` on, with its empty line.
    fn find_end(&mut self) -> Option<usize> {
        let bytes = &self.chunk[..];
        let mut at = self.at;
        while at < bytes.len() {
            if self.after_return {
                self.after_return = false;
                if bytes[at] == b'\n' {
                    at += 1;
                    continue;
                }
            }
            let Some(found) = memchr::memchr2(b'\n', b'\r', &bytes[at..]) else {
                self.line_is_empty = false;
                return None;
            };
            let blank = found == 0 && self.line_is_empty;
            self.after_return = bytes[at + found] == b'\r';
            self.line_is_empty = true;
            at += found + 1;
            if blank {
                // The line feed of this carriage return, if it is here already, goes with the event.
                if self.after_return && bytes.get(at) == Some(&b'\n') {
                    self.after_return = false;
                    at += 1;
                }
                return Some(at);
            }
        }
        None
    }

    /// Steps over a byte order mark at the very beginning, however it is cut.
    fn skip_mark(&mut self) {
        let Some(seen) = self.mark else { return };
        if self.chunk.is_empty() {
            return;
        }
        let wanted = &MARK[seen..];
        let take = wanted.len().min(self.chunk.len());
        if self.chunk[..take] == wanted[..take] {
            self.at = take;
            self.mark = (seen + take < MARK.len()).then_some(seen + take);
        } else {
            // What looked like a mark was not one.
            self.carry.extend_from_slice(&MARK[..seen]);
            self.line_is_empty = seen == 0;
            self.mark = None;
        }
    }
}

/// Appends an event: its name, when it has one, and its data, a line for each line of it.
pub fn encode(out: &mut Vec<u8>, event: Option<&str>, data: &[u8]) {
    if let Some(event) = event {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event.as_bytes());
        out.push(b'\n');
    }
    for line in data.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// A comment, which every reader of events takes as a sign of life and nothing else.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]]) -> Vec<Frame> {
        let mut decoder = Decoder::default();
        let mut all = Vec::new();
        for chunk in chunks {
            decoder.push(Bytes::copy_from_slice(chunk));
            while let Some(frame) = decoder.next_frame().unwrap() {
                all.push(frame);
            }
        }
        all.extend(decoder.finish());
        all
    }

    fn data(frames: &[Frame]) -> Vec<String> {
        frames
            .iter()
            .filter_map(|frame| frame.data.as_ref())
            .map(|data| String::from_utf8(data.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        let all = frames(&[
            b"\xEF\xBB\xBFevent: ping\ndata:one\ndata:  two\nid: 7\n\n: note\n\ndata\r\n\r\ndata: last",
        ]);
        assert_eq!(data(&all), ["one\n two", "", "last"]);
        assert_eq!(all[0].event.as_deref(), Some(&b"ping"[..]));
        assert!(all[0].has_connection_fields && !all[2].has_connection_fields);
        assert_eq!(all[1].data, None);
    }

    #[test]
    fn an_event_within_a_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\nda");
        let mut decoder = Decoder::default();
        decoder.push(chunk.clone());
        let first = decoder.next_frame().unwrap().unwrap();
        let second = decoder.next_frame().unwrap().unwrap();
        assert_eq!(first.raw.as_ptr(), chunk.as_ptr());
        assert_eq!(second.within, Some(9..18));
        assert_eq!(decoder.next_frame().unwrap(), None);
        decoder.push(Bytes::from_static(b"ta: c\n\n"));
        let third = decoder.next_frame().unwrap().unwrap();
        assert_eq!((third.within, third.raw), (None, Bytes::from_static(b"data: c\n\n")));
    }

    #[test]
    fn a_split_mark_is_skipped_and_half_a_mark_is_kept() {
        assert_eq!(data(&frames(&[b"\xEF", b"\xBB", b"\xBFdata: a\n\n"])), ["a"]);
        let half = frames(&[b"\xEF\xBB", b"data: a\n\n"]);
        assert_eq!(half[0].raw, &b"\xEF\xBBdata: a\n\n"[..]);
        assert_eq!(half[0].data, None);
        let all = frames(&[b"\xEF", b"\xBB"]);
        assert_eq!((all.len(), &all[0].raw[..]), (1, &b"\xEF\xBB"[..]));
    }

    #[test]
    fn a_long_event_is_refused() {
        let mut decoder = Decoder::with_limit(16);
        decoder.push(Bytes::from_static(b"data: 0123456789"));
        assert_eq!(decoder.next_frame(), Ok(None));
        decoder.push(Bytes::from_static(b"x"));
        assert_eq!(decoder.next_frame(), Err(TooLong { limit: 16 }));
    }

    #[test]
    fn lines_of_data_are_written_one_by_one() {
        let mut out = Vec::new();
        encode(&mut out, Some("error"), b"a\nb");
        assert_eq!(out, b"event: error\ndata: a\ndata: b\n\n");
    }
}
