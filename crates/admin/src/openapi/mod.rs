//! Routes and their description, which grow together: what is routed is
//! described, and nothing else is.

mod document;
mod operation;
mod schemas;

pub(crate) use document::document;
pub(crate) use operation::{Answer, Operation, Parameter, Routes};
