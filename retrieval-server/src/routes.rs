//! The one table of requests: the router, the parameter check and the OpenAPI document read it.

/// What a parameter's text must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A channel name; may be repeated.
    Channel,
    /// A time of interfaces section 1.
    Time,
    /// Integer nanoseconds since the Unix epoch.
    Nanoseconds,
    /// An IANA time zone.
    Zone,
    /// A number of rows or samples; 0 means all.
    Count,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `FIRST:BEHIND`, both optional.
    Slice,
    /// Width of bins: a duration, `1mo` or `1y`.
    Width,
    /// A number with a unit of time.
    Duration,
    /// Some of these words, with commas between.
    Words(&'static [&'static str]),
    /// A glob.
    Glob,
    /// A regular expression.
    Regex,
    /// An opaque string from an earlier answer.
    Cursor,
    /// A channel name where the list goes on.
    After,
    /// Text that the request itself understands.
    Text,
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What its text must be.
    pub kind: Kind,
    /// What it does, one sentence.
    pub about: &'static str,
}

/// Which request it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// List of channels.
    Channels,
    /// One channel.
    Channel,
    /// Raw samples.
    Samples,
    /// Statistics of bins.
    Bins,
    /// Channels on one grid of times.
    Table,
    /// Values at one time.
    At,
    /// Events.
    Events,
    /// Coverage.
    Coverage,
    /// When a condition held.
    Search,
    /// History, then what comes.
    Follow,
    /// Why a channel is or is not archived.
    Why,
    /// How the engine is doing.
    Status,
    /// Prometheus text.
    Metrics,
    /// The process runs.
    Live,
    /// The archive answers.
    Ready,
    /// This interface as OpenAPI.
    OpenApi,
}

/// One request.
#[derive(Debug)]
pub struct Route {
    /// Which one.
    pub request: Request,
    /// Its path.
    pub path: &'static str,
    /// What it answers, one sentence.
    pub about: &'static str,
    /// Every parameter that it takes.
    pub parameters: &'static [Parameter],
    /// Media types of its answers.
    pub produces: &'static [&'static str],
}

impl Route {
    /// Whether it reads archives; such requests are also POSTs and are counted against the limit.
    pub fn reads(&self) -> bool {
        !matches!(
            self.request,
            Request::Status | Request::Metrics | Request::Live | Request::Ready | Request::OpenApi
        )
    }
}

const JSON: &[&str] = &["application/json"];
/// Media type of the `columns` format.
pub(crate) const COLUMNS_MEDIA_TYPE: &str = "application/vnd.varve.columns";
/// `columns` with stored chunks among them.
pub(crate) const CHUNKS_MEDIA_TYPE: &str = "application/vnd.varve.chunks";
/// Media type of Arrow streams.
pub(crate) const ARROW_MEDIA_TYPE: &str = "application/vnd.apache.arrow.stream";
/// Media type of server-sent events.
pub(crate) const EVENTS_MEDIA_TYPE: &str = "text/event-stream";
/// Media type of CSV answers.
pub(crate) const CSV_MEDIA_TYPE: &str = "text/csv; charset=utf-8";
/// Media type of JSON answers.
pub(crate) const JSON_MEDIA_TYPE: &str = "application/json";

const fn parameter(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, about }
}

const CHANNEL: Parameter = parameter("channel", Kind::Channel, "A channel name; repeat it for several.");
const MATCH: Parameter =
    parameter("match", Kind::Glob, "A glob over whole names (* and ?) in place of channel=.");
const FROM: Parameter = parameter("from", Kind::Time, "First instant of the range; an hour before its end.");
const FROM_NS: Parameter = parameter("from_ns", Kind::Nanoseconds, "The same in ns since 1970.");
const TO: Parameter = parameter("to", Kind::Time, "First instant behind the range; now.");
const TO_NS: Parameter = parameter("to_ns", Kind::Nanoseconds, "The same in ns since 1970.");
const TIME: Parameter = parameter("time", Kind::Time, "The instant asked for; now.");
const TIME_NS: Parameter = parameter("time_ns", Kind::Nanoseconds, "The same in ns since 1970.");
const TZ: Parameter = parameter("tz", Kind::Zone, "Zone of local times, for example Europe/London.");
const JSON_ONLY: Parameter = parameter("format", Kind::Choice(&["json"]), "Format of the answer.");
const NONFINITE: Parameter = parameter(
    "nonfinite",
    Kind::Choice(&["string", "null"]),
    "Non-finite doubles as strings or as null (an empty field in CSV).",
);
const INT64: Parameter = parameter(
    "int64",
    Kind::Choice(&["integer", "string"]),
    "64-bit integers, times among them, as JSON integers or strings.",
);
const DAMAGED: Parameter =
    parameter("damaged", Kind::Choice(&["stop", "skip"]), "Whether to read on around damage.");
const FORMAT: Parameter = parameter(
    "format",
    Kind::Choice(&["json", "csv", "columns"]),
    "Format of the answer; beats the Accept header.",
);
const FORMAT_OR_ARROW: Parameter = parameter(
    "format",
    Kind::Choice(&["json", "csv", "columns", "arrow"]),
    "Format of the answer; beats the Accept header.",
);
/// Columns of bins, in the order in which they are answered, and the durations of enum states.
pub(crate) const STATS: &[&str] = &[
    "count",
    "mean",
    "min",
    "max",
    "std",
    "first",
    "last",
    "min_ns",
    "max_ns",
    "first_ns",
    "last_ns",
    "twmean",
    "covered_ns",
    "severity",
    "nonfinite",
    "invalid",
    "states",
];
const WHERE: Parameter = parameter(
    "where",
    Kind::Text,
    "Only while this condition holds, for example `X:STATE` == \"Open\" and Y > 10.",
);
const EXPLAIN: Parameter = parameter(
    "explain",
    Kind::Flag,
    "The plan, what was read and how long it took, as JSON, in place of the answer, which is made all the same.",
);
const ENUM: Parameter =
    parameter("enum", Kind::Choice(&["index", "label"]), "Enum values as indices or as state names.");
const ELEMENTS: Parameter =
    parameter("elements", Kind::Slice, "Only these elements of arrays: FIRST:BEHIND.");
const AS: Parameter = parameter(
    "as",
    Kind::Choice(&["native", "float64", "string"]),
    "Widens all values to one type, so that type changes end no segment.",
);

/// Every request.
pub static ROUTES: &[Route] = &[
    Route {
        request: Request::Channels,
        path: "/api/v1/channels",
        about: "Channels in bytewise order of their names.",
        parameters: &[
            parameter("match", Kind::Glob, "Only names that this glob (* and ?) matches whole."),
            parameter("regex", Kind::Regex, "Only names that this regular expression matches whole."),
            parameter(
                "state",
                Kind::Choice(&[
                    "connected",
                    "disconnected",
                    "never_connected",
                    "paused",
                    "silent",
                    "retired",
                ]),
                "Only channels in this state.",
            ),
            parameter("limit", Kind::Count, "At most so many, 1000 unless given; 0 = all."),
            parameter("after", Kind::After, "Only names behind this one: `next` of the page before."),
            JSON_ONLY,
        ],
        produces: JSON,
    },
    Route {
        request: Request::Channel,
        path: "/api/v1/channel",
        about: "Everything about one channel.",
        parameters: &[CHANNEL, TIME, TIME_NS, TZ, NONFINITE, JSON_ONLY],
        produces: JSON,
    },
    Route {
        request: Request::Samples,
        path: "/api/v1/samples",
        about: "Raw samples.",
        parameters: &[
            CHANNEL,
            MATCH,
            FROM,
            FROM_NS,
            TO,
            TO_NS,
            TZ,
            parameter("limit", Kind::Count, "At most so many samples of each channel; 0 = all."),
            parameter("order", Kind::Choice(&["asc", "desc"]), "Oldest or newest first."),
            parameter("cursor", Kind::Cursor, "Goes on where a cut answer ended: `next` of its one channel."),
            parameter("edge", Kind::Flag, "The last sample before the range; true in JSON unless given."),
            parameter("after", Kind::Flag, "The first sample at or behind the range's end."),
            ELEMENTS,
            AS,
            ENUM,
            NONFINITE,
            INT64,
            parameter("time", Kind::Choice(&["ns", "iso"]), "Times in JSON as integers or as text."),
            WHERE,
            DAMAGED,
            parameter(
                "format",
                Kind::Choice(&["json", "csv", "columns", "chunks", "arrow"]),
                "Format of the answer; beats the Accept header.",
            ),
            EXPLAIN,
        ],
        produces: &[JSON_MEDIA_TYPE, CSV_MEDIA_TYPE, COLUMNS_MEDIA_TYPE, CHUNKS_MEDIA_TYPE, ARROW_MEDIA_TYPE],
    },
    Route {
        request: Request::Bins,
        path: "/api/v1/bins",
        about: "Statistics of each channel in bins of time.",
        parameters: &[
            CHANNEL,
            MATCH,
            FROM,
            FROM_NS,
            TO,
            TO_NS,
            TZ,
            parameter(
                "bins",
                Kind::Count,
                "The smallest width that gives at most so many bins; 1 = the range.",
            ),
            parameter(
                "width",
                Kind::Width,
                "Width of the bins, for example 60s; in a zone also 1d 1w 1mo 1y.",
            ),
            parameter(
                "stats",
                Kind::Words(STATS),
                "Which columns besides start_ns and width_ns; states for enums.",
            ),
            parameter(
                "exclude",
                Kind::Choice(&["none", "invalid"]),
                "Leaves samples of severity INVALID out.",
            ),
            parameter("fill", Kind::Choice(&["none", "hold"]), "hold adds bins in which a value was held."),
            parameter("empty", Kind::Flag, "Adds all bins without samples."),
            WHERE,
            NONFINITE,
            INT64,
            DAMAGED,
            FORMAT_OR_ARROW,
            EXPLAIN,
        ],
        produces: &[JSON_MEDIA_TYPE, CSV_MEDIA_TYPE, COLUMNS_MEDIA_TYPE, ARROW_MEDIA_TYPE],
    },
    Route {
        request: Request::Table,
        path: "/api/v1/table",
        about: "Channels on one grid of times.",
        parameters: &[
            CHANNEL,
            MATCH,
            FROM,
            FROM_NS,
            TO,
            TO_NS,
            TZ,
            parameter("grid", Kind::Text, "Times of the rows: a step like 1s, at:CHANNEL, or union."),
            parameter(
                "fill",
                Kind::Choice(&["hold", "none", "linear", "mean"]),
                "What stands between samples; hold unless given.",
            ),
            parameter("max_age", Kind::Duration, "How old what is held may be; for linear, how far apart."),
            WHERE,
            ELEMENTS,
            AS,
            ENUM,
            NONFINITE,
            INT64,
            DAMAGED,
            FORMAT,
            EXPLAIN,
        ],
        produces: &[JSON_MEDIA_TYPE, CSV_MEDIA_TYPE, COLUMNS_MEDIA_TYPE],
    },
    Route {
        request: Request::At,
        path: "/api/v1/at",
        about: "The value of each channel at one time.",
        parameters: &[
            CHANNEL, MATCH, TIME, TIME_NS, TZ, ELEMENTS, AS, ENUM, NONFINITE, INT64, JSON_ONLY, EXPLAIN,
        ],
        produces: JSON,
    },
    Route {
        request: Request::Events,
        path: "/api/v1/events",
        about: "What happened to each channel.",
        parameters: &[CHANNEL, MATCH, FROM, FROM_NS, TO, TO_NS, TZ, JSON_ONLY],
        produces: JSON,
    },
    Route {
        request: Request::Coverage,
        path: "/api/v1/coverage",
        about: "Intervals that say when a channel was recorded and why not; they fill the range exactly.",
        parameters: &[CHANNEL, MATCH, FROM, FROM_NS, TO, TO_NS, TZ, WHERE, DAMAGED, JSON_ONLY],
        produces: JSON,
    },
    Route {
        request: Request::Search,
        path: "/api/v1/search",
        about: "Intervals in which a condition held.",
        parameters: &[
            WHERE,
            FROM,
            FROM_NS,
            TO,
            TO_NS,
            TZ,
            parameter(
                "statistics",
                Kind::Choice(&["use", "ignore"]),
                "Whether what is known of stored samples without reading them may answer for them.",
            ),
            INT64,
            DAMAGED,
            JSON_ONLY,
            EXPLAIN,
        ],
        produces: JSON,
    },
    Route {
        request: Request::Follow,
        path: "/api/v1/follow",
        about: "Samples from a time on, then every new one as it comes, without a seam.",
        parameters: &[
            CHANNEL,
            MATCH,
            parameter("from", Kind::Time, "First instant; now unless given."),
            FROM_NS,
            parameter("to", Kind::Time, "First instant behind; without end unless given."),
            TO_NS,
            TZ,
            parameter(
                "cursor",
                Kind::Text,
                "Goes on where a stream ended: the id of its last event; so does the header Last-Event-ID.",
            ),
            ELEMENTS,
            AS,
            ENUM,
            NONFINITE,
            INT64,
            parameter("format", Kind::Choice(&["sse", "columns"]), "Server-sent events or columns."),
        ],
        produces: &[EVENTS_MEDIA_TYPE, COLUMNS_MEDIA_TYPE],
    },
    Route {
        request: Request::Why,
        path: "/api/v1/why",
        about: "Why a channel is or is not archived.",
        parameters: &[CHANNEL, MATCH, JSON_ONLY],
        produces: JSON,
    },
    Route {
        request: Request::Status,
        path: "/api/v1/status",
        about: "How the engine is doing.",
        parameters: &[],
        produces: JSON,
    },
    Route {
        request: Request::Metrics,
        path: "/metrics",
        about: "Counters for Prometheus.",
        parameters: &[],
        produces: &["application/openmetrics-text; version=1.0.0; charset=utf-8"],
    },
    Route {
        request: Request::Live,
        path: "/health/live",
        about: "200 while the process runs.",
        parameters: &[],
        produces: JSON,
    },
    Route {
        request: Request::Ready,
        path: "/health/ready",
        about: "200 when requests are answered and samples recorded, else 503 with the reasons.",
        parameters: &[],
        produces: JSON,
    },
    Route {
        request: Request::OpenApi,
        path: "/openapi.json",
        about: "This interface as an OpenAPI document.",
        parameters: &[],
        produces: JSON,
    },
];

/// The request at `path`, if there is one.
pub(crate) fn find(path: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.path == path)
}

/// The row of a request.
///
/// # Panics
/// Never: every request has a row, as a test checks.
pub(crate) fn row(request: Request) -> &'static Route {
    ROUTES.iter().find(|route| route.request == request).expect("every request has a row")
}
