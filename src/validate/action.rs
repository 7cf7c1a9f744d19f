//! Checks each action alone, and parses the expressions in it.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    api::{
        ApplyAction, ApprovalAction, CaSource, ConfigMapKey, Header, HeaderSource, HttpAction,
        HttpTls, ObjectRef, RESERVED_HEADERS, SecretKey, URL_PATTERN,
    },
    expression::template::{Template, node::Form},
    fault::Fault,
};

/// Adds a fault if a list or a text is longer than the schema allows.
pub(in crate::validate) fn limit(
    length: usize,
    most: usize,
    what: &str,
    path: &str,
    faults: &mut Vec<Fault>,
) {
    if length > most {
        faults.push(Fault::new(path, format!("has {length} {what}: at most {most} are taken")));
    }
}

/// An action, and its template if the action holds expressions.
pub(in crate::validate) type Templated<T> = (T, Option<Template>);

pub(in crate::validate) fn http(
    action: &HttpAction,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Templated<HttpAction>> {
    limit(action.url.chars().count(), 2048, "characters", &format!("{path}.url"), faults);
    limit(
        action.headers.iter().flatten().count(),
        32,
        "entries",
        &format!("{path}.headers"),
        faults,
    );
    for (place, header) in action.headers.iter().flatten().enumerate() {
        check_header(header, &format!("{path}.headers[{place}]"), faults);
    }
    if let Some(tls) = &action.tls {
        trust(tls, &format!("{path}.tls"), faults);
    }
    let form = |name: &str| match name {
        "body" => Form::Any,
        "url" => Form::Url,
        _ => Form::Text,
    };
    // `expect` and `answers` are expressions without `${…}`, and are parsed elsewhere.
    let action = HttpAction { expect: None, answers: None, ..action.clone() };
    let (action, template) = parsed(&action, path, form, faults)?;
    if action.tls.is_some() && !action.url.starts_with("https://") {
        let message = "tls is for https:// alone: write https:// in url, or leave tls out";
        faults.push(Fault::broken(path, message));
    }
    if !is_url(&action.url) {
        let message = "must begin with http:// or https:// and a host, without a user name: \
            http://stock.shop.svc/reservations";
        faults.push(Fault::broken(format!("{path}.url"), message));
    } else if has_bare_host(&action.url) {
        let message = "names a host without a dot, which the operator would look up in its own \
            namespace: write NAME.NAMESPACE.svc, such as stock.shop.svc";
        faults.push(Fault::new(format!("{path}.url"), message));
    }
    Some((action, template))
}

/// Checks that the user may set a header, and that the header has a name and one value that can be
/// sent.
fn check_header(header: &Header, path: &str, faults: &mut Vec<Fault>) {
    let Header { name, value, value_from } = header;
    if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        faults.push(Fault::new(
            format!("{path}.name"),
            format!("{name} is set by the operator: leave this header out"),
        ));
    }
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let message = "must be a header name of letters, digits and dashes, such as Authorization";
        faults.push(Fault::broken(format!("{path}.name"), message));
    }
    if value.is_some() == value_from.is_some() {
        faults.push(Fault::broken(path, "set exactly one of value and valueFrom"));
    }
    if value.iter().any(|value| value.chars().any(|letter| letter.is_control() && letter != '\t')) {
        let message = "holds a line break or another control character: take it out (in YAML, \
            write |- instead of |)";
        faults.push(Fault::broken(format!("{path}.value"), message));
    }
    limit(
        value.iter().flat_map(|value| value.chars()).count(),
        8192,
        "characters",
        &format!("{path}.value"),
        faults,
    );
    if let Some(HeaderSource { secret_key_ref: SecretKey { name, key } }) = value_from {
        check_key(("Secret", name), key, &format!("{path}.valueFrom.secretKeyRef"), faults);
    }
}

/// Checks which object of this kind, and which key of its data, a value is read from. A name with a
/// slash would become another path of the API.
fn check_key((kind, name): (&str, &str), key: &str, path: &str, faults: &mut Vec<Fault>) {
    if !is_object_name(name) || !is_secret_key(key) {
        faults.push(Fault::broken(path, format!("must name a {kind} and a key of its data")));
    }
}

/// Checks which certificates an HTTP request trusts.
fn trust(tls: &HttpTls, path: &str, faults: &mut Vec<Fault>) {
    let HttpTls { ca: CaSource { secret_key_ref, config_map_key_ref } } = tls;
    if secret_key_ref.is_some() == config_map_key_ref.is_some() {
        faults.push(Fault::broken(
            format!("{path}.ca"),
            "set exactly one of secretKeyRef and configMapKeyRef",
        ));
    }
    if let Some(SecretKey { name, key }) = secret_key_ref {
        check_key(("Secret", name), key, &format!("{path}.ca.secretKeyRef"), faults);
    }
    if let Some(ConfigMapKey { name, key }) = config_map_key_ref {
        check_key(("ConfigMap", name), key, &format!("{path}.ca.configMapKeyRef"), faults);
    }
}

pub(in crate::validate) fn apply(
    action: &ApplyAction,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Templated<ApplyAction>> {
    let text = |pointer: &str| {
        action.manifest.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
    };
    for (pointer, name, example) in [
        ("/apiVersion", "apiVersion", "apps/v1"),
        ("/kind", "kind", "Deployment"),
        ("/metadata/name", "metadata.name", "shop"),
    ] {
        if text(pointer).is_none() {
            faults.push(Fault::new(
                format!("{path}.manifest.{name}"),
                format!("must be there, such as {example}"),
            ));
        }
    }
    if action.manifest.get("status").is_some() {
        faults.push(Fault::new(
            format!("{path}.manifest.status"),
            "is for the object's controller to write: leave it out",
        ));
    }
    // `until` is an expression without `${…}`, and is parsed elsewhere.
    let action = ApplyAction { until: None, ..action.clone() };
    parsed(&action, path, |name| if name == "manifest" { Form::Any } else { Form::Text }, faults)
}

pub(in crate::validate) fn object(
    object: &ObjectRef,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Templated<ObjectRef>> {
    for (name, value) in
        [("apiVersion", &object.api_version), ("kind", &object.kind), ("name", &object.name)]
    {
        if value.is_empty() {
            faults.push(Fault::new(format!("{path}.{name}"), "must not be empty"));
        }
    }
    parsed(object, path, |_| Form::Text, faults)
}

pub(in crate::validate) fn approval(
    action: &ApprovalAction,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Templated<ApprovalAction>> {
    let ApprovalAction { message } = action;
    limit(
        message.iter().flat_map(|message| message.chars()).count(),
        1024,
        "characters",
        &format!("{path}.message"),
        faults,
    );
    parsed(action, path, |_| Form::Text, faults)
}

/// Returns the action with its escapes resolved if it holds no expression. Otherwise returns the
/// action as it is written, with its template.
pub(in crate::validate) fn parsed<T>(
    action: &T,
    path: &str,
    form: impl Fn(&str) -> Form,
    faults: &mut Vec<Fault>,
) -> Option<Templated<T>>
where
    T: Serialize + DeserializeOwned + Clone,
{
    parsed_by(action, path, |fields, faults| Template::parse(fields, path, form, faults), faults)
}

/// Returns the action as [`parsed`] does. `parse` makes the template from the fields of the action.
pub(in crate::validate) fn parsed_by<T>(
    action: &T,
    path: &str,
    parse: impl FnOnce(&Map<String, Value>, &mut Vec<Fault>) -> Template,
    faults: &mut Vec<Fault>,
) -> Option<Templated<T>>
where
    T: Serialize + DeserializeOwned + Clone,
{
    let before = faults.len();
    let Ok(Value::Object(fields)) = serde_json::to_value(action) else { return None };
    let template = parse(&fields, faults);
    if faults.len() > before {
        return None;
    }
    match template.literal() {
        Some(literal) => {
            let action = serde_json::from_value(literal.clone())
                .map_err(|error| faults.push(Fault::broken(path, error.to_string())));
            action.ok().map(|action| (action, None))
        }
        None => Some((action.clone(), Some(template))),
    }
}

pub(in crate::validate) fn is_object_name(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=253).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
}

fn is_secret_key(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Returns whether a text is an absolute http(s) URL with a host and without user information, as
/// in the custom resource definition. The addresses of the host are checked at each call.
fn is_url(text: &str) -> bool {
    // Compiled once. If the pattern cannot be compiled, no URL is accepted.
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(URL_PATTERN).ok());
    PATTERN.as_ref().is_some_and(|pattern| pattern.is_match(text)) && url::Url::parse(text).is_ok()
}

/// Returns whether the host of a URL is a name of one label, as of a Service in the namespace of
/// whoever looks the name up.
fn has_bare_host(text: &str) -> bool {
    let is_bare = |name: &str| !name.trim_end_matches('.').contains('.');
    url::Url::parse(text)
        .is_ok_and(|url| matches!(url.host(), Some(url::Host::Domain(name)) if is_bare(name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use kube::core::cel::cel::{Context, Program, Value as CelValue};

    use super::*;

    /// Returns whether the API server accepts a `url`, by the rule in the custom resource
    /// definition.
    fn definition_takes(url: &str) -> bool {
        let schema = schemars::schema_for!(HttpAction);
        let rule = schema
            .pointer("/properties/url/x-kubernetes-validations/0/rule")
            .and_then(Value::as_str)
            .unwrap();
        let mut context = Context::default();
        context.add_variable_from_value("self", url.to_owned());
        Program::compile(rule).unwrap().execute(&context) == Ok(CelValue::Bool(true))
    }

    #[test]
    fn a_host_of_one_label_is_bare_and_an_address_is_no_name() {
        for url in [
            "http://stock/",
            "http://stock./",
            "https://stock:8443/${steps.a.outputs.x}",
            "http://localhost:8080/a.b",
            "http://STOCK?a.b",
        ] {
            assert!(is_url(url) && has_bare_host(url), "{url}");
        }
        for url in [
            "http://stock.shop.svc/",
            "http://stock.shop/",
            "http://10.0.0.1/",
            "http://2130706433/",
            "http://[fd00::7]:8080/",
        ] {
            assert!(is_url(url) && !has_bare_host(url), "{url}");
        }
    }

    #[test]
    fn the_engine_takes_no_url_that_the_definition_refuses() {
        for url in [
            "http://stock.shop.svc/reservations",
            "https://stock.shop.svc:8443/${steps.a.outputs.x}?q=${params.q}#z",
            "http://[fd00::7]:8080/",
            "http://[fd00::7]",
            "http://10.0.0.1",
            "http://a_b?q",
            "http://a#b",
            "http://a/\\b",
        ] {
            assert!(definition_takes(url) && is_url(url), "{url}");
        }
        for url in [
            "",
            "stock",
            "//stock/",
            "ftp://stock/",
            "HTTP://stock/",
            " http://stock/",
            "http://",
            "http:///${steps.a.outputs.x}",
            "http://\\/${steps.a.outputs.x}",
            "http:\\\\${steps.a.outputs.x}",
            "http://\t/${steps.a.outputs.x}",
            "http://\n/${steps.a.outputs.x}",
            "http://\r/${steps.a.outputs.x}",
            "http://\u{0}/${steps.a.outputs.x}",
            "http://stock\\@${steps.a.outputs.x}/",
            "http://stock\t${steps.a.outputs.x}/",
            "http://${steps.a.outputs.x}/",
            "http://stock${steps.a.outputs.x}/",
            "http://stock:${steps.a.outputs.x}/",
            "http://stock:80${steps.a.outputs.x}/",
            "http://user@stock/",
            "http://user:word@stock/",
            "http://[fd00::7",
            "http://[]/",
            "http://[fd00::7]x/",
            "http://stock:/",
            "http://stock:123456/",
            "http://stöck/",
            "http://a b/",
            "http://stock/a b",
            "http://%73tock/",
        ] {
            assert!(!definition_takes(url), "{url:?}");
            assert!(!is_url(url), "{url:?}");
        }
        // Only a parser of URLs can refuse these.
        for url in ["http://stock:99999/", "http://[::::]/", "http://256.0.0.1/"] {
            assert!(!is_url(url), "{url}");
        }
    }
}
