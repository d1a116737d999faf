//! The metrics door: one page of figures beside health and version. It reads and
//! changes nothing, takes no token, and makes no use of a Host.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn;
use axum::response::{IntoResponse as _, Response};

use crate::answer::{bodiless, no_such_route, uncached, wrong_method};
use crate::control::Control;
use crate::exposition::{CONTENT_TYPE as TEXT_FORMAT, Exposition};
use crate::figures::Figures;
use crate::scrape::Scrape;
use crate::{coturn_names, health, native_names};

/// Where the page is and what it shows, exchangeable while it is served.
#[derive(Debug)]
pub struct MetricsPage {
    look: RwLock<Look>,
}

#[derive(Debug, Clone)]
struct Look {
    path: Arc<str>,
    coturn_names: bool,
}

struct Door {
    page: Arc<MetricsPage>,
    scrape: Scrape,
}

impl MetricsPage {
    /// A page at `path`, with coturn's names beside our own or without.
    pub fn new(path: &str, coturn_names: bool) -> Self {
        Self { look: RwLock::new(Look { path: path.into(), coturn_names }) }
    }

    /// From now on at `path`, with or without coturn's names.
    pub fn replace(&self, path: &str, coturn_names: bool) {
        *self.look.write().unwrap_or_else(PoisonError::into_inner) =
            Look { path: path.into(), coturn_names };
    }

    fn look(&self) -> Look {
        self.look.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The routes of the metrics door.
pub(crate) fn router(page: Arc<MetricsPage>, control: Arc<dyn Control>) -> Router {
    let scrape = Scrape::new(Arc::clone(&control));
    let by_path = Router::new().fallback(show).with_state(Arc::new(Door { page, scrape }));
    health::routes()
        .with_state(control)
        .into_router()
        .method_not_allowed_fallback(wrong_method)
        .fallback_service(by_path)
        .layer(from_fn(bodiless))
        .layer(from_fn(uncached))
}

/// The page as an answer.
pub(crate) fn response(figures: &Figures, with_coturn_names: bool) -> Response {
    let mut page = Exposition::default();
    native_names::write(figures, &mut page);
    if with_coturn_names {
        coturn_names::write(figures, &mut page);
    }
    ([(CONTENT_TYPE, TEXT_FORMAT)], page.into_text()).into_response()
}

/// Whatever is no fixed route: the configured path, or nothing.
async fn show(State(door): State<Arc<Door>>, method: Method, uri: Uri) -> Response {
    let look = door.page.look();
    // Checks of a coturn's health ask its root.
    let is_root = look.coturn_names && uri.path() == "/";
    if uri.path() != &*look.path && !is_root {
        return no_such_route(uri).await;
    }
    if method != Method::GET && method != Method::HEAD {
        return wrong_method(method, uri).await;
    }
    if uri.path() == &*look.path {
        return response(&*door.scrape.figures().await, look.coturn_names);
    }
    (StatusCode::OK, "ok").into_response()
}
