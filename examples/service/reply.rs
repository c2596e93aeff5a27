//! Answers and errors, as a client sees them.

use crate::db::Trouble;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

pub(crate) fn of(answer: Result<Value, Trouble>) -> Response {
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(why) => trouble(&why),
    }
}

pub(crate) fn trouble(why: &Trouble) -> Response {
    error(status(why), &why.to_string())
}

/// One line.
pub(crate) fn error(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

fn status(trouble: &Trouble) -> StatusCode {
    match trouble {
        Trouble::Question(_) => StatusCode::BAD_REQUEST,
        Trouble::Stopped(_) | Trouble::Gone(_) => StatusCode::SERVICE_UNAVAILABLE,
        Trouble::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
