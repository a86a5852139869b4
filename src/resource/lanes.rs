//! Lanes: the division of a resource between groups of requests.

use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

use http::HeaderValue;

use crate::admission::{Attributes, LaneHash, LaneId, LaneRule, LaneRules, Sharing};

/// The lane of a request: the name of a declared [`Lane`], or a key such as a tenant, a user or an
/// API key.
///
/// Converts from strings, numbers and header values. It borrows them, except a `String`, which it
/// owns. `None` converts into [no lane](Self::none). A request stores a hash of the key, which is
/// seeded once per process, so that a client cannot construct a key that collides with another
/// client's.
///
/// Processes that share a limit need the same hash. For a set with a shared resource a second hash
/// is computed: the first 64 bits of the SHA-1 of a string's or header value's bytes, or of a
/// number's decimal digits, so that `4711_u64` and `"4711"` are the same lane there.
///
/// Names and keys are in one namespace: a header value that equals the name of a declared lane
/// selects that lane. Use authenticated values as keys. A client that can invent keys gets a share
/// for each.
///
/// ```
/// use tower_concurrency_limiter::LaneKey;
///
/// let by_name: LaneKey<'_> = "batch".into();
/// let by_tenant: LaneKey<'_> = 4711_u64.into();
/// let headers = http::HeaderMap::new();
/// let by_header: LaneKey<'_> = headers.get("x-tenant").into();
/// assert_eq!(by_header, LaneKey::none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LaneKey<'a>(Option<Key<'a>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key<'a> {
    Bytes(Cow<'a, [u8]>),
    Number(u64),
}

impl Key<'_> {
    /// The hash within this process.
    fn id(&self) -> LaneId {
        static SEED: OnceLock<RandomState> = OnceLock::new();
        let seed = SEED.get_or_init(RandomState::new);
        LaneId::new(match self {
            Self::Bytes(bytes) => seed.hash_one(&**bytes),
            Self::Number(number) => seed.hash_one(number),
        })
    }

    /// The hash that is the same in all processes.
    #[cfg(feature = "redis")]
    fn hash(&self) -> Option<LaneHash> {
        Some(match self {
            Self::Bytes(bytes) => LaneHash::of(bytes),
            Self::Number(number) => LaneHash::of_number(*number),
        })
    }

    #[cfg(not(feature = "redis"))]
    fn hash(&self) -> Option<LaneHash> {
        None // no resource is shared
    }
}

impl LaneKey<'_> {
    /// Selects no lane: the request is in that of [`Lanes::with_others`], or else in the first.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Sets the lane of a request. `is_shared`: whether its set has a shared resource.
    pub(crate) fn claim(&self, claims: &mut Attributes, is_shared: bool) {
        claims.lane = self.0.as_ref().map(Key::id);
        claims.lane_hash = match is_shared {
            true => self.0.as_ref().and_then(Key::hash),
            false => None,
        };
    }
}

impl<'a> From<&'a str> for LaneKey<'a> {
    #[inline]
    fn from(name: &'a str) -> Self {
        Self(Some(Key::Bytes(Cow::Borrowed(name.as_bytes()))))
    }
}

impl<'a> From<&'a String> for LaneKey<'a> {
    #[inline]
    fn from(name: &'a String) -> Self {
        name.as_str().into()
    }
}

impl From<String> for LaneKey<'_> {
    #[inline]
    fn from(name: String) -> Self {
        Self(Some(Key::Bytes(Cow::Owned(name.into_bytes()))))
    }
}

impl From<u64> for LaneKey<'_> {
    #[inline]
    fn from(key: u64) -> Self {
        Self(Some(Key::Number(key)))
    }
}

impl<'a> From<&'a HeaderValue> for LaneKey<'a> {
    #[inline]
    fn from(value: &'a HeaderValue) -> Self {
        Self(Some(Key::Bytes(Cow::Borrowed(value.as_bytes()))))
    }
}

impl<T: Into<Self>> From<Option<T>> for LaneKey<'_> {
    fn from(key: Option<T>) -> Self {
        key.map_or(Self::none(), Into::into)
    }
}

/// A lane: a group of requests that has one share of a resource.
///
/// ```
/// use tower_concurrency_limiter::Lane;
///
/// let user = Lane::new("user").weight(3).reserve(2); // three shares, two reserved units
/// let batch = Lane::new("batch").max(5); // one share, at most five units
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    pub(crate) name: String,
    pub(crate) weight: u32,
    pub(crate) max: Option<usize>,
    pub(crate) reserve: usize,
}

impl Lane {
    /// Creates a lane of weight 1.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            weight: 1,
            max: None,
            reserve: 0,
        }
    }

    /// Sets the weight, 1 or more: the share of the lane relative to the others while requests
    /// wait. Default: 1.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets how many units the lane can have in use at once, 1 or more, even if others are idle.
    /// Default: unbounded.
    ///
    /// A request that claims more units than this blocks nothing, and waits until its deadline.
    pub fn max(mut self, units: usize) -> Self {
        self.max = Some(units);
        self
    }

    /// Reserves units for the lane, which no other lane gets even while they are idle. Default: 0.
    ///
    /// Units held by the lane count against the reserve: while it holds as many or more, none are
    /// left idle.
    pub fn reserve(mut self, units: usize) -> Self {
        self.reserve = units;
        self
    }

    pub(crate) fn rule(&self) -> LaneRule {
        LaneRule {
            weight: self.weight,
            max: self
                .max
                .map_or(u32::MAX, |max| u32::try_from(max).unwrap_or(u32::MAX)),
        }
    }

    pub(super) fn id(&self) -> LaneId {
        Key::Bytes(Cow::Borrowed(self.name.as_bytes())).id()
    }

    /// The hash that is the same in all processes.
    #[cfg(feature = "redis")]
    pub(crate) fn hash(&self) -> LaneHash {
        LaneHash::of(self.name.as_bytes())
    }
}

/// The lanes of a resource: how it is divided between groups of requests while requests wait.
///
/// This is weighted fair queueing. A grant charges its lane the units divided by the lane's weight,
/// and the lane that has been charged least is served next. A burst in one lane does not starve
/// another. A lane that was idle is not compensated.
///
/// | | [`shared`](Self::shared) | [`strict`](Self::strict) |
/// |---|---|---|
/// | one lane busy | gets all unreserved units, up to its `max` | gets its portion by weight |
/// | all lanes busy | each gets its share of the grants | each has its portion of the units |
/// | use it | by default | if latency must not depend on other lanes |
///
/// A request with a key that is not the name of a declared lane is in the lane of its
/// [key](Self::keyed) if there are such lanes, else in that of [`with_others`](Self::with_others),
/// else in the first. A request without a key is in the lane of `with_others`, else in the first.
///
/// Priorities, and then the order of arrival, decide within a lane only. The lanes share the bound
/// on the length of the queue. If it is full, the newest request of the lane with the most waiters
/// for its weight is [shed](crate::Reason::Shed) for a request of a lane with fewer, so that no
/// lane fills the queue.
///
/// The algorithm is start-time fair queueing (Goyal, Vin and Cheng, 1996).
///
/// ```
/// use tower_concurrency_limiter::{Lane, Lanes, Resource};
///
/// let db = Resource::builder("db")
///     .concurrency(20)
///     .lanes(Lanes::shared([Lane::new("user").weight(3), Lane::new("batch")]))
///     .build();
///
/// // One lane for each tenant, at most a thousand of them.
/// let api = Resource::builder("api").concurrency(20).lanes(Lanes::keyed(1_000)).build();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lanes {
    pub(crate) sharing: Sharing,
    pub(crate) declared: Vec<Lane>,
    pub(crate) others: Option<Lane>,
    pub(crate) keys: Option<usize>,
}

impl Lanes {
    /// Creates lanes that lend each other the units they do not use.
    pub fn shared(lanes: impl IntoIterator<Item = Lane>) -> Self {
        Self {
            sharing: Sharing::Shared,
            declared: lanes.into_iter().collect(),
            others: None,
            keys: None,
        }
    }

    /// Creates lanes with a fixed portion of the limit each, by weight, at least one unit. Portions
    /// are rounded by largest remainder, so that they add up to the limit.
    ///
    /// A request that claims more than its portion waits until its deadline. If the limit changes,
    /// the portions follow it, down to one unit each.
    pub fn strict(lanes: impl IntoIterator<Item = Lane>) -> Self {
        Self {
            sharing: Sharing::Strict,
            ..Self::shared(lanes)
        }
    }

    /// Creates a lane for each key of the requests: a tenant, a user, an API key.
    ///
    /// At most `keys` lanes are stored, at about 250 bytes each. An idle lane is replaced if
    /// another is needed. If all are in use, further keys share them.
    pub fn keyed(keys: usize) -> Self {
        Self::shared([]).with_keyed(keys)
    }

    /// Adds a lane for each key that is not the name of a declared lane; see
    /// [`keyed`](Self::keyed). Each has the weight and `max` of [`with_others`](Self::with_others),
    /// if that is set.
    pub fn with_keyed(mut self, keys: usize) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets the lane of requests that are in none of the declared lanes. Its name has no effect. It
    /// cannot have a reserve; declare a lane for that.
    pub fn with_others(mut self, lane: Lane) -> Self {
        self.others = Some(lane);
        self
    }

    pub(super) fn rules(&self) -> LaneRules {
        let others = self.others.as_ref().map(Lane::rule);
        LaneRules {
            sharing: self.sharing,
            declared: self.declared.iter().map(|l| (l.id(), l.rule())).collect(),
            others,
            keyed: self.keys.map(|keys| (others.unwrap_or_default(), keys)),
        }
    }
}
