//! What kind of storm it is.

/// How often things happen: in one of so many cases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) name: &'static str,
    /// Panics in each of the places where there can be one.
    pub(crate) panics: u64,
    /// Bodies that do something.
    pub(crate) antics: u64,
    /// Jobs that have times of their own.
    pub(crate) deadlines: u64,
    /// Handles that are used for anything but waiting, in hundredths.
    pub(crate) handling: u64,
    /// The system gives a thread one time in two.
    pub(crate) few_threads: bool,
    /// Storms are short, and end in the middle.
    pub(crate) short: bool,
}

const MIXED: Weather = Weather {
    name: "mixed",
    panics: 128,
    antics: 24,
    deadlines: 24,
    handling: 40,
    few_threads: false,
    short: false,
};

impl Weather {
    pub(crate) const MIXED: Self = MIXED;
    pub(crate) const PANICS: Self =
        Self { name: "panics", panics: 8, antics: 6, deadlines: 12, handling: 60, ..MIXED };
    pub(crate) const STOPS: Self =
        Self { name: "stops", antics: 4, deadlines: 3, handling: 90, ..MIXED };
    pub(crate) const FEW_THREADS: Self =
        Self { name: "few threads", few_threads: true, short: true, ..MIXED };
    pub(crate) const ENDS: Self =
        Self { name: "ends", panics: 32, antics: 12, handling: 60, short: true, ..MIXED };
}
