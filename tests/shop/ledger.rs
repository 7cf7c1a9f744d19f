//! The ledger of the shop: what was done, undone, repeated and refused, in order.
//!
//! # Guarantees
//! Pure: no clock, no I/O. [`Ledger::work`] and [`Ledger::refuse`] add exactly one entry for each
//! call, unless the ledger is full. The summary is computed from the entries alone, so that it also
//! checks the ledger's own bookkeeping.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use saga_operator::api::Direction;
use serde::Serialize;
use serde_json::{Value, json};

use super::call::Call;

/// The most entries that are kept. A full ledger answers 507.
const MAX_ENTRIES: usize = 200_000;

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The effect was done.
    Done,
    /// Every effect of the step was undone.
    Undone,
    /// The key was answered before, for the same call: the answer is the same, and there is no
    /// effect.
    Repeat,
    /// By its instructions, the shop refused the call or left it without an answer, before anything
    /// was done.
    Refused,
    /// The caller broke a rule of idempotent calls.
    Fault,
    /// A compensation of a step that had done nothing.
    NothingToUndo,
    /// An action that arrived before its step was undone and was not done by then: its key is
    /// remembered, and it has no effect.
    Overtaken,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// 1, 2, … over all calls, without a reset.
    pub sequence: u64,
    /// The time at which the shop decided about the call.
    pub time: Timestamp,
    /// The service's name.
    pub service: &'static str,
    /// The path of the call.
    pub path: &'static str,
    /// The result of the call.
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
    /// Whether the call came with an `Authorization` header.
    pub authorized: bool,
    /// SHA-256 of the body.
    pub body_hash: String,
    /// Further remarks in one line, or an empty text.
    pub note: String,
}

/// What happened within one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The steps whose effect was done, in order, once for each effect.
    pub done: Vec<String>,
    /// The steps that were undone, in order.
    pub undone: Vec<String>,
    /// The steps that are done and not undone.
    pub in_effect: BTreeSet<String>,
    /// The steps that had two effects at once, or that executed one key twice.
    pub done_twice: BTreeSet<String>,
    /// The steps whose calls were refused, in order.
    pub refused: Vec<String>,
    /// The broken rules, each as `<key>: <what was wrong>`.
    pub faults: Vec<String>,
}

/// The answer of the shop.
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

/// A key: the call that brought it first, and the answer to its work, once the work is done.
struct Seen {
    path: &'static str,
    body_hash: String,
    answer: Option<Answer>,
    /// The call arrived before its step was undone.
    in_time: bool,
}

/// What a step has done.
#[derive(Default)]
struct StepBook {
    in_effect: Vec<Effect>,
    /// A compensation was answered. An action that is still in progress is then overtaken, and an
    /// action that arrives later is a fault.
    closed: bool,
}

struct Effect {
    id: String,
    undo: &'static str,
}

/// A decision on a call that is not entered yet.
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
    /// Does, undoes, repeats or rejects the call, and enters it.
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

    /// Records the arrival of a call that takes a while.
    pub fn arrives(&mut self, call: &Call) {
        let open = !self
            .steps
            .get(&(call.key.scope.clone(), call.key.step.clone()))
            .is_some_and(|book| book.closed);
        self.see(call).in_time |= open;
    }

    /// Returns whether a call that arrived still has to be done. If its scope was forgotten
    /// meanwhile, the call is forgotten too.
    pub fn awaits(&self, call: &Call) -> bool {
        self.keys.contains_key(&call.key.text)
    }

    /// Enters a call that the shop does not do because of its instructions.
    pub fn refuse(&mut self, call: &Call, note: String, now: Timestamp) {
        if self.full().is_some() {
            return;
        }
        match self.broken_rule(call) {
            Some(sentence) => self.enter(call, Kind::Fault, format!("{sentence}; {note}"), now),
            None => self.enter(call, Kind::Refused, note, now),
        }
    }

    /// Returns the answer of a full ledger.
    pub fn full(&self) -> Option<Answer> {
        (self.entries.len() >= MAX_ENTRIES).then(|| Answer {
            status: 507,
            body: json!({"error": format!("the ledger holds {MAX_ENTRIES} entries: DELETE /ledger \
                first")}),
        })
    }

    /// Returns what is wrong with the call, whatever was done before.
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

    /// Returns what is known of the call's key. A new key is recorded with this call.
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

    /// Adds a remark to the note of the newest entry.
    pub fn annotate(&mut self, remark: &str) {
        if let Some(entry) = self.entries.last_mut() {
            let separator = if entry.note.is_empty() { "" } else { "; " };
            entry.note = format!("{}{separator}{remark}", entry.note);
        }
    }

    /// Returns all entries, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns what happened in each scope, or in the named scope. The named scope may be without
    /// entries.
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

    /// Forgets one scope, or everything. Sequence numbers continue.
    pub fn forget(&mut self, scope: Option<&str>) {
        let stays = |other: &str| scope.is_some_and(|scope| scope != other);
        self.entries.retain(|entry| stays(&entry.scope));
        self.keys.retain(|key, _| stays(key.split('/').next().unwrap_or_default()));
        self.steps.retain(|(scope, _), _| stays(scope));
    }
}

/// Undoes everything that a step has done, and closes the step: no later action has an effect.
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
