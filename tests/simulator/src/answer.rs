//! Answers, and the nine known shapes of the cloud's errors. It decides nothing.

use serde_json::json;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Headers, in addition to Date, X-Request-Id, Content-Type and Content-Length.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `error_code` and `error_msg`.
    Plain,
    /// `errCode` and `externalMessage`.
    CamelCase,
    /// `Plain` and `CamelCase` at once.
    Both,
    /// `Plain` with `request_id`.
    WithRequestId,
    /// `error` with a number for a code.
    NumericCode,
    /// `code` and `message`, with an encoded authorization message.
    IamPolicy,
    /// `Plain`, wrapped in base64.
    Base64,
    /// `Plain`, for 200 with an error inside.
    In200,
    /// `Plain`, for statuses such as 417.
    In417,
}

impl Answer {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    pub fn with_body(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// An error in one of the known shapes.
    pub fn error(shape: Shape, status: u16, code: &str, text: &str) -> Self {
        let plain = json!({"error_code": code, "error_msg": text});
        let body = match shape {
            Shape::Plain | Shape::In200 | Shape::In417 => plain.to_string(),
            Shape::CamelCase => json!({"errCode": code, "externalMessage": text}).to_string(),
            Shape::Both => {
                json!({"error_code": code, "error_msg": text, "errCode": code, "externalMessage": text}).to_string()
            }
            Shape::WithRequestId => {
                json!({"error_code": code, "error_msg": text, "request_id": "simulator-in-body"}).to_string()
            }
            Shape::NumericCode => json!({"error": {"code": status, "message": text, "title": code}}).to_string(),
            Shape::IamPolicy => {
                json!({"code": code, "message": text, "encoded_authorization_message": "bm90IHNlY3JldA", "details": []})
                    .to_string()
            }
            Shape::Base64 => base64::Engine::encode(&base64::engine::general_purpose::STANDARD, plain.to_string()),
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
