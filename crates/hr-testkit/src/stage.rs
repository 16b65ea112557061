//! From a behaviour to a reply: status, headers, and the steps of the body.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::answer::{Answer, Ending, FILLER_PIECE, Framing, Usage};
use crate::call::End;
use crate::playback::Step;
use crate::refusal::Refusal;

/// A reply in the making.
pub(crate) struct Stage {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
    /// How the call ends when all steps were played.
    pub(crate) end: End,
}

/// What a reply depends on besides its script.
pub(crate) struct Asked<'a> {
    pub(crate) id: &'a str,
    pub(crate) model: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) body: &'a Value,
    pub(crate) body_bytes: usize,
    pub(crate) embeddings: bool,
    pub(crate) dimensions: usize,
}

impl Asked<'_> {
    fn stream(&self) -> bool {
        self.body["stream"] == true
    }
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// A whole body of this type.
pub(crate) fn plain(status: u16, content_type: &str, body: impl Into<Bytes>) -> Stage {
    let body = body.into();
    let steps = if body.is_empty() { Vec::new() } else { vec![Step::Send(body)] };
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    Stage { status, headers, steps, end: End::Answered }
}

/// A refusal.
pub(crate) fn refusal(refusal: &Refusal, key: Option<&str>) -> Stage {
    let (body, content_type) = refusal.body(key);
    let mut stage = plain(refusal.status, content_type, body);
    let retry_after =
        refusal.retry_after.map(|wait| ("retry-after".to_owned(), wait.as_secs_f64().to_string()));
    stage.headers.extend(retry_after);
    stage.headers.extend(refusal.headers.iter().cloned());
    stage
}

/// An error inside a 200.
pub(crate) fn error_inside(refusal: &Refusal, asked: &Asked<'_>) -> Stage {
    if asked.stream() {
        let mut writer = Writer::new(Framing::Lf, false);
        writer.event(&refusal.event(asked.key));
        return Stage { steps: writer.steps, ..plain(200, EVENTS, "") };
    }
    let (body, content_type) = refusal.body(asked.key);
    plain(200, content_type, body)
}

/// The headers of a good reply, and then nothing.
pub(crate) fn silence(asked: &Asked<'_>) -> Stage {
    let content_type = if asked.stream() { EVENTS } else { JSON };
    Stage { steps: vec![Step::Hang], ..plain(200, content_type, "") }
}

/// A good answer with its faults.
pub(crate) fn answer(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Stage {
    let streamed = asked.stream() && !answer.whole && !asked.embeddings;
    let mut stage = if streamed { stream(answer, asked, usage) } else { whole(answer, asked, usage) };
    if let Some(content_type) = &answer.content_type {
        stage.headers = vec![("content-type".to_owned(), content_type.clone())];
    }
    if answer.gzip {
        stage.headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
    }
    stage.headers.extend(answer.headers.iter().cloned());
    stage
}

fn whole(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Stage {
    let body = if asked.embeddings {
        crate::embed::reply(asked.body, asked.dimensions, usage)
    } else {
        answer.completion(asked.id, asked.model, usage)
    };
    if let Ending::Error(_, error) = &answer.ending {
        let (body, content_type) = error.body(asked.key);
        return plain(200, content_type, body);
    }
    let mut writer = Writer::new(Framing::Lf, answer.gzip);
    let text = body.to_string();
    let half = text.len() / 2;
    // Cut between characters, as the writer takes text.
    let half = (0..=half).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (first, rest) = text.split_at(half);
    let mut end = End::Answered;
    match &answer.ending {
        Ending::NoFinish(_) => {
            writer.write(first);
            end = End::Broken;
        }
        Ending::Cut(_) => writer.write_and(first, Step::Cut),
        Ending::Reset(_) => writer.write_and(first, Step::Reset),
        Ending::Hang(_) => writer.write_and(first, Step::Hang),
        Ending::Done | Ending::NoDone | Ending::Error(..) if answer.interval.is_zero() => writer.write(&text),
        Ending::Done | Ending::NoDone | Ending::Error(..) => {
            writer.write_and(first, Step::Wait(answer.interval));
            writer.write(rest);
        }
    }
    writer.finish();
    let mut steps = writer.steps;
    if answer.framing == Framing::Bytes {
        steps = steps.into_iter().flat_map(split).collect();
    }
    Stage { steps, end, ..plain(200, JSON, "") }
}

fn stream(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Stage {
    let mut writer = Writer::new(answer.framing, answer.gzip);
    if answer.comments {
        writer.write(": the request is being processed\n\n");
        writer.write("event: ping\ndata: {\"type\":\"ping\"}\n\n");
    }
    let chunk = |delta| Answer::chunk(asked.id, asked.model, delta, None);
    writer.event(&chunk(serde_json::json!({"role": "assistant", "content": ""})));
    let broken = match &answer.ending {
        Ending::Done | Ending::NoDone => None,
        Ending::NoFinish(after)
        | Ending::Cut(after)
        | Ending::Reset(after)
        | Ending::Hang(after)
        | Ending::Error(after, _) => Some(*after),
    };
    let deltas = answer.deltas();
    let played = broken.map_or(deltas.len(), |after| after.min(deltas.len()));
    for (index, delta) in deltas.into_iter().take(played).enumerate() {
        if !answer.interval.is_zero() {
            writer.step(Step::Wait(answer.interval));
        }
        writer.event(&chunk(delta));
        if answer.comments {
            writer.write(": still here\n\n");
        }
        if index == 0 {
            (0..answer.bad_events)
                .for_each(|_| writer.write("data: {\"id\":\"chatcmpl-0\",\"choices\":[{\"ind\n\n"));
        }
    }
    if answer.filler > 0 {
        let piece = "x".repeat(FILLER_PIECE);
        let event = event_text(&chunk(serde_json::json!({"content": piece})));
        writer.repeat(&event, answer.filler.div_ceil(FILLER_PIECE as u64));
    }
    let mut end = End::Answered;
    match &answer.ending {
        Ending::Done | Ending::NoDone => {
            writer.event(&answer.finish_chunk(asked.id, asked.model));
            if asked.body["stream_options"]["include_usage"] == true {
                writer.event(&Answer::usage_chunk(asked.id, asked.model, usage));
            }
            if answer.ending == Ending::Done {
                writer.write("data: [DONE]\n\n");
            }
        }
        Ending::NoFinish(_) => end = End::Broken,
        Ending::Cut(_) => writer.step(Step::Cut),
        Ending::Reset(_) => writer.step(Step::Reset),
        Ending::Hang(_) => writer.step(Step::Hang),
        Ending::Error(_, error) => writer.event(&error.event(asked.key)),
    }
    writer.finish();
    Stage { steps: writer.steps, end, ..plain(200, EVENTS, "") }
}

fn event_text(event: &Value) -> String {
    format!("data: {event}\n\n")
}

/// A step as one step for each of its bytes.
fn split(step: Step) -> Vec<Step> {
    match step {
        Step::Send(bytes) => (0..bytes.len()).map(|at| Step::Send(bytes.slice(at..=at))).collect(),
        other => vec![other],
    }
}

/// Lays out texts as steps: line ends, compression, one write or many.
struct Writer {
    framing: Framing,
    gzip: Option<GzEncoder<Vec<u8>>>,
    steps: Vec<Step>,
}

impl Writer {
    fn new(framing: Framing, gzip: bool) -> Writer {
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Writer { framing, gzip, steps: Vec::new() }
    }

    fn event(&mut self, event: &Value) {
        self.write(&event_text(event));
    }

    fn write(&mut self, text: &str) {
        let bytes = self.encode(text);
        self.send(bytes);
    }

    fn write_and(&mut self, text: &str, step: Step) {
        self.write(text);
        self.step(step);
    }

    fn step(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The same text many times, without holding it many times where the layout allows.
    fn repeat(&mut self, text: &str, times: u64) {
        if self.gzip.is_some() || self.framing == Framing::Bytes {
            (0..times).for_each(|_| self.write(text));
        } else {
            let bytes = self.encode(text);
            self.steps.push(Step::Repeat(bytes, times));
        }
    }

    /// Ends the compression.
    fn finish(&mut self) {
        if let Some(Ok(rest)) = self.gzip.take().map(GzEncoder::finish) {
            // What was broken off stays broken off.
            if !matches!(self.steps.last(), Some(Step::Cut | Step::Reset | Step::Hang)) {
                self.send(rest.into());
            }
        }
    }

    fn encode(&mut self, text: &str) -> Bytes {
        let text = if self.framing == Framing::Crlf { text.replace('\n', "\r\n") } else { text.to_owned() };
        let Some(gzip) = &mut self.gzip else { return text.into() };
        // Writing into memory does not fail; if it did, the reply would come out short and a test would see it.
        let _ = gzip.write_all(text.as_bytes()).and_then(|()| gzip.flush());
        std::mem::take(gzip.get_mut()).into()
    }

    fn send(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let step = Step::Send(bytes);
        if self.framing == Framing::Bytes {
            self.steps.extend(split(step));
        } else {
            self.steps.push(step);
        }
    }
}
