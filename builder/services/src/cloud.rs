//! First boot data: what a service waits for that has no domain yet. The services that look for the data, ask a cloud
//! and take it over are in `units/agent/unit.toml`.

/// It never exists: with its fragment the agent renders the unit again, without this condition.
pub(crate) const FRAGMENT: &str = "/run/mailkiln/fragment";
