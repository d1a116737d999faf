//! `usage.thresholds`: who is told when somebody has relayed how much.

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::entries::{Secrets, bracketed, quote};
use crate::reader::Section;
use crate::secret::Secret;
use crate::server_key::optional;
use crate::store_source::token;
use crate::url::Url;
use crate::values;
use crate::volume::Volume;

/// An amount of relayed payload, both ways together, at which a webhook is called once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// The amount, 1 kB at least.
    pub bytes: u64,
    /// Whose payload is summed.
    pub per: Per,
    /// The one that is meant; nothing: each of them. Default: nothing.
    pub name: Option<String>,
    /// From when on it is summed. Default: this month.
    pub period: Period,
    /// What is called; an `https` URL, or an `http` one.
    pub webhook: Secret,
    /// What it is shown as bearer token. Default: none.
    pub token: Option<Secret>,
}

/// By what usage is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// The user.
    User,
    /// The managed credential.
    Credential,
    /// The label of a credential.
    Label,
    /// The tenant.
    Tenant,
    /// The realm.
    Realm,
}

/// Since when usage is summed; days are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// The day.
    Day,
    /// The calendar month.
    Month,
}

impl Threshold {
    pub(crate) fn read_all(section: &mut Section<'_, '_>) -> Vec<Self> {
        let shown = ["bytes", "per", "name", "period"];
        let read = section.hidden_tables("thresholds", &shown, HELP, |item| {
            (Self::read(item), item.span_of("bytes"))
        });
        let read = read.unwrap_or_default();
        if read.len() > MOST {
            let complaint = Complaint::new(
                format!("more than {MOST} thresholds"),
                "leave the name out: one threshold then stands for each user or tenant",
            );
            section.complain("thresholds", section.span_of("thresholds"), complaint);
        }
        let mut kept: Vec<Self> = Vec::new();
        for (threshold, span) in read {
            let Some(threshold) = threshold else { continue };
            if kept.contains(&threshold) {
                let complaint = Complaint::new("listed twice", "name each threshold once");
                section.complain("thresholds", span, complaint);
            }
            kept.push(threshold);
        }
        kept
    }

    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        for key in ["bytes", "per", "webhook"] {
            if !section.has(key) {
                let complaint = Complaint::new(format!("\"{key}\" is missing"), HELP);
                section.complain(key, section.span(), complaint);
            }
        }
        let bytes = section.value("bytes", Volume::read).map(Volume::bytes);
        let per = section.value("per", |value| values::choice(value, &Per::NAMES));
        let name = section.value("name", name);
        let period = section.value("period", |value| values::choice(value, &Period::NAMES));
        let webhook = section.value("webhook", webhook);
        let token = section.value("token", token);
        Some(Self {
            bytes: bytes?,
            per: per?,
            name,
            period: period.unwrap_or(Period::Month),
            webhook: webhook?,
            token,
        })
    }

    /// Whether what is told crosses a network in clear text.
    pub(crate) fn is_in_clear_text(&self) -> bool {
        let url = Url::parse(self.webhook.reveal());
        url.is_some_and(|url| url.scheme == "http" && !url.is_loopback())
    }

    pub(crate) fn write_all(thresholds: &[Self], secrets: Secrets) -> String {
        bracketed(thresholds.iter().enumerate().map(|(index, threshold)| {
            let (webhook, token) = match secrets {
                Secrets::Revealed => {
                    let token = threshold.token.as_ref().map(|token| token.reveal().to_owned());
                    (threshold.webhook.reveal().to_owned(), token)
                }
                Secrets::Redacted => {
                    // With its number, so that no two are the same.
                    let url = Url::parse(threshold.webhook.reveal());
                    let server = url.map(|url| url.redacted_to_server()).unwrap_or_default();
                    (
                        format!("{server}?threshold={index}"),
                        threshold.token.as_ref().map(|_| "(token)".to_owned()),
                    )
                }
            };
            format!(
                "{{ bytes = {}, per = {}{}, period = {}, webhook = {}{} }}",
                quote(Volume::from_bytes(threshold.bytes)),
                quote(threshold.per.name()),
                optional("name", threshold.name.as_deref()),
                quote(threshold.period.name()),
                quote(webhook),
                optional("token", token.as_deref()),
            )
        }))
    }
}

impl Per {
    const NAMES: [(&str, Self); 5] = [
        ("user", Self::User),
        ("credential", Self::Credential),
        ("label", Self::Label),
        ("tenant", Self::Tenant),
        ("realm", Self::Realm),
    ];

    /// As the file and the webhook have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Credential => "credential",
            Self::Label => "label",
            Self::Tenant => "tenant",
            Self::Realm => "realm",
        }
    }
}

impl Period {
    const NAMES: [(&str, Self); 2] = [("day", Self::Day), ("month", Self::Month)];

    /// As the file and the webhook have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

fn name(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = values::text(value, "app")?;
    if text.is_empty() || text.len() > 508 || text.contains(char::is_control) {
        return Err(Complaint::new(
            "not a name",
            "write a user, label, tenant or realm, or leave it out for each of them",
        ));
    }
    Ok(text.to_owned())
}

fn webhook(value: &DeValue<'_>) -> Result<Secret, Complaint> {
    let Some(text) = value.as_str() else {
        return Err(Complaint::wrong_type("a string", value, "write the URL in quotes"));
    };
    let url = Url::parse(text).filter(|url| !url.host.is_empty());
    if !url.is_some_and(|url| ["http", "https"].contains(&url.scheme)) {
        return Err(Complaint::new(
            "not the URL of a webhook",
            "write an https URL, such as \"https://app.example/turn-usage\"",
        ));
    }
    Ok(Secret::new(text))
}

const HELP: &str = "write thresholds = [{ bytes = \"1 TB\", per = \"tenant\", period = \"month\", \
                    webhook = \"https://app.example/turn-usage\" }]";

/// Each is judged for everybody, again and again.
const MOST: usize = 256;
