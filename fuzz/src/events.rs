//! Server-sent events: no bytes make the decoder fail but those that are too many, and nothing is lost.

use bytes::Bytes;
use hr_wire::sse::{Decoder, Frame, encode};

use crate::{chunks, with_cuts};

/// What an event says.
type Said = (Option<Bytes>, Option<Bytes>, bool);

/// Any cutting gives the same events, their raw bytes are what came in, and what is written reads back.
pub fn check(input: &[u8]) {
    let (stream, cuts) = with_cuts(input);
    let whole = read(stream, &[]);
    let cut = read(stream, cuts);
    assert_eq!(said(&whole), said(&cut), "cut differently, the stream says something else");

    let raw: Vec<u8> = whole.iter().flat_map(|frame| frame.raw.iter().copied()).collect();
    assert_eq!(raw, stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream), "bytes were lost or added");

    for (event, data, _) in said(&whole) {
        // A name of another encoding cannot be written, one with a line end cannot be read.
        let name = event.as_ref().map(|name| std::str::from_utf8(name));
        let (Some(data), None | Some(Ok(_))) = (data, &name) else { continue };
        let mut written = Vec::new();
        encode(&mut written, name.and_then(Result::ok), &data);
        let again = read(&written, &[]);
        assert_eq!(again.len(), 1, "one event was written");
        assert_eq!(again[0].data.as_ref(), Some(&data), "the data changed on its way");
        assert_eq!(again[0].event, event, "the name changed on its way");
    }
}

fn read(stream: &[u8], cuts: &[u8]) -> Vec<Frame> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for chunk in chunks(stream, cuts) {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = decoder.next_frame().expect("the input is far below the limit") {
            frames.push(frame);
        }
    }
    frames.extend(decoder.finish());
    frames
}

/// What the events say. Comments and empty lines say nothing, and how many frames they make depends on the cuts.
fn said(frames: &[Frame]) -> Vec<Said> {
    let telling = frames
        .iter()
        .filter(|frame| frame.event.is_some() || frame.data.is_some() || frame.has_connection_fields);
    telling.map(|frame| (frame.event.clone(), frame.data.clone(), frame.has_connection_fields)).collect()
}
