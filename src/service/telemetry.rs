//! Logs on standard error: JSON lines for programs, text for people.
//!
//! # Guarantees
//! A JSON line is one object with `timestamp`, `level`, `target` and `message`. The fields of the
//! event and of its enclosing spans are also at the top level. Each key occurs once. A log store
//! therefore finds all lines about one object by one key, independent of the code that wrote the
//! line. If several sources set a field, the innermost value is used.
//!
//! # Caveats
//! kube's client logs every 5xx answer and every lost connection as an error, although the caller
//! handles these errors. If kube's client cannot parse an answer, it logs the whole answer, which
//! may contain a Secret. Both kinds of message are off unless a directive names their target. For
//! example, `info,kube_client::client::builder=debug` shows the API requests.

use std::io::IsTerminal;

use serde_json::{Map, Value};
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt,
    registry::{LookupSpan, Scope},
    util::SubscriberInitExt,
};

/// Directives before the given directives. A given directive overrides one of these if it is more
/// specific or has the same target.
const QUIET: &str = "kube_client::client=off,kube_client::client::tls=warn";

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people; coloured on a terminal, unless `NO_COLOR` is set.
    Text,
}

/// Where standard error leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// To a terminal.
    Terminal,
    /// To a file, a pipe, or the log of a container.
    Redirected,
}

impl LogOutput {
    /// Returns where standard error of this process leads.
    #[must_use]
    pub fn of_process() -> Self {
        if std::io::stderr().is_terminal() { Self::Terminal } else { Self::Redirected }
    }
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colours {
    On,
    Off,
}

/// Starts logging on standard error, for the whole process.
///
/// # Errors
/// Returns a sentence if `level` is not a valid filter, or if logging was already started.
pub fn init(format: LogFormat, level: &str) -> Result<(), String> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = match LogOutput::of_process() {
        LogOutput::Terminal if !no_color => Colours::On,
        LogOutput::Terminal | LogOutput::Redirected => Colours::Off,
    };
    subscriber(format, filter(level)?, colours, std::io::stderr)
        .try_init()
        .map_err(|error| format!("cannot begin to log: {error}"))
}

/// Returns the filter that `directives` describe, such as `info` or `warn,saga_operator=debug`.
///
/// # Errors
/// Returns a sentence that says what is wrong and what to write instead.
pub fn filter(directives: &str) -> Result<EnvFilter, String> {
    let help = "write a level (error, warn, info, debug, trace, off), or directives such as \
        info,saga_operator=debug";
    let mut all = QUIET.to_owned();
    for directive in directives.split(',').map(str::trim) {
        // A word that is not a level would name a target and turn off all other targets. Such a
        // word is nearly always a misspelt level.
        if !directive.contains(['=', '['])
            && (directive.is_empty() || directive.parse::<LevelFilter>().is_err())
        {
            return Err(format!("`{directive}` is no level: {help}"));
        }
        all.push(',');
        all.push_str(directive);
    }
    EnvFilter::builder()
        .parse(all)
        .map_err(|error| format!("`{directives}` is no filter ({error}): {help}"))
}

/// Creates the subscriber that writes `format` to `writer`.
fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    colours: Colours,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines =
        tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours == Colours::On);
    let lines = match format {
        LogFormat::Json => lines.fmt_fields(JsonFields::new()).event_format(FlatJson).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines)
}

/// Writes an event as one flat JSON object. The format of the library nests the fields of the spans
/// in a separate object. It also writes a key twice if two sources set the key.
struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut line = Map::new();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>() {
                line.extend(parsed(&fields.fields));
            }
        }
        let mut fields = String::new();
        JsonFields::new().format_fields(Writer::new(&mut fields), event)?;
        line.extend(parsed(&fields));

        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        line.insert("timestamp".into(), timestamp.into());
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("target".into(), metadata.target().into());
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Returns the fields that [`JsonFields`] wrote. Returns no fields if the text is not a JSON
/// object.
fn parsed(fields: &str) -> Map<String, Value> {
    serde_json::from_str(fields).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Returns the text that `story` logs with these settings.
    fn logged(format: LogFormat, directives: &str, story: impl FnOnce()) -> String {
        // tracing caches for the whole process which call sites are enabled. Only one subscriber
        // may therefore be active at a time.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber =
            subscriber(format, filter(directives).unwrap(), Colours::Off, move || writer.clone());
        tracing::subscriber::with_default(subscriber, story);
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_json_line_holds_the_fields_of_its_spans_and_its_own_at_the_top() {
        let text = logged(LogFormat::Json, "info", || {
            let saga = tracing::info_span!(
                "reconcile",
                saga = "order",
                namespace = "shop",
                uid = "u-1",
                step = tracing::field::Empty
            );
            let _entered = saga.enter();
            saga.record("step", "charge");
            let _attempt = tracing::info_span!("attempt", attempt = 1, uid = "u-2").entered();
            tracing::warn!(attempt = 2, level = "fake", "no answer from \"payments\"\n");
        });
        assert!(text.ends_with('\n') && text.lines().count() == 1, "one line: {text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        for (key, value) in [("saga", "order"), ("namespace", "shop"), ("step", "charge")] {
            assert_eq!(line[key], value, "{text}");
        }
        assert_eq!(line["uid"], "u-2", "the inner span wins");
        assert_eq!(line["attempt"], 2, "the event wins");
        assert_eq!(line["message"], "no answer from \"payments\"\n");
        assert_eq!(line["level"], "WARN", "no field may pass for the level");
        assert_eq!(line["target"], module_path!());
        assert_eq!(text.matches("\"attempt\"").count(), 1, "no key twice: {text}");
        line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }

    #[test]
    fn text_is_for_people_and_without_colours_off_a_terminal() {
        let text = logged(LogFormat::Text, "info", || {
            let _span = tracing::info_span!("reconcile", saga = "order").entered();
            tracing::info!("saga completed");
        });
        assert!(text.contains("saga completed") && text.contains("saga=\"order\""), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn the_client_s_own_noise_is_off_until_it_is_asked_for() {
        let story = || {
            tracing::error!(target: "kube_client::client::builder", "failed with status 503");
            tracing::warn!(target: "kube_client::client", "the body of a secret");
            tracing::warn!(target: "kube_client::client::tls", "failed to reload CA bundle");
            tracing::debug!(target: "saga_operator::service", "ours");
        };
        let heard = |directives| logged(LogFormat::Text, directives, story);
        let quiet = heard("debug");
        assert!(quiet.contains("ours") && quiet.contains("CA bundle"), "{quiet}");
        assert!(!quiet.contains("503") && !quiet.contains("secret"), "{quiet}");
        let asked = heard("info,kube_client::client::builder=debug");
        assert!(
            asked.contains("503") && !asked.contains("secret") && !asked.contains("ours"),
            "{asked}"
        );
        let wide = heard("info,kube_client=trace");
        assert!(
            !wide.contains("secret"),
            "only the exact name opens what may print a Secret: {wide}"
        );
    }

    #[test]
    fn a_filter_that_would_mean_something_else_is_refused() {
        let refusal = |directives| filter(directives).unwrap_err();
        assert!(
            refusal("inffo").starts_with("`inffo` is no level: write a level (error, warn, info,"),
            "{}",
            refusal("inffo")
        );
        assert!(refusal("").starts_with("`` is no level"));
        assert!(refusal("info,saga_operator=loud").contains("info,saga_operator=debug"));
        filter("warn, saga_operator=debug").unwrap();
        filter("OFF").unwrap();
        filter("info,[reconcile{saga}]=debug").unwrap();
    }
}
