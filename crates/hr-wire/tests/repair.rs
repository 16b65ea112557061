//! Histories as clients send them, brought into the order that providers insist on.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::collections::BTreeSet;

use hr_wire::hub::{
    Breakpoint, CallKind, LONGEST_ID, Message, Part, Reasoning, Role, ToolCall, ToolOutput, legal_id, repair,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extras: Default::default() }
}

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

fn call(id: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: "{}".into(),
        ..ToolCall::default()
    })
}

fn result(id: &str, said: &str) -> Part {
    Part::ToolOutput(ToolOutput { call_id: id.into(), content: vec![text(said)], ..ToolOutput::default() })
}

fn user(parts: Vec<Part>) -> Message {
    message(Role::User, parts)
}

fn assistant(parts: Vec<Part>) -> Message {
    message(Role::Assistant, parts)
}

fn tool(parts: Vec<Part>) -> Message {
    message(Role::Tool, parts)
}

fn repaired(messages: Vec<Message>) -> Vec<Message> {
    repair(messages, false).messages
}

/// What the losses are about.
fn lost(messages: Vec<Message>) -> Vec<String> {
    repair(messages, false).losses.into_iter().map(|loss| loss.what).collect()
}

#[test]
fn results_come_right_after_their_calls_in_their_order() {
    let messages = vec![
        assistant(vec![call("a"), call("b")]),
        user(vec![text("wait"), result("b", "B"), Part::Breakpoint(Breakpoint::default()), result("a", "A")]),
        user(vec![text("go on")]),
    ];
    let wanted = vec![
        assistant(vec![call("a"), call("b")]),
        tool(vec![result("a", "A")]),
        tool(vec![result("b", "B"), Part::Breakpoint(Breakpoint::default())]),
        user(vec![text("wait"), text("go on")]),
    ];
    assert_eq!(repaired(messages.clone()), wanted);
    assert!(lost(messages).is_empty());
}

#[test]
fn a_result_without_a_call_becomes_words_of_the_user() {
    let messages = vec![tool(vec![result("gone", "42")]), user(vec![text("so?")])];
    assert_eq!(lost(messages.clone()), ["messages[].tool_call_id"]);
    assert_eq!(
        repaired(messages),
        vec![user(vec![text("[result of an earlier tool call]\n42"), text("so?")])]
    );
}

#[test]
fn of_two_results_the_last_stays() {
    let messages =
        vec![assistant(vec![call("a")]), tool(vec![result("a", "old")]), tool(vec![result("a", "new")])];
    assert_eq!(lost(messages.clone()), ["messages[].tool_call_id"]);
    assert_eq!(repaired(messages), vec![assistant(vec![call("a")]), tool(vec![result("a", "new")])]);
}

#[test]
fn a_missing_result_is_said_to_be_missing() {
    let messages =
        vec![assistant(vec![call("a"), call("b")]), tool(vec![result("b", "B")]), user(vec![text("x")])];
    let repaired = repaired(messages);
    let Part::ToolOutput(filled) = &repaired[1].parts[0] else { panic!("no result: {repaired:?}") };
    assert_eq!((filled.call_id.as_str(), filled.is_error), ("a", true));
    assert_eq!(filled.text(), "Error: No result was recorded for this tool call.");
    assert_eq!(repaired[2], tool(vec![result("b", "B")]));
}

#[test]
fn calls_at_the_end_that_nobody_answered_are_left_out() {
    let thought = Part::Reasoning(Reasoning { text: "hm".into(), opaque: None });
    let messages = vec![user(vec![text("x")]), assistant(vec![thought, call("a")])];
    assert_eq!(lost(messages.clone()), ["messages[].tool_calls"]);
    assert_eq!(repaired(messages), vec![user(vec![text("x")])]);
    let said = vec![user(vec![text("x")]), assistant(vec![text("I will"), call("a")])];
    assert_eq!(repaired(said), vec![user(vec![text("x")]), assistant(vec![text("I will")])]);
}

#[test]
fn ids_that_repeat_are_renamed_with_their_results() {
    let turn = |said: &str| [assistant(vec![call("f:0")]), tool(vec![result("f:0", said)])];
    let messages = [turn("one"), turn("two")].concat();
    let wanted = vec![
        assistant(vec![call("f:0")]),
        tool(vec![result("f:0", "one")]),
        assistant(vec![call("f:0_2")]),
        tool(vec![result("f:0_2", "two")]),
    ];
    assert_eq!(repaired(messages), wanted);
    // Twice in one turn: the first result is of the first call.
    let messages = vec![
        assistant(vec![call("a"), call("a")]),
        tool(vec![result("a", "1")]),
        tool(vec![result("a", "2")]),
    ];
    let wanted = vec![
        assistant(vec![call("a"), call("a_2")]),
        tool(vec![result("a", "1")]),
        tool(vec![result("a_2", "2")]),
    ];
    assert_eq!(repaired(messages), wanted);
}

#[test]
fn neighbours_join_and_empty_messages_go() {
    let messages = vec![
        user(vec![text("a")]),
        assistant(vec![text("")]),
        user(vec![text("b")]),
        assistant(vec![call("1")]),
        assistant(vec![call("2")]),
        tool(vec![result("1", "x")]),
        tool(vec![result("2", "y")]),
        assistant(vec![text("done")]),
    ];
    let wanted = vec![
        user(vec![text("a"), text("b")]),
        assistant(vec![call("1"), call("2")]),
        tool(vec![result("1", "x")]),
        tool(vec![result("2", "y")]),
        assistant(vec![text("done")]),
    ];
    assert_eq!(repaired(messages), wanted);
    let alone = vec![user(vec![text("")])];
    assert_eq!(repaired(alone.clone()), alone, "an empty conversation is for the provider to refuse");
}

#[test]
fn a_conversation_begins_with_the_user_where_it_must() {
    let system = message(Role::System, vec![text("s")]);
    let messages = vec![system.clone(), assistant(vec![text("hello")])];
    assert_eq!(repair(messages.clone(), false).messages, messages);
    let wanted = vec![system, user(vec![text("(conversation continues)")]), assistant(vec![text("hello")])];
    assert_eq!(repair(messages, true).messages, wanted);
}

#[test]
fn a_result_is_of_the_kind_of_its_call() {
    let custom = ToolCall { id: "a".into(), name: "f".into(), kind: CallKind::Custom, ..ToolCall::default() };
    let repaired = repaired(vec![assistant(vec![Part::ToolCall(custom)]), tool(vec![result("a", "x")])]);
    assert!(matches!(&repaired[1].parts[0], Part::ToolOutput(output) if output.kind == CallKind::Custom));
}

#[test]
fn histories_of_nothing_but_repetition_take_no_time_to_speak_of() {
    let calls = || (0..20_000).map(|_| call("")).collect();
    let results = (0..20_000).map(|_| tool(vec![result("", "x")])).collect::<Vec<_>>();
    let mut messages = vec![assistant(calls())];
    messages.extend(results);
    messages.extend((0..20_000).map(|_| assistant(vec![call("")])));
    messages.push(user(vec![text("x")]));
    assert_eq!(repaired(messages).len(), 1 + 20_000 + 1 + 20_000 + 1);
}

fn part() -> impl Strategy<Value = Part> {
    let id = "[ab]?[ab_]?(_2)?";
    prop_oneof![
        2 => "[a-z]{0,2}".prop_map(Part::Text),
        3 => id.prop_map(|id| call(&id)),
        3 => (id, "[a-z]{0,2}").prop_map(|(id, said)| result(&id, &said)),
        1 => "[a-z]{0,2}".prop_map(|text| Part::Reasoning(Reasoning { text, opaque: None })),
        1 => Just(Part::Breakpoint(Breakpoint::default())),
    ]
}

fn history() -> impl Strategy<Value = Vec<Message>> {
    let role = prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant), Just(Role::Tool)];
    let one = (role, vec(part(), 0..4)).prop_map(|(role, parts)| {
        // Only the model calls.
        let parts = match role {
            Role::Assistant => parts,
            _ => parts.into_iter().filter(|part| !matches!(part, Part::ToolCall(_))).collect(),
        };
        message(role, parts)
    });
    vec(one, 0..10)
}

fn calls_of(message: &Message) -> Vec<&str> {
    let call = |part: &'_ Part| matches!(part, Part::ToolCall(_));
    message
        .parts
        .iter()
        .filter(|part| call(part))
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.id.as_str()),
            _ => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_repaired_conversation_is_lawful(messages in history(), user_first in any::<bool>()) {
        let once = repair(messages, user_first);
        let mut ids = BTreeSet::new();
        let mut left = once.messages.iter().peekable();
        while let Some(message) = left.next() {
            prop_assert!(message.role != Role::Tool, "a result without its call: {:?}", message);
            for id in calls_of(message) {
                prop_assert!(!id.is_empty() && ids.insert(id.to_owned()), "`{}` occurs twice", id);
                let answer = left.next().unwrap();
                prop_assert_eq!(answer.role, Role::Tool);
                let outputs: Vec<&ToolOutput> = answer.parts.iter().filter_map(|part| match part {
                    Part::ToolOutput(output) => Some(output),
                    _ => None,
                }).collect();
                prop_assert_eq!(outputs.len(), 1);
                prop_assert_eq!(&outputs[0].call_id, id);
            }
            let results = message.parts.iter().any(|part| matches!(part, Part::ToolOutput(_)));
            prop_assert!(!results, "a result outside of its message");
            if let Some(next) = left.peek() {
                let joined = next.role != message.role || calls_of(message) != Vec::<&str>::new() || message.role == Role::System;
                prop_assert!(joined, "neighbours of one role");
            }
        }
        if user_first {
            let first = once.messages.iter().find(|message| message.role != Role::System);
            prop_assert!(first.is_none_or(|first| first.role == Role::User));
        }
        let twice = repair(once.messages.clone(), user_first);
        prop_assert_eq!(&twice.messages, &once.messages, "repaired once is repaired");
        prop_assert!(twice.losses.is_empty());
    }

    #[test]
    fn ids_are_made_legal_once_and_stay_apart(ids in proptest::collection::btree_set("[a-c.:|é_-]{0,3}|[a-b]{60,70}", 0..20), longest in 24..=LONGEST_ID) {
        let legal: BTreeSet<String> = ids.iter().map(|id| legal_id(id, longest).into_owned()).collect();
        prop_assert_eq!(legal.len(), ids.len());
        for id in &legal {
            prop_assert!(!id.is_empty() && id.len() <= longest);
            prop_assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
            prop_assert_eq!(&*legal_id(id, longest), id);
        }
    }
}
