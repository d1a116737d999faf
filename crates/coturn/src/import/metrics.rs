//! The metrics listener, which coturn has only where it is asked for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use turn_config::ListenAt;

use super::draft::Draft;
use crate::note::NoteKind;

pub(super) fn import(draft: &mut Draft<'_>) {
    draft.config.metrics.address = ListenAt::Off;
    let port = draft.port("prometheus-port").unwrap_or(9641);
    if !draft.is_on("prometheus") {
        for name in ["prometheus-port", "prometheus-address", "prometheus-path"] {
            if let Some(setting) = draft.last(name) {
                draft.note(setting, NoteKind::Ignored, "`prometheus` is not on, as in coturn");
            }
        }
        return;
    }
    draft.config.metrics.coturn_names = true;
    draft.config.metrics.address = ListenAt::At(SocketAddr::new(address(draft), port));
    path(draft);
}

fn address(draft: &mut Draft<'_>) -> IpAddr {
    if let Some(setting) = draft.last("prometheus-address") {
        match draft.addresses_of(setting.value.reveal()).first() {
            Some(address) => return *address,
            None => draft.refuse(setting, "not an address of this host; write one"),
        }
    }
    // Of both families, where there are both.
    if draft.surroundings.addresses.iter().any(IpAddr::is_ipv6) {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

fn path(draft: &mut Draft<'_>) {
    let Some(setting) = draft.last("prometheus-path") else { return };
    let path = format!("/{}", setting.value.reveal().trim_start_matches('/'));
    let is_plain =
        path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._~-".contains(&byte));
    if is_plain && !["/healthz", "/readyz", "/version"].contains(&path.as_str()) {
        draft.config.metrics.path = path;
    } else {
        let message = "not a path that metrics can have here; they are at /metrics";
        draft.note(setting, NoteKind::Changed, message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{config, warnings};
    use super::*;

    #[test]
    fn there_are_no_metrics_unless_asked_for() {
        assert_eq!(config("").metrics.address, ListenAt::Off);
        assert_eq!(config("prometheus=0").metrics.address, ListenAt::Off);
        assert_eq!(config("prometheus-port=9641").metrics.address, ListenAt::Off);
        assert!(warnings("prometheus-port=9641").contains("`prometheus` is not on"));
    }

    #[test]
    fn address_port_and_path_are_kept_and_coturns_names_switched_on() {
        let metrics = config("prometheus").metrics;
        assert_eq!(
            metrics.address.address().map(|it| it.to_string()).as_deref(),
            Some("0.0.0.0:9641")
        );
        assert!(metrics.coturn_names && metrics.path == "/metrics");
        let text =
            "prometheus\nprometheus-port=9700\nprometheus-address=10.20.0.5\nprometheus-path=stats";
        let metrics = config(text).metrics;
        assert_eq!(
            metrics.address.address().map(|it| it.to_string()).as_deref(),
            Some("10.20.0.5:9700")
        );
        assert_eq!(metrics.path, "/stats");
        assert!(warnings("prometheus\nprometheus-path=a?b").contains("they are at /metrics"));
        assert!(warnings("prometheus\nprometheus-username-labels").contains("grows without bound"));
    }
}
