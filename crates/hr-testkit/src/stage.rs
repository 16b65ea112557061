//! From a behaviour to a reply: status, headers, and the steps of the body.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::answer::{Answer, Ending, Framing, Usage};
use crate::call::End;
use crate::dialect::{Dialect, Endpoint};
use crate::playback::Step;
use crate::refusal::Refusal;
use crate::render::{self, Asked, Beat, Event};

/// A reply in the making.
pub(crate) struct Stage {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
    /// How the call ends when all steps were played.
    pub(crate) end: End,
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
pub(crate) fn refusal(refusal: &Refusal, dialect: Dialect, key: Option<&str>) -> Stage {
    let (body, content_type) = refusal.body(dialect, key);
    let mut stage = plain(refusal.status, content_type, body);
    let retry_after =
        refusal.retry_after.map(|wait| ("retry-after".to_owned(), wait.as_secs_f64().to_string()));
    stage.headers.extend(retry_after);
    stage.headers.extend(refusal.headers.iter().cloned());
    stage
}

/// An error inside a 200.
pub(crate) fn error_inside(refusal: &Refusal, asked: &Asked<'_>) -> Stage {
    let mut stage = if asked.stream() {
        let mut writer = Writer::new(asked.dialect, Framing::Lf, false);
        render::only_failure(refusal, asked).iter().for_each(|event| writer.event(event));
        Stage { steps: writer.steps, ..plain(200, EVENTS, "") }
    } else {
        let (body, content_type) = refusal.body(asked.dialect, asked.key);
        plain(200, content_type, body)
    };
    stage.headers.extend(refusal.headers.iter().cloned());
    stage
}

/// The headers of a good reply, and then nothing.
pub(crate) fn silence(asked: &Asked<'_>) -> Stage {
    let content_type = if asked.stream() { EVENTS } else { JSON };
    Stage { steps: vec![Step::Hang], ..plain(200, content_type, "") }
}

/// A good answer with its faults.
pub(crate) fn answer(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Stage {
    let streamed =
        (asked.stream() || answer.streamed) && !answer.whole && asked.endpoint == Endpoint::Generate;
    let mut stage = if streamed { stream(answer, asked, usage) } else { whole(answer, asked, usage) };
    if let Ending::CutAt(bytes) = answer.ending {
        stage.steps = cut_at(stage.steps, bytes);
    }
    if let Some(content_type) = &answer.content_type {
        stage.headers = vec![("content-type".to_owned(), content_type.clone())];
    }
    if answer.gzip {
        stage.headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
    }
    stage.headers.extend(answer.headers.iter().cloned());
    stage
}

/// The steps up to this byte, and there the connection closes.
fn cut_at(steps: Vec<Step>, bytes: usize) -> Vec<Step> {
    let mut left = bytes;
    let mut kept = Vec::new();
    for step in steps {
        match step {
            Step::Send(piece) if piece.len() < left => {
                left -= piece.len();
                kept.push(Step::Send(piece));
            }
            Step::Send(piece) => {
                kept.push(Step::Send(piece.slice(..left)));
                break;
            }
            other => kept.push(other),
        }
    }
    kept.push(Step::Cut);
    kept
}

fn whole(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Stage {
    let body = if asked.endpoint == Endpoint::Embeddings {
        crate::embed::reply(asked.body, asked.dimensions, usage)
    } else {
        render::whole(answer, asked, usage)
    };
    if let Ending::Error(_, error) = &answer.ending {
        let (body, content_type) = error.body(asked.dialect, asked.key);
        return plain(200, content_type, body);
    }
    let mut writer = Writer::new(asked.dialect, Framing::Lf, answer.gzip);
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
        _ if answer.interval.is_zero() => writer.write(&text),
        Ending::Done | Ending::NoDone | Ending::CutAt(_) | Ending::Error(..) => {
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

/// An event that cannot be decoded.
const BAD_EVENT: &str = "data: {\"id\":\"chatcmpl-0\",\"choices\":[{\"ind\n\n";

fn stream(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Stage {
    let mut events = render::stream(answer, asked, usage);
    let mut writer = Writer::new(asked.dialect, answer.framing, answer.gzip);
    if answer.comments {
        writer.write(": the request is being processed\n\n");
        match render::sign_of_life(asked.dialect) {
            Some(event) => writer.event(&event),
            None => writer.write("event: ping\ndata: {\"type\":\"ping\"}\n\n"),
        }
    }
    events.opening.iter().for_each(|event| writer.event(event));
    let broken = match &answer.ending {
        Ending::Done | Ending::NoDone | Ending::CutAt(_) => None,
        Ending::NoFinish(after)
        | Ending::Cut(after)
        | Ending::Reset(after)
        | Ending::Hang(after)
        | Ending::Error(after, _) => Some(*after),
    };
    let mut played = 0;
    for beat in &events.beats {
        if broken.is_some_and(|after| played >= after) {
            break;
        }
        match beat {
            Beat::Frame(event) => writer.event(event),
            Beat::Filler(event, times) => writer.repeat(event, *times),
            Beat::Content(event) => {
                if !answer.interval.is_zero() {
                    writer.step(Step::Wait(answer.interval));
                }
                writer.event(event);
                if answer.comments {
                    writer.write(": still here\n\n");
                    render::sign_of_life(asked.dialect).iter().for_each(|event| writer.event(event));
                }
                if played == 0 {
                    (0..answer.bad_events).for_each(|_| writer.write(BAD_EVENT));
                }
                played += 1;
            }
        }
    }
    let mut end = End::Answered;
    match &answer.ending {
        Ending::Done | Ending::NoDone | Ending::CutAt(_) => {
            let mut done = events.done;
            if answer.ending == Ending::NoDone && done.take().is_none() {
                events.closing.pop();
            }
            events.closing.iter().for_each(|event| writer.event(event));
            done.into_iter().for_each(|done| writer.write(done));
        }
        Ending::NoFinish(_) => end = End::Broken,
        Ending::Cut(_) => writer.step(Step::Cut),
        Ending::Reset(_) => writer.step(Step::Reset),
        Ending::Hang(_) => writer.step(Step::Hang),
        Ending::Error(_, error) => {
            render::failure(error, asked).iter().for_each(|event| writer.event(event));
        }
    }
    writer.finish();
    Stage { steps: writer.steps, end, ..plain(200, EVENTS, "") }
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
    /// The number of the next event, where the dialect numbers them.
    number: Option<u64>,
    framing: Framing,
    gzip: Option<GzEncoder<Vec<u8>>>,
    steps: Vec<Step>,
}

impl Writer {
    fn new(dialect: Dialect, framing: Framing, gzip: bool) -> Writer {
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let numbered = matches!(dialect, Dialect::Responses | Dialect::Codex);
        Writer { number: numbered.then_some(0), framing, gzip, steps: Vec::new() }
    }

    fn event(&mut self, event: &Event) {
        let text = self.event_text(event);
        self.write(&text);
    }

    fn event_text(&mut self, event: &Event) -> String {
        let mut data = event.data.clone();
        if let Some(number) = &mut self.number {
            data["sequence_number"] = (*number).into();
            *number += 1;
        }
        let name = event.name.map(|name| format!("event: {name}\n")).unwrap_or_default();
        format!("{name}data: {data}\n\n")
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

    /// The same event many times, without holding it many times where the layout allows.
    fn repeat(&mut self, event: &Event, times: u64) {
        let text = self.event_text(event);
        if self.gzip.is_some() || self.framing == Framing::Bytes {
            (0..times).for_each(|_| self.write(&text));
        } else {
            let bytes = self.encode(&text);
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
