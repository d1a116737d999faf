//! What an operator reads when `[tls]` is wrong. [H35]

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use turn_config::{ConfigErrors, from_str};

fn errors(text: &str) -> ConfigErrors {
    from_str(text, Path::new("turnserver.toml")).unwrap_err()
}

/// `key: message | help` of each mistake.
fn brief(text: &str) -> Vec<String> {
    let errors = errors(text);
    let line = |e: &turn_config::ConfigError| format!("{}: {} | {}", e.key, e.message, e.help);
    errors.as_slice().iter().map(line).collect()
}

#[test]
fn a_tls_listener_without_a_certificate_is_told_the_line_to_add() {
    let text = "[[listen]]\naddress = \"0.0.0.0:443\"\ntransports = [\"tcp\", \"tls\", \"dtls\"]\n";
    assert_eq!(
        errors(text).to_string(),
        "\
error: listen.transports: \"tls\" needs a certificate
  --> turnserver.toml:3:22
   |
 3 | transports = [\"tcp\", \"tls\", \"dtls\"]
   |                      ^^^^^
   |
   = help: add under [tls]: certificates = [{ certificate = \"fullchain.pem\", key = \"privkey.pem\" }], or self_signed = true for a trial"
    );
    let config = from_str(&format!("{text}[tls]\nself_signed = true\n"), Path::new("t")).unwrap();
    assert!(config.tls.self_signed);
}

#[test]
fn mistakes_of_tls_say_what_would_be_right() {
    const PAIR: &str = "{ certificate = 'a.pem', key = 'a.key' }";
    const SAMPLE: &str = "{ certificate = \"fullchain.pem\", key = \"privkey.pem\" }";
    let list = |entries: &str| format!("[tls]\ncertificates = [{entries}]");
    let write = format!("write certificates = [{SAMPLE}]");
    let cases = [
        (list(""), format!("tls.certificates: an empty list brings no certificate | {write}")),
        (
            "[tls]\ncertificates = 'a.pem'".to_owned(),
            format!("tls.certificates: expected a list of tables, found a string | {write}"),
        ),
        (
            list("'a.pem'"),
            format!("tls.certificates: expected a table, found a string | {write}"),
        ),
        (
            list("{ certificate = 'a.pem' }"),
            format!("tls.certificates.key: the key of this certificate is missing | write {SAMPLE}, each with the path of a PEM file"),
        ),
        (
            list("{ key = 'a.key' }"),
            format!("tls.certificates.certificate: the certificate of this key is missing | write {SAMPLE}, each with the path of a PEM file"),
        ),
        (
            list("{ certificate = 'a.pem', key = 'a.pem' }"),
            "tls.certificates.key: certificate and key are the same file | write the path of the private key, such as \"privkey.pem\"".to_owned(),
        ),
        (
            list(&format!("{PAIR}, {PAIR}")),
            "tls.certificates.certificate: a.pem is listed twice | name each certificate once, with its own key".to_owned(),
        ),
        (
            list("{ certificate = 'a.pem', key = '' }"),
            "tls.certificates.key: not a path | write the path of a PEM file, such as \"privkey.pem\"".to_owned(),
        ),
        (
            list("{ certificate = 'a.pem', key = '-----BEGIN PRIVATE KEY-----' }"),
            "tls.certificates.key: the content of a PEM file instead of its path | put it into a file of mode 600 and write its path, such as \"privkey.pem\"".to_owned(),
        ),
        (
            list("{ cert = 'a.pem', certificate = 'a.pem', key = 'a.key' }"),
            "tls.certificates.cert: unknown key | known in this section: certificate, key".to_owned(),
        ),
        (
            format!("{}\nself_signed = true", list(PAIR)),
            "tls.self_signed: a self-signed certificate beside others would never be shown | remove one of the two; self_signed is for trials".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(brief(&text), [expected], "{text}");
    }
}
