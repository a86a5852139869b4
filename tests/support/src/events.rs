//! A subscriber that remembers what the limiter has said.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch, Event, Level, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::{DefaultGuard, NoSubscriber, set_default, set_global_default},
};
use tracing_subscriber::{
    Layer, filter::LevelFilter, layer::Context, prelude::*, registry::LookupSpan,
};

pub type Fields = BTreeMap<&'static str, String>;

/// What a subscriber has heard; each test has its own, for its own thread.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    events: Vec<(Level, String, Fields)>,
    recorded: Fields,
}

/// While a single subscriber exists, `tracing` asks the subscriber of the *current* thread whether
/// a new callsite is of interest. A callsite that is first reached in a test without one would then
/// be disabled for all. With a second subscriber all are asked.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));

pub fn listen(level: LevelFilter) -> (Heard, DefaultGuard) {
    let heard = Heard::default();
    let listener = heard.clone().with_filter(level);
    let guard = subscribe(tracing_subscriber::registry().with(listener));
    (heard, guard)
}

/// Sets the subscriber of this thread, whatever tests do in the other threads.
pub fn subscribe(subscriber: impl Subscriber + Send + Sync) -> DefaultGuard {
    LazyLock::force(&SECOND);
    set_default(subscriber)
}

/// The same for all threads, and for good: in a process of its own.
pub fn listen_everywhere(level: LevelFilter) -> Heard {
    let heard = Heard::default();
    let listener = heard.clone().with_filter(level);
    set_global_default(tracing_subscriber::registry().with(listener)).expect("nobody else listens");
    heard
}

impl Heard {
    pub fn events(&self) -> Vec<(Level, String, Fields)> {
        self.0.lock().expect("no panics").events.clone()
    }

    pub fn recorded(&self) -> Fields {
        self.0.lock().expect("no panics").recorded.clone()
    }
}

/// Takes typed values as they are; none of them but the message asks to be formatted.
struct Typed<'a>(&'a mut Fields);

impl Visit for Typed<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name(), value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name(), value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        assert_eq!(field.name(), "message", "fields are typed values");
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Heard {
    fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        let mut inner = self.0.lock().expect("no panics");
        values.record(&mut Typed(&mut inner.recorded));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "tower_concurrency_limiter" {
            return;
        }
        let mut fields = Fields::new();
        event.record(&mut Typed(&mut fields));
        let message = fields.remove("message").unwrap_or_default();
        let mut inner = self.0.lock().expect("no panics");
        inner
            .events
            .push((*event.metadata().level(), message, fields));
    }
}

pub fn fields<const N: usize>(fields: [(&'static str, &str); N]) -> Fields {
    fields.map(|(name, value)| (name, value.to_owned())).into()
}
