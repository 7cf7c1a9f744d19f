//! Named examples, then any order of calls and instants against a reference that keeps every call.

mod half_open;
mod opening;

use proptest::prelude::*;

use super::*;

const SETTINGS: Settings = Settings {
    calls: 20,
    window: Duration::from_mins(1),
    unknown_percent: 50,
    open: Duration::from_secs(30),
};

/// A circuit and the clock that it is handed.
struct Story {
    circuit: Circuit,
    now: Instant,
}

impl Story {
    fn new() -> Self {
        let now = Instant::now();
        Self { circuit: Circuit::new(SETTINGS, now), now }
    }

    /// One that has just opened.
    fn open() -> Self {
        let mut story = Self::new();
        story.calls(20, CallEnd::Unknown);
        assert!(story.is_open());
        story
    }

    /// One whose probe may begin.
    fn half_open() -> Self {
        let mut story = Self::open();
        story.wait(30_000);
        story
    }

    fn wait(&mut self, milliseconds: u64) -> &mut Self {
        self.now += Duration::from_millis(milliseconds);
        self
    }

    fn call(&mut self, end: CallEnd) -> &mut Self {
        if let Ok(ticket) = self.circuit.admit(self.now) {
            self.circuit.ended(ticket, end, self.now);
        }
        self
    }

    fn calls(&mut self, count: usize, end: CallEnd) -> &mut Self {
        (0..count).for_each(|_| _ = self.call(end));
        self
    }

    fn state(&mut self) -> BreakerState {
        self.circuit.look(self.now)
    }

    fn is_open(&mut self) -> bool {
        matches!(self.state(), BreakerState::Open { .. })
    }

    fn counted(&self) -> (u32, u32) {
        self.circuit.counted(self.now)
    }
}

#[test]
fn what_nobody_calls_any_more_is_idle_after_the_window_unless_it_is_open() {
    let mut story = Story::new();
    for wait in [0, 59_000] {
        story.wait(wait).call(CallEnd::Answered).wait(59_000);
        assert!(!story.circuit.is_idle(story.now));
    }
    story.wait(1000);
    assert!(story.circuit.is_idle(story.now));

    let mut story = Story::half_open();
    story.call(CallEnd::Answered).wait(59_999);
    assert!(!story.circuit.is_idle(story.now), "it has just closed");
    story.wait(1);
    assert!(story.circuit.is_idle(story.now));

    let mut story = Story::open();
    for (wait, idle) in [(0, false), (29_999, false), (1, false), (59_999, false), (1, true)] {
        story.wait(wait);
        assert_eq!(story.circuit.is_idle(story.now), idle, "after {wait} ms more");
    }
    let _probe = story.circuit.admit(story.now);
    assert!(!story.circuit.is_idle(story.now), "somebody tries");
}

#[test]
fn whatever_is_called_how_often_no_more_than_the_window_is_kept() {
    let mut story = Story::new();
    for _ in 0..10_000 {
        story.call(CallEnd::Answered).wait(37);
    }
    assert!(story.circuit.slices.len() <= 60, "{} slices", story.circuit.slices.len());
}

/// One thing that happens, and after how many milliseconds.
#[derive(Clone, Copy, Debug)]
enum Move {
    Begin,
    Insist,
    /// The call of this number among those under way ends.
    End(usize, CallEnd),
}

fn moves() -> impl Strategy<Value = Vec<(u64, Move)>> {
    let end = prop_oneof![
        6 => Just(CallEnd::Unknown),
        4 => Just(CallEnd::Answered),
        1 => Just(CallEnd::NotSent)
    ];
    let what = prop_oneof![
        8 => Just(Move::Begin),
        1 => Just(Move::Insist),
        8 => (any::<usize>(), end).prop_map(|(nth, end)| Move::End(nth, end))
    ];
    let wait = prop_oneof![6 => 0_u64..50, 2 => 0_u64..1500, 1 => Just(1000), 1 => Just(3000)];
    proptest::collection::vec((wait, what), 0..400)
}

/// The rule in its plainest words: every call is kept, and everything is looked up when it is
/// needed. Times in milliseconds.
#[derive(Default)]
struct Naive {
    /// When each call ended, and whether that was without an answer, since it last closed.
    calls: Vec<(u64, bool)>,
    opened: Option<u64>,
    /// The number of the call that is the probe.
    probe: Option<usize>,
    /// When it last opened or closed, by the number of calls that had begun.
    turned: usize,
    begun: usize,
}

impl Naive {
    const CALLS: usize = 5;
    const PERCENT: usize = 60;
    const WINDOW: u64 = 6000;
    const OPEN: u64 = 3000;

    fn settings() -> Settings {
        let [window, open] = [Self::WINDOW, Self::OPEN].map(Duration::from_millis);
        Settings { calls: 5, window, unknown_percent: 60, open }
    }

    /// The number of the call, where it is let through.
    fn begin(&mut self, now: u64, insists: bool) -> Option<usize> {
        let half_open = self.opened.is_some_and(|opened| now >= opened + Self::OPEN);
        let becomes_probe = half_open && self.probe.is_none();
        if self.opened.is_some() && !becomes_probe && !insists {
            return None;
        }
        let number = self.begun;
        self.begun += 1;
        if becomes_probe {
            self.probe = Some(number);
        }
        Some(number)
    }

    fn end(&mut self, number: usize, end: CallEnd, now: u64) {
        if self.opened.is_some() {
            if self.probe != Some(number) {
                return;
            }
            self.probe = None;
            if end != CallEnd::NotSent {
                self.opened = (end == CallEnd::Unknown).then_some(now);
                self.turned = self.begun;
            }
            return;
        }
        if number < self.turned || end == CallEnd::NotSent {
            return;
        }
        self.calls.push((now, end == CallEnd::Unknown));
        let (calls, unknown) = self.counted(now);
        if calls >= Self::CALLS && unknown * 100 >= Self::PERCENT * calls {
            self.opened = Some(now);
            self.turned = self.begun;
            self.calls.clear();
        }
    }

    /// The window moves by a sixtieth: 100 ms.
    fn counted(&self, now: u64) -> (usize, usize) {
        let counts = |ended: u64| now / 100 - ended / 100 < Self::WINDOW / 100;
        let counting: Vec<_> = self.calls.iter().filter(|(ended, _)| counts(*ended)).collect();
        (counting.len(), counting.iter().filter(|(_, unknown)| *unknown).count())
    }

    fn state(&self, now: u64) -> (&'static str, bool) {
        match self.opened {
            None => ("closed", false),
            Some(opened) if now < opened + Self::OPEN => ("open", false),
            Some(_) => ("half-open", self.probe.is_some()),
        }
    }
}

const fn shape(state: BreakerState) -> (&'static str, bool) {
    match state {
        BreakerState::Closed => ("closed", false),
        BreakerState::Open { .. } => ("open", false),
        BreakerState::HalfOpen { probing } => ("half-open", probing),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_it_stands_as_the_plain_rule_says(moves in moves()) {
        let dawn = Instant::now();
        let (mut circuit, mut naive) = (Circuit::new(Naive::settings(), dawn), Naive::default());
        let (mut clock, mut under_way) = (0, Vec::new());
        for (wait, what) in moves {
            clock += wait;
            let now = dawn + Duration::from_millis(clock);
            match what {
                Move::Begin | Move::Insist => {
                    let insists = matches!(what, Move::Insist);
                    let ticket = if insists {
                        Some(circuit.insist(now))
                    } else {
                        circuit.admit(now).ok()
                    };
                    let number = naive.begin(clock, insists);
                    prop_assert_eq!(ticket.is_some(), number.is_some(), "at {}", clock);
                    under_way.extend(ticket.zip(number));
                }
                Move::End(nth, end) if !under_way.is_empty() => {
                    let (ticket, number) = under_way.swap_remove(nth % under_way.len());
                    circuit.ended(ticket, end, now);
                    naive.end(number, end, clock);
                }
                Move::End(..) => {}
            }
            prop_assert_eq!(shape(circuit.look(now)), naive.state(clock), "at {}", clock);
            if naive.opened.is_none() {
                let (calls, unknown) = circuit.counted(now);
                prop_assert_eq!((calls as usize, unknown as usize), naive.counted(clock), "at \
                    {}", clock);
            }
        }
    }
}
