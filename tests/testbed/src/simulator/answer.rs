//! Answers, and the nine known shapes of the cloud's errors. It decides nothing.

use serde::{Deserialize, Serialize};
use serde_json::json;

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers, in addition to Date, X-Request-Id, Content-Type and Content-Length.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Body.
    #[serde(default)]
    pub body: String,
}

/// Position of an error in a body. The letters are those of the catalogue of shapes in the project's reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `error_code` and `error_msg`.
    A,
    /// `errCode` and `externalMessage`.
    B,
    /// A and B at once.
    C,
    /// A with `request_id`.
    D,
    /// `error` with a number for a code.
    E,
    /// `code` and `message`, with an encoded authorization message.
    F,
    /// A, wrapped in base64.
    G,
    /// A, whatever the status; for 200 with an error inside.
    H,
    /// A, for statuses such as 417.
    I,
}

impl Answer {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// An answer with this body.
    pub fn with_body(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// An error in one of the known shapes.
    pub fn error(shape: Shape, status: u16, code: &str, text: &str) -> Self {
        let plain = json!({"error_code": code, "error_msg": text});
        let body = match shape {
            Shape::A | Shape::H | Shape::I => plain.to_string(),
            Shape::B => json!({"errCode": code, "externalMessage": text}).to_string(),
            Shape::C => {
                json!({"error_code": code, "error_msg": text, "errCode": code, "externalMessage": text}).to_string()
            }
            Shape::D => json!({"error_code": code, "error_msg": text, "request_id": "simulator-in-body"}).to_string(),
            Shape::E => json!({"error": {"code": status, "message": text, "title": code}}).to_string(),
            Shape::F => {
                json!({"code": code, "message": text, "encoded_authorization_message": "bm90IHNlY3JldA", "details": []})
                    .to_string()
            }
            Shape::G => base64::Engine::encode(&base64::engine::general_purpose::STANDARD, plain.to_string()),
        };
        Self::with_body(status, body)
    }

    /// The same with a further header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}
