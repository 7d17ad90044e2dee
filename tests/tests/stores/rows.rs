//! The rows of the table: what breaks, when, how often, and what the command makes of it.

use anyhow::Result;
use vb_tests::proxy::{Fault, Request};
use vb_tests::servers::GcsServer;
use vb_tests::stock::Stock;

/// A store behind HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    SeaweedFs,
    Azurite,
    /// Keeps conditions; asked how far an upload is, it ends it there.
    FakeGcs,
    /// Knows how far an upload is, and compares checksums; ignores conditions.
    GcpEmulator,
}

/// The command that runs while it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Put,
    Get,
}

/// The request that is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Begin,
    Part,
    Commit,
    Manifest,
    ReadData,
    ReadManifest,
}

/// What breaks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Broken {
    /// Nobody listens.
    Refused,
    /// Nobody listens at first.
    RefusedAtFirst,
    /// This request, so; without a fault none.
    Http(Moment, Option<Fault>),
    /// The server's own words for: slow down.
    Busy(Moment),
    /// For: your clock is wrong.
    Skewed(Moment),
    /// For: your credentials have lapsed.
    Expired(Moment),
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    Once,
    /// All tries of one request, and none after it.
    Tries,
    Always,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) command: Command,
    pub(crate) fault: Broken,
    pub(crate) times: Times,
    /// The exit code.
    pub(crate) code: i32,
    /// What the run must take at least, in seconds.
    pub(crate) least_seconds: u64,
    /// Objects without a manifest that stay for vb-prune.
    pub(crate) litter: usize,
}

const fn put(name: &'static str, fault: Broken, times: Times, code: i32) -> Row {
    Row { name, command: Command::Put, fault, times, code, least_seconds: 0, litter: 0 }
}

const fn get(name: &'static str, fault: Broken, times: Times, code: i32) -> Row {
    Row { name, command: Command::Get, fault, times, code, least_seconds: 0, litter: 0 }
}

const fn at(moment: Moment, fault: Fault) -> Broken {
    Broken::Http(moment, Some(fault))
}

const fn status(status: u16) -> Fault {
    Fault::Answer(status, "", "")
}

use Moment::{Begin, Commit, Manifest, Part, ReadData, ReadManifest};
use Times::{Always, Once, Tries};

/// All of them.
pub(crate) const ROWS: &[Row] = &[
    put("connection refused", Broken::Refused, Always, 8),
    put("connection refused at first", Broken::RefusedAtFirst, Once, 0),
    put("reset in the middle of a part", at(Part, Fault::Reset), Once, 0),
    put("reset in the middle of every part", at(Part, Fault::Reset), Always, 8),
    put("a part's answer stalls", at(Part, Fault::Stall), Once, 0),
    put("every part's answer stalls", at(Part, Fault::Stall), Always, 8),
    put("500 to a part", at(Part, status(500)), Once, 0),
    put("500 to every part", at(Part, status(500)), Always, 8),
    put("slow down", Broken::Busy(Part), Once, 0),
    put("always slow down", Broken::Busy(Part), Always, 8),
    Row {
        least_seconds: 2,
        ..put("429 with Retry-After", at(Part, Fault::Answer(429, "retry-after: 2\r\n", "")), Once, 0)
    },
    put("always 429", at(Part, status(429)), Always, 8),
    put("408 to a part", at(Part, status(408)), Once, 0),
    put("a bit flips on its way up", at(Part, Fault::FlipUp), Once, 0),
    put("a bit of the manifest flips on its way up", at(Manifest, Fault::FlipUp), Once, 0),
    put("a bit of the commit flips on its way up", at(Commit, Fault::FlipUp), Once, 0),
    put("the answer to the beginning is lost", at(Begin, Fault::LoseAnswer), Once, 0),
    put("the answer to a part is lost", at(Part, Fault::LoseAnswer), Once, 0),
    put("the answer to the commit is lost", at(Commit, Fault::LoseAnswer), Once, 0),
    put("the answer to the manifest is lost", at(Manifest, Fault::LoseAnswer), Once, 0),
    // The manifest may still arrive, and must not lose its data then.
    Row { litter: 1, ..put("503 to every manifest", at(Manifest, status(503)), Always, 8) },
    put("503 to every try of the commit", at(Commit, status(503)), Tries, 8),
    put("this machine's clock is wrong", Broken::Skewed(Begin), Always, 7),
    put("the credentials lapse in the middle of the upload", Broken::Expired(Part), Always, 7),
    get("503 to a read", at(ReadData, status(503)), Once, 0),
    get("503 to every read", at(ReadData, status(503)), Always, 8),
    get("an answer is cut off", at(ReadData, Fault::CutAnswer), Once, 0),
    get("every answer is cut off", at(ReadData, Fault::CutAnswer), Always, 8),
    get("the last byte of an answer is missing", at(ReadData, Fault::CutLastByte), Once, 0),
    get("the last byte of every answer is missing", at(ReadData, Fault::CutLastByte), Always, 8),
    get("an answer stalls in its middle", at(ReadData, Fault::StallAnswer), Once, 0),
    get("a bit flips on its way down", at(ReadData, Fault::FlipDown), Once, 6),
    get("a manifest is cut off on its way down", at(ReadManifest, Fault::CutAnswer), Once, 0),
    get("a bit of the manifest flips on its way down", at(ReadManifest, Fault::FlipDown), Once, 0),
];

impl Column {
    /// An empty store.
    pub(crate) fn stock(self) -> Result<Stock> {
        match self {
            Self::SeaweedFs => Stock::on_s3("cell"),
            Self::Azurite => Stock::on_azure("cell"),
            Self::FakeGcs => Stock::on_gcs("cell"),
            Self::GcpEmulator => Ok(Stock::Gcs(GcsServer::emulator()?.create_bucket("cell")?)),
        }
    }

    /// Whether the request is of this moment. Azure's first block holds one byte: it is the beginning.
    pub(crate) fn is_at(self, moment: Moment, request: &Request) -> bool {
        let range = |part: &str| {
            let headers = request.headers.to_lowercase();
            headers.lines().any(|line| line.starts_with("content-range:") && line.contains(part))
        };
        let asks = || range("bytes */");
        match (self, moment) {
            (Self::SeaweedFs, Begin) => request.has(&["POST ", "?uploads"]),
            (Self::SeaweedFs, Part) => request.has(&["PUT ", "partNumber="]),
            (Self::SeaweedFs, Commit) => request.has(&["POST ", "uploadId="]),
            (Self::Azurite, Begin) => request.has(&["PUT ", "blockid="]) && request.length == 1,
            (Self::Azurite, Part) => request.has(&["PUT ", "blockid="]) && request.length > 1,
            (Self::Azurite, Commit) => request.has(&["PUT ", "comp=blocklist"]),
            (Self::SeaweedFs | Self::Azurite, Manifest) => request.has(&["PUT ", "_metadata.json"]),
            (_, Begin) => request.has(&["POST ", "uploadType=resumable"]),
            (_, Part) => request.has(&["PUT ", "upload_id="]) && range("/*") && !asks(),
            (_, Commit) => request.has(&["PUT ", "upload_id="]) && !range("/*") && !asks(),
            (_, Manifest) => request.has(&["POST ", "uploadType=multipart"]),
            (_, ReadData) => {
                request.has(&["GET ", "noise_"]) && !request.has(&["_metadata.json"]) && self.reads(request)
            }
            (_, ReadManifest) => request.has(&["GET ", "_metadata.json"]) && self.reads(request),
        }
    }

    /// The bytes, not the description.
    fn reads(self, request: &Request) -> bool {
        matches!(self, Self::SeaweedFs | Self::Azurite) || request.has(&["alt=media"])
    }

    /// How many requests of a moment pass before one is hit: gcp-storage-emulator, asked how far an upload is of which it has nothing,
    /// says that it has a byte.
    pub(crate) fn passes(self, moment: Moment) -> usize {
        usize::from(self == Self::GcpEmulator && moment == Part)
    }

    /// What this server says of a request that comes at a bad time.
    pub(crate) fn busy(self) -> Fault {
        self.one_of([
            (503, "", "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"),
            (
                503,
                "x-ms-error-code: ServerBusy\r\n",
                "<Error><Code>ServerBusy</Code><Message>The server is busy.</Message></Error>",
            ),
            (429, "", r#"{"error": {"message": "Slow down.", "errors": [{"reason": "rateLimitExceeded"}]}}"#),
        ])
    }

    /// What it says of a request whose time is another one than its own.
    pub(crate) fn skewed(self) -> Fault {
        self.one_of([
            (
                403,
                "",
                "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message></Error>",
            ),
            (
                403,
                AZURE_REFUSES,
                "<Error><Code>AuthenticationFailed</Code><Message>Request date header too old.</Message></Error>",
            ),
            GOOGLE_REFUSES,
        ])
    }

    /// What it says of credentials that were good once.
    pub(crate) fn expired(self) -> Fault {
        self.one_of([
            (400, "", "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"),
            (
                403,
                AZURE_REFUSES,
                "<Error><Code>AuthenticationFailed</Code><Message>Signature not valid in the specified time frame.</Message></Error>",
            ),
            GOOGLE_REFUSES,
        ])
    }

    /// The answer of Amazon, of Azure or of Google.
    fn one_of(self, [amazon, azure, google]: [Answer; 3]) -> Fault {
        let (status, headers, body) = match self {
            Self::SeaweedFs => amazon,
            Self::Azurite => azure,
            Self::FakeGcs | Self::GcpEmulator => google,
        };
        Fault::Answer(status, headers, body)
    }

    /// The exit code where this server cannot do what the row asks of it, and why.
    pub(crate) fn exception(self, row: &Row) -> Option<(i32, &'static str)> {
        let Broken::Http(moment, fault) = row.fault else {
            let asks = self == Self::FakeGcs && matches!(row.fault, Broken::Busy(Part));
            return asks.then_some((6, ENDS_EARLY));
        };
        let flips_up = matches!(fault?, Fault::FlipUp);
        match self {
            Self::FakeGcs if moment == Part && !flips_up => Some((6, ENDS_EARLY)),
            Self::FakeGcs if moment == Commit && row.times == Tries => Some((6, ENDS_EARLY)),
            Self::FakeGcs | Self::GcpEmulator if matches!(moment, Part | Commit) && flips_up => {
                Some((6, "Google compares at the end of an upload"))
            }
            _ => None,
        }
    }
}

/// Status, headers, body.
type Answer = (u16, &'static str, &'static str);

const AZURE_REFUSES: &str = "x-ms-error-code: AuthenticationFailed\r\n";
const GOOGLE_REFUSES: Answer =
    (401, "", r#"{"error": {"message": "Invalid Credentials", "errors": [{"reason": "authError"}]}}"#);

const ENDS_EARLY: &str = "asked how far the upload is, it ends it there";
