//! What the clouds call a public address. Oracle's service tells none: name a STUN server there.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::Assigned;
use super::http::{ask, get};

/// How a cloud answers; the earlier ones know more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dialect {
    /// Google Cloud.
    Google,
    /// Microsoft Azure.
    Azure,
    /// DigitalOcean.
    DigitalOcean,
    /// Hetzner Cloud.
    Hetzner,
    /// Amazon EC2, and OpenStack, which speaks the same.
    Ec2,
}

impl Dialect {
    pub(super) const ALL: [Self; 5] =
        [Self::Google, Self::Azure, Self::DigitalOcean, Self::Hetzner, Self::Ec2];

    /// What this dialect's paths say; nothing where the service does not speak it.
    pub(super) async fn ask(self, service: SocketAddr) -> Vec<Assigned> {
        let assigned = match self {
            Self::Google => google(service).await,
            Self::Azure => azure(service).await,
            Self::DigitalOcean => digital_ocean(service).await,
            Self::Hetzner => hetzner(service).await,
            Self::Ec2 => ec2(service).await,
        };
        assigned.unwrap_or_default()
    }
}

async fn google(service: SocketAddr) -> Option<Vec<Assigned>> {
    let path = "/computeMetadata/v1/instance/network-interfaces/?recursive=true";
    let answer = get(service, path, &[("metadata-flavor", "Google")]).await?;
    let interfaces: Value = serde_json::from_str(&answer.text).ok().filter(|_| answer.is_google)?;
    let mut assigned = Vec::new();
    for interface in items(&interfaces) {
        let local = address(at(interface, "/ip"));
        for access in items(at(interface, "/accessConfigs")) {
            assigned.extend(pair(local, address(at(access, "/externalIp"))));
        }
        // Public ones are on the interface itself.
        for ipv6 in items(at(interface, "/ipv6s")) {
            assigned.extend(pair(address(ipv6), address(ipv6)));
        }
    }
    Some(assigned)
}

async fn azure(service: SocketAddr) -> Option<Vec<Assigned>> {
    let headers = [("metadata", "true")];
    let mut assigned = Vec::new();
    // Addresses of the basic kind are on the interface, those of the standard kind under the load
    // balancer, even where there is none.
    let path = "/metadata/instance/network/interface?api-version=2021-02-01";
    if let Some(answer) = get(service, path, &headers).await {
        let interfaces: Value = serde_json::from_str(&answer.text).ok()?;
        for interface in items(&interfaces) {
            for list in ["/ipv4/ipAddress", "/ipv6/ipAddress"] {
                for entry in items(at(interface, list)) {
                    let local = address(at(entry, "/privateIpAddress"));
                    assigned.extend(pair(local, address(at(entry, "/publicIpAddress"))));
                }
            }
        }
    }
    let path = "/metadata/loadbalancer?api-version=2020-10-01";
    if let Some(answer) = get(service, path, &headers).await {
        let balancer: Value = serde_json::from_str(&answer.text).ok()?;
        for entry in items(at(&balancer, "/loadbalancer/publicIpAddresses")) {
            let local = address(at(entry, "/privateIpAddress"));
            assigned.extend(pair(local, address(at(entry, "/frontendIpAddress"))));
        }
    }
    Some(assigned)
}

async fn digital_ocean(service: SocketAddr) -> Option<Vec<Assigned>> {
    let answer = get(service, "/metadata/v1.json", &[]).await?;
    let droplet: Value = serde_json::from_str(&answer.text).ok()?;
    let mut assigned = Vec::new();
    for interface in items(at(&droplet, "/interfaces/public")) {
        // What is reserved leads to the anchor; the droplet's own is on the interface.
        for reserved in ["/reserved_ip/ipv4", "/floating_ip/ipv4"] {
            let reserved = at(&droplet, reserved);
            if *at(reserved, "/active") == Value::Bool(true) {
                let anchor = address(at(interface, "/anchor_ipv4/ip_address"));
                assigned.extend(pair(anchor, address(at(reserved, "/ip_address"))));
            }
        }
        for own in ["/ipv4/ip_address", "/ipv6/ip_address"] {
            let own = address(at(interface, own));
            assigned.extend(pair(own, own));
        }
    }
    Some(assigned)
}

async fn hetzner(service: SocketAddr) -> Option<Vec<Assigned>> {
    let public = get(service, "/hetzner/v1/metadata/public-ipv4", &[]).await?;
    Some(pair(None, public.text.parse().ok()).into_iter().collect())
}

async fn ec2(service: SocketAddr) -> Option<Vec<Assigned>> {
    const ROOT: &str = "/latest/meta-data";
    let wish = [("x-aws-ec2-metadata-token-ttl-seconds", "60")];
    let token = ask(service, "PUT", "/latest/api/token", &wish).await;
    let token = token.filter(|answer| answer.status == 200).map(|answer| answer.text);
    // OpenStack, and instances that still allow the first version, have no token.
    let headers: Vec<_> =
        token.iter().map(|token| ("x-aws-ec2-metadata-token", token.as_str())).collect();
    let read = async |path: &str| {
        let answer = get(service, &format!("{ROOT}/{path}"), &headers).await?;
        answer.text.parse::<IpAddr>().ok()
    };
    let mut assigned = Vec::new();
    if let Some(public) = read("public-ipv4").await {
        assigned.push(Assigned { local: read("local-ipv4").await, public });
    }
    if let Some(ipv6) = read("ipv6").await {
        assigned.push(Assigned { local: Some(ipv6), public: ipv6 });
    }
    Some(assigned)
}

fn pair(local: Option<IpAddr>, public: Option<IpAddr>) -> Option<Assigned> {
    public.map(|public| Assigned { local, public })
}

/// What is at a path (RFC 6901); null where there is nothing.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

/// The elements of an array; none where it is no array.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::addresses;
    use super::*;
    use crate::fake_http::FakeHttp;

    #[tokio::test]
    async fn amazon_wants_a_token() {
        let cloud = FakeHttp::start(&[
            ("PUT /latest/api/token +x-aws-ec2-metadata-token-ttl-seconds: 60", 200, "t0ken"),
            (
                "GET /latest/meta-data/public-ipv4 +x-aws-ec2-metadata-token: t0ken",
                200,
                "203.0.113.5",
            ),
            ("GET /latest/meta-data/local-ipv4 +x-aws-ec2-metadata-token: t0ken", 200, "10.0.0.5"),
            ("GET /latest/meta-data/ipv6 +x-aws-ec2-metadata-token: t0ken", 200, "2001:db8::5"),
        ]);
        let expected = [to("10.0.0.5", "203.0.113.5"), to("2001:db8::5", "2001:db8::5")];
        assert_eq!(addresses(cloud.address()).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn openstack_has_no_token() {
        let cloud = FakeHttp::start(&[
            ("GET /latest/meta-data/public-ipv4", 200, "203.0.113.5\n"),
            ("GET /latest/meta-data/local-ipv4", 200, "10.0.0.5"),
        ]);
        assert_eq!(addresses(cloud.address()).await.unwrap(), [to("10.0.0.5", "203.0.113.5")]);
    }

    #[tokio::test]
    async fn google_names_every_interface_and_shows_itself() {
        let path = "GET /computeMetadata/v1/instance/network-interfaces/?recursive=true +metadata-flavor: google";
        let body = r#"[{"ip":"10.0.0.5","accessConfigs":[{"externalIp":"203.0.113.5","type":"ONE_TO_ONE_NAT"}],
            "ipv6s":["2001:db8::5"]},{"ip":"10.1.0.5","accessConfigs":[{"externalIp":""}]}]"#;
        let cloud = FakeHttp::start(&[(path, 200, body)]);
        let expected = [to("10.0.0.5", "203.0.113.5"), to("2001:db8::5", "2001:db8::5")];
        assert_eq!(addresses(cloud.address()).await.unwrap(), expected);
        let stranger = FakeHttp::plain(&[(path, 200, body)]);
        assert!(addresses(stranger.address()).await.is_err(), "no Metadata-Flavor");
    }

    #[tokio::test]
    async fn azure_has_two_kinds_of_addresses() {
        let cloud = FakeHttp::start(&[
            (
                "GET /metadata/instance/network/interface?api-version=2021-02-01 +metadata: true",
                200,
                r#"[{"ipv4":{"ipAddress":[{"privateIpAddress":"10.0.0.5","publicIpAddress":"203.0.113.5"},
                    {"privateIpAddress":"10.0.0.6","publicIpAddress":""}]},"ipv6":{"ipAddress":[]}}]"#,
            ),
            (
                "GET /metadata/loadbalancer?api-version=2020-10-01 +metadata: true",
                200,
                r#"{"loadbalancer":{"publicIpAddresses":[{"frontendIpAddress":"203.0.113.6",
                    "privateIpAddress":"10.0.0.6"}],"inboundRules":[],"outboundRules":[]}}"#,
            ),
        ]);
        let expected = [to("10.0.0.5", "203.0.113.5"), to("10.0.0.6", "203.0.113.6")];
        assert_eq!(addresses(cloud.address()).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_droplets_reserved_address_leads_to_its_anchor() {
        let body = r#"{"interfaces":{"public":[{"ipv4":{"ip_address":"203.0.113.5"},
            "ipv6":{"ip_address":"2001:0db8:0000:0000:0000:0000:0000:0005"},
            "anchor_ipv4":{"ip_address":"10.17.0.5"}}]},
            "floating_ip":{"ipv4":{"active":true,"ip_address":"203.0.113.6"}},
            "reserved_ip":{"ipv4":{"active":false}}}"#;
        let cloud = FakeHttp::start(&[("GET /metadata/v1.json", 200, body)]);
        let expected = [
            to("10.17.0.5", "203.0.113.6"),
            to("203.0.113.5", "203.0.113.5"),
            to("2001:db8::5", "2001:db8::5"),
        ];
        assert_eq!(addresses(cloud.address()).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn what_is_no_metadata_is_nothing() {
        let page = "<html>welcome</html>";
        let portal = FakeHttp::start(&[
            ("GET /computeMetadata/v1/instance/network-interfaces/?recursive=true", 200, page),
            ("GET /latest/meta-data/public-ipv4", 302, ""),
            ("GET /hetzner/v1/metadata/public-ipv4", 200, page),
            ("GET /metadata/v1.json", 200, "{\"interfaces\":7}"),
            ("GET /metadata/instance/network/interface?api-version=2021-02-01", 200, "[1,[]]"),
        ]);
        let error = addresses(portal.address()).await.unwrap_err();
        assert!(error.ends_with("names no public address"), "{error}");
        let endless =
            FakeHttp::start(&[("GET /latest/meta-data/public-ipv4", 200, &"1".repeat(70_000))]);
        assert!(addresses(endless.address()).await.is_err());
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let begun = std::time::Instant::now();
        assert!(addresses(silent.local_addr().unwrap()).await.is_err());
        assert!(begun.elapsed().as_secs() < 10);
    }

    fn to(local: &str, public: &str) -> Assigned {
        Assigned { local: Some(local.parse().unwrap()), public: public.parse().unwrap() }
    }
}
