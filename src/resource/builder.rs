//! Everything that can be said about a resource.

use std::sync::Arc;

use super::{InvalidResource, Resource, SharedUsage, error::Kind};

/// Builds a [`Resource`].
///
/// ```
/// use tower_concurrency_limiter::Resource;
///
/// let disk = Resource::builder("disk").concurrency(10).max_waiting(200).build();
/// assert_eq!(disk.limit(), 10);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `.build()`"]
pub struct ResourceBuilder {
    name: Arc<str>,
    limit: Option<usize>,
    max_waiting: Option<usize>,
}

impl ResourceBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            limit: None,
            max_waiting: None,
        }
    }

    /// How many units may be in use at once, 1 to [`Resource::MAX_LIMIT`]. Required.
    pub fn concurrency(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How many requests may be queued for this resource; the next one is turned away with
    /// [`Reason::QueueFull`](crate::Reason::QueueFull). 0 means that nobody waits.
    ///
    /// Default: what [`LimiterBuilder::max_waiting`](crate::limiter::LimiterBuilder::max_waiting)
    /// says.
    pub fn max_waiting(mut self, requests: usize) -> Self {
        self.max_waiting = Some(requests);
        self
    }

    /// Builds the resource.
    ///
    /// # Panics
    ///
    /// Where [`try_build`](Self::try_build) returns an error, with its message.
    #[track_caller]
    pub fn build(self) -> Resource {
        match self.try_build() {
            Ok(resource) => resource,
            Err(error) => panic!("{error}"),
        }
    }

    /// Builds the resource.
    ///
    /// # Errors
    ///
    /// If the name is empty, or the limit missing, 0 or above [`Resource::MAX_LIMIT`].
    pub fn try_build(self) -> Result<Resource, InvalidResource> {
        if self.name.is_empty() {
            return Err(InvalidResource(Kind::EmptyName));
        }
        let Some(limit) = self.limit else {
            return Err(InvalidResource(Kind::NoLimit { name: self.name }));
        };
        if limit == 0 {
            return Err(InvalidResource(Kind::ZeroLimit { name: self.name }));
        }
        let Some(limit) = u32::try_from(limit)
            .ok()
            .filter(|&limit| limit as usize <= Resource::MAX_LIMIT)
        else {
            return Err(InvalidResource(Kind::HugeLimit {
                name: self.name,
                limit,
            }));
        };
        Ok(Resource(Arc::new(super::Inner {
            name: self.name,
            max_waiting: self.max_waiting,
            usage: SharedUsage::new(limit),
        })))
    }
}
