//! A route with what is said of it.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn;
use axum::routing::{MethodFilter, on};

use crate::answer::bodiless;

/// One route.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) verb: Verb,
    /// As axum and OpenAPI both spell it: `/allocations/{id}`.
    pub(crate) path: &'static str,
    /// One sentence.
    pub(crate) summary: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) answers: Vec<Answer>,
}

/// The methods that routes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Delete,
}

/// Something of the path or the query; a text where `schema` names nothing else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) at: At,
    /// `string`, `integer` or `date`.
    pub(crate) schema: &'static str,
    pub(crate) about: &'static str,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Path,
    Query,
}

/// The body that a route reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body {
    pub(crate) media: &'static str,
    /// A name of `schemas`.
    pub(crate) schema: &'static str,
    pub(crate) is_needed: bool,
}

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    /// Media type and a name of `schemas`; none: no body.
    pub(crate) body: Option<(&'static str, &'static str)>,
}

/// Which door a route is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Admin,
    Credentials,
}

/// A router and the description of what is in it.
pub(crate) struct Routes<S> {
    router: Router<S>,
    operations: Vec<Operation>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), operations: Vec::new() }
    }

    /// Adds a route.
    pub(crate) fn with<H, T>(mut self, operation: Operation, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = match operation.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Delete => MethodFilter::DELETE,
        };
        let mut route = on(filter, handler);
        if operation.body.is_none() {
            route = route.route_layer(from_fn(bodiless));
        }
        self.router = self.router.route(operation.path, route);
        self.operations.push(operation);
        self
    }

    /// Adds the routes of another one.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }

    /// Gives the handlers what they work with.
    pub(crate) fn with_state<T: Clone + Send + Sync + 'static>(self, state: S) -> Routes<T> {
        Routes { router: self.router.with_state(state), operations: self.operations }
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    pub(crate) fn into_router(self) -> Router<S> {
        self.router
    }
}

impl Operation {
    /// `GET path`.
    pub(crate) fn get(path: &'static str, summary: &'static str) -> Self {
        Self {
            verb: Verb::Get,
            path,
            summary,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
        }
    }

    /// `POST path`.
    pub(crate) fn post(path: &'static str, summary: &'static str) -> Self {
        Self { verb: Verb::Post, ..Self::get(path, summary) }
    }

    /// `DELETE path`.
    pub(crate) fn delete(path: &'static str, summary: &'static str) -> Self {
        Self { verb: Verb::Delete, ..Self::get(path, summary) }
    }

    /// With these parameters.
    pub(crate) fn taking(self, parameters: impl Into<Vec<Parameter>>) -> Self {
        Self { parameters: parameters.into(), ..self }
    }

    /// With a body of JSON.
    pub(crate) fn reading(self, schema: &'static str, is_needed: bool) -> Self {
        let body = Some(Body { media: JSON, schema, is_needed });
        Self { body, ..self }
    }

    /// With these answers; that of a failure is added to each.
    pub(crate) fn giving(self, answers: impl Into<Vec<Answer>>) -> Self {
        Self { answers: answers.into(), ..self }
    }
}

impl Parameter {
    /// A text of the path.
    pub(crate) const fn path(name: &'static str, about: &'static str) -> Self {
        Self { name, at: At::Path, schema: "string", about }
    }

    /// A text of the query.
    pub(crate) const fn query(name: &'static str, about: &'static str) -> Self {
        Self { name, at: At::Query, schema: "string", about }
    }

    /// Of another kind.
    pub(crate) const fn kind(self, schema: &'static str) -> Self {
        Self { schema, ..self }
    }
}

impl Answer {
    /// JSON of this schema.
    pub(crate) const fn json(status: u16, schema: &'static str, about: &'static str) -> Self {
        Self { status, about, body: Some((JSON, schema)) }
    }

    /// Something else.
    pub(crate) const fn other(
        status: u16,
        media: &'static str,
        schema: &'static str,
        about: &'static str,
    ) -> Self {
        Self { status, about, body: Some((media, schema)) }
    }

    /// No body.
    pub(crate) const fn empty(status: u16, about: &'static str) -> Self {
        Self { status, about, body: None }
    }
}

impl Verb {
    /// As OpenAPI spells it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Delete => "delete",
        }
    }
}

const JSON: &str = "application/json";
