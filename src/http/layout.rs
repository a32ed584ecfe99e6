//! A field as it was written in; the layout changed accordingly, or the error that names the field.

use super::error::ApiError;
use crate::format::Layout;

/// `false`: the field is none of `Layout::FIELDS`. `name` has no brackets; an empty value is one that was not given.
pub fn take(layout: &mut Layout, name: &str, value: &str) -> Result<bool, ApiError> {
    layout.take(name, value).map_err(|error| ApiError::param(error.param, error.to_string()))
}
