//! Tests of the engine alone, in a world that follows the rules of the shell: stories, properties
//! and attacks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::wildcard_enum_match_arm,
    clippy::struct_excessive_bools,
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    reason = "tests fail by panicking, and tables of them are long and written as values"
)]

mod answers;
mod approval;
mod approval_requests;
mod approval_undo;
mod cancel;
mod cancel_active;
mod children;
mod children_deletion;
mod children_keys;
mod children_undo;
mod circuits;
mod circuits_ends;
mod circuits_fields;
mod circuits_operators;
mod data;
mod data_answers;
mod data_reach;
mod deletion;
mod doubt;
mod doubt_keys;
mod doubt_pods;
mod doubt_settle;
mod executors;
mod family;
mod floors;
mod forward;
mod fuzz;
mod fuzz_spec;
mod fuzz_texts;
mod gitops;
mod gitops_states;
mod guards;
mod held;
mod jobs;
mod lifecycle;
mod nonsense;
mod numbers;
mod pause;
mod pause_undo;
mod pivot;
mod pods;
mod precheck;
mod process;
mod properties;
mod random;
mod random_made;
mod requests;
mod requests_at_once;
mod requests_grammar;
mod requests_once;
mod requests_retry;
mod requests_skip;
mod requests_undo;
mod retry;
mod retry_limits;
mod saga;
mod scenes;
mod script;
mod see;
mod services;
mod skip;
mod skip_outputs;
mod spec;
mod spec_expressions;
mod spec_faults;
mod spec_faults_of_work;
mod suspension;
mod timeout;
mod timeout_stands_still;
mod timeout_way_out;
mod ttl;
mod undo;
mod undo_in_effect;
mod values;
mod values_depth;
mod versions;
mod versions_doubts;
mod versions_strangers;
mod wait;
mod watch;
mod watch_status;
mod watch_undo;
mod way_out;
mod way_out_undo;
mod world;
