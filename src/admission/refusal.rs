//! Why a request is not admitted.

/// Why a request is not admitted. Resources are indices in canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its deadline came while it waited.
    Timeout {
        resource: u32,
        by_rate: bool,
    },
    /// It does not fit, and has no time to wait.
    NotNow {
        resource: u32,
        by_rate: bool,
    },
    /// The requests before it would make it wait past its deadline.
    WouldTimeOut {
        resource: u32,
        by_rate: bool,
    },
    QueueFull {
        resource: u32,
        by_rate: bool,
    },
    /// It left its place to another request, or to end an overload.
    Shed {
        resource: u32,
    },
    /// What enforces a limit between processes cannot be reached.
    Unavailable {
        resource: u32,
    },
    Closed,
}

impl Refusal {
    /// Where the request was refused.
    pub fn resource(self) -> Option<u32> {
        match self {
            Self::Timeout { resource, .. }
            | Self::NotNow { resource, .. }
            | Self::WouldTimeOut { resource, .. }
            | Self::QueueFull { resource, .. }
            | Self::Shed { resource }
            | Self::Unavailable { resource } => Some(resource),
            Self::Closed => None,
        }
    }

    /// Whether it was a rate that the request did not fit.
    pub fn by_rate(self) -> bool {
        match self {
            Self::Timeout { by_rate, .. }
            | Self::NotNow { by_rate, .. }
            | Self::WouldTimeOut { by_rate, .. }
            | Self::QueueFull { by_rate, .. } => by_rate,
            Self::Shed { .. } | Self::Unavailable { .. } | Self::Closed => false,
        }
    }
}
