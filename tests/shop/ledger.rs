//! The shop's memory: what was done, undone, repeated and refused, in the order in which it
//! happened.
//!
//! # Guarantees
//! Pure: no clock, no I/O. [`Ledger::work`] and [`Ledger::refuse`] add exactly one entry a call,
//! unless the ledger is full. The summary is computed from the entries alone, so that it also
//! checks the ledger's own bookkeeping.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use saga_operator::api::Direction;
use serde::Serialize;
use serde_json::{Value, json};

use super::call::Call;

/// The most entries kept; beyond them the shop answers 507.
const MAX_ENTRIES: usize = 200_000;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The effect was done.
    Done,
    /// Every effect of the step was undone.
    Undone,
    /// A key that was answered before, with the same request: the same answer again, and no effect.
    Repeat,
    /// Turned away, or left without an answer, before anything was done, since the shop was told
    /// so.
    Refused,
    /// The caller broke a rule of idempotent calls.
    Fault,
    /// An undo of a step that had done nothing.
    NothingToUndo,
    /// An action that was on its way when it was undone: its key is remembered, and it has no
    /// effect.
    Overtaken,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// 1, 2, … over all calls, for ever.
    pub sequence: u64,
    /// When the shop decided about the call.
    pub time: Timestamp,
    /// The service's name.
    pub service: &'static str,
    /// The path that was asked.
    pub path: &'static str,
    /// What became of it.
    pub kind: Kind,
    /// The idempotency key.
    pub key: String,
    /// The first part of the key.
    pub scope: String,
    /// The second part of the key.
    pub step: String,
    /// The third part of the key.
    pub direction: Direction,
    /// The header `Saga-Attempt`.
    pub attempt: Option<String>,
    /// Whether the request came with an `Authorization` header.
    pub authorized: bool,
    /// SHA-256 of the body.
    pub body_hash: String,
    /// What else there is to say, in one line; empty where there is nothing.
    pub note: String,
}

/// What happened within one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Steps whose effect was done, in order; once for each effect.
    pub done: Vec<String>,
    /// Steps that were undone, in order.
    pub undone: Vec<String>,
    /// Steps that are done and not undone.
    pub in_effect: BTreeSet<String>,
    /// Steps of which two effects were in effect at once, or one key was executed twice.
    pub done_twice: BTreeSet<String>,
    /// Steps whose calls were refused, in order.
    pub refused: Vec<String>,
    /// Broken rules, each `<key>: <what was wrong>`.
    pub faults: Vec<String>,
}

/// What the shop answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// All calls since the last reset.
#[derive(Default)]
pub struct Ledger {
    last_sequence: u64,
    entries: Vec<Entry>,
    keys: HashMap<String, Seen>,
    steps: HashMap<(String, String), StepBook>,
}

/// A key: the request that brought it first, and what its work was answered, once it took place.
struct Seen {
    path: &'static str,
    body_hash: String,
    answer: Option<Answer>,
    /// It came before its step was undone.
    in_time: bool,
}

/// What a step has done.
#[derive(Default)]
struct StepBook {
    in_effect: Vec<Effect>,
    /// An undo was answered: an action that comes now was overtaken by its own undo.
    closed: bool,
}

struct Effect {
    id: String,
    undo: &'static str,
}

/// A verdict on a call that is not entered yet.
struct Verdict {
    kind: Kind,
    answer: Answer,
    note: String,
}

impl Verdict {
    fn new(kind: Kind, status: u16, body: Value, note: impl Into<String>) -> Self {
        Self { kind, answer: Answer { status, body }, note: note.into() }
    }

    fn fault(status: u16, sentence: String) -> Self {
        Self::new(Kind::Fault, status, json!({"error": sentence}), sentence)
    }
}

impl Ledger {
    /// Does, undoes, repeats or rejects what the call asks, and enters it.
    pub fn work(&mut self, call: &Call, now: Timestamp) -> Answer {
        if let Some(full) = self.full() {
            return full;
        }
        let verdict = match self.broken_rule(call) {
            Some(sentence) => Verdict::fault(422, sentence),
            None => self.judge(call),
        };
        if matches!(verdict.kind, Kind::Done | Kind::Undone | Kind::NothingToUndo) {
            self.see(call).answer = Some(verdict.answer.clone());
        }
        self.enter(call, verdict.kind, verdict.note, now);
        verdict.answer
    }

    /// Remembers a call that takes a while.
    pub fn arrives(&mut self, call: &Call) {
        let open = !self
            .steps
            .get(&(call.key.scope.clone(), call.key.step.clone()))
            .is_some_and(|book| book.closed);
        self.see(call).in_time |= open;
    }

    /// Whether a call that arrived is still to be done: what is forgotten meanwhile is forgotten
    /// with its calls.
    pub fn awaits(&self, call: &Call) -> bool {
        self.keys.contains_key(&call.key.text)
    }

    /// Enters a call that the shop was told not to do.
    pub fn refuse(&mut self, call: &Call, note: String, now: Timestamp) {
        if self.full().is_some() {
            return;
        }
        match self.broken_rule(call) {
            Some(sentence) => self.enter(call, Kind::Fault, format!("{sentence}; {note}"), now),
            None => self.enter(call, Kind::Refused, note, now),
        }
    }

    /// The answer of a full ledger.
    pub fn full(&self) -> Option<Answer> {
        (self.entries.len() >= MAX_ENTRIES).then(|| Answer {
            status: 507,
            body: json!({"error": format!("the ledger holds {MAX_ENTRIES} entries: DELETE /ledger \
                first")}),
        })
    }

    /// What is wrong with the call whatever was done so far.
    fn broken_rule(&mut self, call: &Call) -> Option<String> {
        if call.key.direction != call.direction {
            return Some(format!(
                "{} takes a key of direction {}, not {}",
                call.path(),
                call.direction,
                call.key.direction
            ));
        }
        let seen = self.see(call);
        let same = seen.path == call.path() && seen.body_hash == call.body_hash;
        (!same).then(|| format!("this key was used for another request to {}", seen.path))
    }

    /// What is known of the call's key; the call itself, where it is new.
    fn see(&mut self, call: &Call) -> &mut Seen {
        self.keys.entry(call.key.text.clone()).or_insert_with(|| Seen {
            path: call.path(),
            body_hash: call.body_hash.clone(),
            answer: None,
            in_time: false,
        })
    }

    fn judge(&mut self, call: &Call) -> Verdict {
        let (known, in_time) = (self.see(call).answer.clone(), self.see(call).in_time);
        let id = format!("{}-{}", call.service.name, self.last_sequence + 1);
        let book = self.steps.entry((call.key.scope.clone(), call.key.step.clone())).or_default();
        match (call.direction, known) {
            (Direction::Action, _) if book.closed && in_time => {
                let body = json!({"error": "it was undone before it was done"});
                Verdict::new(Kind::Overtaken, 409, body, "undone before it was done")
            }
            (Direction::Action, _) if book.closed => {
                Verdict::fault(409, "the action came after its undo".into())
            }
            (_, Some(answer)) => Verdict { kind: Kind::Repeat, answer, note: String::new() },
            (Direction::Action, None) => {
                let verdict =
                    Verdict::new(Kind::Done, 201, json!({"id": id, "state": "done"}), id.clone());
                book.in_effect.push(Effect { id, undo: call.service.undo });
                verdict
            }
            (Direction::Compensation, None) => undo(book, call),
        }
    }

    fn enter(&mut self, call: &Call, kind: Kind, note: String, time: Timestamp) {
        self.last_sequence += 1;
        self.entries.push(Entry {
            sequence: self.last_sequence,
            time,
            service: call.service.name,
            path: call.path(),
            kind,
            key: call.key.text.clone(),
            scope: call.key.scope.clone(),
            step: call.key.step.clone(),
            direction: call.key.direction,
            attempt: call.attempt.clone(),
            authorized: call.authorized,
            body_hash: call.body_hash.clone(),
            note,
        });
    }

    /// Adds to what the newest entry says of itself.
    pub fn annotate(&mut self, remark: &str) {
        if let Some(entry) = self.entries.last_mut() {
            let separator = if entry.note.is_empty() { "" } else { "; " };
            entry.note = format!("{}{separator}{remark}", entry.note);
        }
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What happened in each scope, or in the one named, which may be empty.
    pub fn summaries(&self, scope: Option<&str>) -> BTreeMap<String, Summary> {
        let mut scopes: BTreeMap<String, Vec<&Entry>> =
            scope.map(|scope| (scope.into(), Vec::new())).into_iter().collect();
        for entry in
            self.entries.iter().filter(|entry| scope.is_none_or(|scope| entry.scope == scope))
        {
            scopes.entry(entry.scope.clone()).or_default().push(entry);
        }
        scopes.into_iter().map(|(scope, entries)| (scope, summarize(&entries))).collect()
    }

    /// Forgets one scope, or everything. Sequence numbers go on.
    pub fn forget(&mut self, scope: Option<&str>) {
        let stays = |other: &str| scope.is_some_and(|scope| scope != other);
        self.entries.retain(|entry| stays(&entry.scope));
        self.keys.retain(|key, _| stays(key.split('/').next().unwrap_or_default()));
        self.steps.retain(|(scope, _), _| stays(scope));
    }
}

/// Undoes all a step has done, and lets nothing more be done in it.
fn undo(book: &mut StepBook, call: &Call) -> Verdict {
    if let Some(other) = book.in_effect.iter().find(|effect| effect.undo != call.service.undo) {
        return Verdict::fault(
            422,
            format!("{} cannot undo {}: post to {}", call.service.undo, other.id, other.undo),
        );
    }
    book.closed = true;
    if book.in_effect.is_empty() {
        return Verdict::new(Kind::NothingToUndo, 200, json!({"state": "nothing to undo"}), "");
    }
    let ids: Vec<String> = book.in_effect.drain(..).map(|effect| effect.id).collect();
    let note = ids.join(", ");
    Verdict::new(Kind::Undone, 200, json!({"undone": ids, "state": "undone"}), note)
}

fn summarize(entries: &[&Entry]) -> Summary {
    let mut summary = Summary::default();
    let mut executed = BTreeSet::new();
    for entry in entries {
        let step = entry.step.clone();
        match entry.kind {
            Kind::Done => {
                let fresh_key = executed.insert(&entry.key);
                let fresh_effect = summary.in_effect.insert(step.clone());
                if !(fresh_key && fresh_effect) {
                    summary.done_twice.insert(step.clone());
                }
                summary.done.push(step);
            }
            Kind::Undone => {
                summary.in_effect.remove(&step);
                summary.undone.push(step);
            }
            Kind::Refused => summary.refused.push(step),
            Kind::Fault => summary.faults.push(format!("{}: {}", entry.key, entry.note)),
            Kind::Repeat | Kind::NothingToUndo | Kind::Overtaken => {}
        }
    }
    summary
}
