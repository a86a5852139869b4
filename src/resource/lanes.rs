//! How a resource is divided.

use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

use http::HeaderValue;

use crate::admission::{Attributes, LaneHash, LaneId, LaneRule, LaneRules, Sharing};

/// Which lane a request goes to: the name of a declared [`Lane`], or a key such as a tenant, a user
/// or an API key.
///
/// Made from strings, numbers and header values, which it borrows, or owns if it was given a `String`.
/// The request that it is given to keeps a hash of it. Whatever is not there (`None`) asks for no lane.
/// The hash is seeded once per process, so nobody can aim at a lane of somebody else's.
///
/// Limits that are shared between processes need a hash on which all of them agree. For a request whose set
/// has such a resource it is computed as well: the first 64 bits of the SHA-1 of a string's or header value's
/// bytes, or of a number's decimal digits, so that `4711_u64` and `"4711"` are one lane there.
///
/// Names and keys are not told apart: a header value that is the name of a declared lane is in that lane.
/// Make keys of what was authenticated, or who can make up keys has a share for each.
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
    /// Within this process.
    fn id(&self) -> LaneId {
        static SEED: OnceLock<RandomState> = OnceLock::new();
        let seed = SEED.get_or_init(RandomState::new);
        LaneId::new(match self {
            Self::Bytes(bytes) => seed.hash_one(&**bytes),
            Self::Number(number) => seed.hash_one(number),
        })
    }

    /// The same in all processes.
    #[cfg(feature = "redis")]
    fn hash(&self) -> Option<LaneHash> {
        Some(match self {
            Self::Bytes(bytes) => LaneHash::of(bytes),
            Self::Number(number) => LaneHash::of_number(*number),
        })
    }

    #[cfg(not(feature = "redis"))]
    fn hash(&self) -> Option<LaneHash> {
        None // nothing is shared
    }
}

impl LaneKey<'_> {
    /// No lane in particular.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Has a request ask for this lane; whether its set has a resource that is shared between processes.
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

/// A lane: those of a resource's requests that share one portion of it.
///
/// ```
/// use tower_concurrency_limiter::Lane;
///
/// let user = Lane::new("user").weight(3).reserve(2); // three shares, and two units that are always its own
/// let batch = Lane::new("batch").max(5); // one share, and never more than five units
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    pub(crate) name: String,
    pub(crate) weight: u32,
    pub(crate) max: Option<usize>,
    pub(crate) reserve: usize,
}

impl Lane {
    /// A lane of weight 1.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            weight: 1,
            max: None,
            reserve: 0,
        }
    }

    /// Its share, beside those of the others, while more is asked for than there is: 1 or more.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// At most this many units at once, 1 or more, however much is idle. Default: no such bound.
    ///
    /// A request that claims more than that waits until its deadline, and blocks nothing.
    pub fn max(mut self, units: usize) -> Self {
        self.max = Some(units);
        self
    }

    /// Units that nobody else gets, not even while they are idle. Default: 0.
    ///
    /// What the lane holds counts against it: while it holds as many or more, nothing is left idle for it.
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

    /// The same in all processes.
    #[cfg(feature = "redis")]
    pub(crate) fn hash(&self) -> LaneHash {
        LaneHash::of(self.name.as_bytes())
    }
}

/// The lanes of a resource: whose turn it is while more is asked for than there is.
///
/// Weighted fair queueing: a grant costs its lane the units, divided by the lane's weight, and the lane
/// that has been charged least goes next. A burst in one lane does not starve another; a lane that was idle
/// is not paid back for it.
///
/// | | [`shared`](Self::shared) | [`strict`](Self::strict) |
/// |---|---|---|
/// | a lane alone | gets all, but for what is reserved and its `max` | gets its portion by weight |
/// | all lanes busy | each gets its share of the grants | each has its portion of the units |
/// | choose it | nearly always | where latency must not depend on the neighbours |
///
/// A request that asks for a lane that is not declared is in one of its [own](Self::keyed) where there are
/// such, or else in that of [`with_others`](Self::with_others), or else in the first. One that asks for none is in that of
/// the others, or else in the first.
///
/// Within a lane, and only there, priority decides, and then the order of arrival. The bound on the length of
/// the queue is the resource's: when it is full, the youngest of the lane with most waiters for its weight
/// gives way to a request of a lane with fewer, so that no lane keeps the others out by filling it.
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
/// // One lane for each tenant, whatever they are called, and at most a thousand of them.
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
    /// Lanes that lend each other what they do not use.
    pub fn shared(lanes: impl IntoIterator<Item = Lane>) -> Self {
        Self {
            sharing: Sharing::Shared,
            declared: lanes.into_iter().collect(),
            others: None,
            keys: None,
        }
    }

    /// Lanes that each have a fixed portion of the limit by weight, at least one unit, and no more.
    /// Portions are rounded by largest remainder, so that they add up to the limit.
    ///
    /// A request that claims more than its portion waits until its deadline. Portions follow the limit when
    /// that is changed, down to one unit each.
    pub fn strict(lanes: impl IntoIterator<Item = Lane>) -> Self {
        Self {
            sharing: Sharing::Strict,
            ..Self::shared(lanes)
        }
    }

    /// A lane for each key that requests bring: a tenant, a user, an API key.
    ///
    /// At most `keys` of them are kept, at about 250 bytes each; one that nobody uses makes room for the
    /// next. Should all be in use, further keys share them.
    pub fn keyed(keys: usize) -> Self {
        Self::shared([]).with_keyed(keys)
    }

    /// Beside the declared lanes, one for each other key; see [`keyed`](Self::keyed). With
    /// [`with_others`](Self::with_others), each is as that lane.
    pub fn with_keyed(mut self, keys: usize) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The lane of all requests that ask for none of the declared ones. Its name does not matter, and it
    /// can have no reserve: declare a lane for that.
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
