//! The two routes that are compared.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Messages,
    File,
}

impl Route {
    /// By the scenario of the k6 script.
    pub(crate) fn of(scenario: &str) -> Option<Self> {
        match scenario {
            "messages" => Some(Self::Messages),
            "file" => Some(Self::File),
            _ => None,
        }
    }
}

pub(crate) type Sample = example_support::Sample<Route>;
