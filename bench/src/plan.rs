//! How much is measured: every count and time of a run, by name.

use std::time::Duration;

/// A whole run ends within this time: rounds that no longer fit are left out, and the report says how many
/// were made.
pub const RUN_LIMIT: Duration = Duration::from_secs(330);

/// A load that is not through after this time is an error.
pub const LOAD_LIMIT: Duration = Duration::from_secs(60);

/// A started process that does not serve after this time is an error.
pub const START_LIMIT: Duration = Duration::from_secs(10);

/// Bytes of a reply or a stream that the load generator reads at most.
pub const REPLY_LIMIT: usize = 1 << 20;

/// How long a settled process is left alone before its memory is read.
pub const SETTLE: Duration = Duration::from_millis(500);

/// A closed loop: each connection sends its next request when the last one is answered.
#[derive(Clone, Copy, Debug)]
pub struct Loop {
    /// Connections, kept alive.
    pub connections: usize,
    /// Requests on each of them.
    pub requests: usize,
    /// The size of a request body, about.
    pub body_bytes: usize,
    /// Chunks of the streamed reply; 0 asks for a plain reply.
    pub chunks: usize,
    /// The pace of the stream: from one chunk to the next.
    pub interval: Duration,
    /// The time over which the connections start.
    pub ramp: Duration,
}

impl Loop {
    const fn plain(connections: usize, requests: usize, body_bytes: usize) -> Loop {
        Loop { connections, requests, body_bytes, chunks: 0, interval: Duration::ZERO, ramp: Duration::ZERO }
    }

    const fn streams(connections: usize, requests: usize, chunks: usize, interval: Duration) -> Loop {
        Loop { connections, requests, body_bytes: SMALL, chunks, interval, ramp: interval }
    }

    /// Requests of all connections.
    pub fn total(&self) -> usize {
        self.connections * self.requests
    }
}

/// A system message and a question.
pub const SMALL: usize = 400;
/// A long conversation.
pub const MEDIUM: usize = 100 << 10;
/// A coding agent's conversation with files in it.
pub const LARGE: usize = 1 << 20;

/// The pace of a stream whose chunks are counted: 50 a second, as a quick model writes.
const CHUNK_INTERVAL: Duration = Duration::from_millis(20);
/// The pace of a slow stream.
const SLOW_INTERVAL: Duration = Duration::from_secs(1);
/// The pace of a stream whose first token is awaited: the rest must not come along with the first.
const FIRST_TOKEN_INTERVAL: Duration = Duration::from_millis(1);

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds of each measurement; proxy and `hr` take turns.
    pub rounds: usize,
    /// CPU of small requests.
    pub small: Loop,
    /// CPU at 100 KB.
    pub medium: Loop,
    /// CPU at 1 MB.
    pub large: Loop,
    /// CPU of streamed chunks.
    pub chunks: Loop,
    /// Latency of a small request when nothing else is going on.
    pub latency: Loop,
    /// Time to the first token, likewise.
    pub first_token: Loop,
    /// Slow streams that are open at once.
    pub open: Loop,
    /// Starts of `hr`.
    pub starts: usize,
}

/// What the results in `bench/README.md` come from.
pub const FULL: Plan = Plan {
    rounds: 7,
    small: Loop::plain(8, 1_500, SMALL),
    medium: Loop::plain(4, 400, MEDIUM),
    large: Loop::plain(2, 80, LARGE),
    chunks: Loop::streams(50, 1, 100, CHUNK_INTERVAL),
    latency: Loop::plain(1, 2_000, SMALL),
    first_token: Loop::streams(1, 150, 2, FIRST_TOKEN_INTERVAL),
    open: Loop { ramp: Duration::from_secs(2), ..Loop::streams(2_000, 1, 8, SLOW_INTERVAL) },
    starts: 20,
};

/// A first impression.
pub const QUICK: Plan = Plan {
    rounds: 3,
    small: Loop::plain(8, 500, SMALL),
    medium: Loop::plain(4, 150, MEDIUM),
    large: Loop::plain(2, 40, LARGE),
    chunks: Loop::streams(50, 1, 50, CHUNK_INTERVAL),
    latency: Loop::plain(1, 600, SMALL),
    first_token: Loop::streams(1, 80, 2, FIRST_TOKEN_INTERVAL),
    open: Loop { ramp: Duration::from_millis(500), ..Loop::streams(500, 1, 4, SLOW_INTERVAL) },
    starts: 8,
};

/// The short turns in which two programs are compared: what disturbs one turn is then in few of them.
pub const TURNS: Plan = Plan {
    rounds: 21,
    small: Loop::plain(8, 400, SMALL),
    medium: Loop::plain(4, 100, MEDIUM),
    large: Loop::plain(2, 30, LARGE),
    chunks: Loop::streams(50, 1, 40, Duration::from_millis(10)),
    latency: Loop::plain(1, 500, SMALL),
    first_token: Loop::streams(1, 80, 2, FIRST_TOKEN_INTERVAL),
    open: QUICK.open,
    starts: QUICK.starts,
};
