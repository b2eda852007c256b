//! PURE: messages for errors of a kubeconfig or a client, with the place but without the content: kube's own messages
//! quote lines, URLs and the output of credential plugins.

use kube::{
    Error,
    client::{AuthError, RustlsTlsError},
    config::{KubeconfigError, LoadDataError},
};

/// A token that no request can carry.
pub const TOKEN: &str =
    "the token of its user holds a line break or another character that no header can hold. Write it on one line";

/// The message where nothing more specific is known to be free of secrets.
pub const UNUSABLE: &str = "its configuration cannot be used";

/// What is wrong with a kubeconfig.
pub fn of_kubeconfig(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::FindPath => "there is no home directory, and KUBECONFIG is not set".to_owned(),
        KubeconfigError::ReadConfig(error, file) => format!("{} cannot be read: {error}", file.display()),
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!("line {}, column {}: it is not the YAML of a kubeconfig", at.line(), at.column()),
            None => "it is not the YAML of a kubeconfig".to_owned(),
        },
        KubeconfigError::CurrentContextNotSet => {
            "it has no current-context. Set one, or name a context with --context".to_owned()
        }
        KubeconfigError::LoadContext(_) => "it has no such context (--context, or its current-context)".to_owned(),
        KubeconfigError::LoadClusterOfContext(_) => "it has no such cluster as its context names".to_owned(),
        KubeconfigError::MissingClusterUrl | KubeconfigError::ParseClusterUrl(_) => {
            "the server of its cluster is not a URL such as https://HOST:PORT".to_owned()
        }
        KubeconfigError::ParseProxyUrl(_) => super::proxy::invalid("proxy-url"),
        KubeconfigError::LoadCertificateAuthority(error) => of_data("certificate-authority", error),
        KubeconfigError::ParseCertificates(_) => "certificate-authority holds no certificates as PEM".to_owned(),
        KubeconfigError::LoadClientCertificate(error) => of_data("client-certificate", error),
        KubeconfigError::LoadClientKey(error) => of_data("client-key", error),
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
            "its kind or apiVersion differs from that of another file in KUBECONFIG".to_owned()
        }
        _ => "it cannot be used".to_owned(),
    }
}

fn of_data(field: &str, error: &LoadDataError) -> String {
    match error {
        LoadDataError::DecodeBase64(_) => format!("{field}-data is not base64"),
        LoadDataError::ReadFile(error, file) => format!("{field} {}: {error}", file.display()),
        LoadDataError::NoBase64DataOrFile => format!("{field} is empty"),
    }
}

/// Why there is no client.
pub fn of_client(error: &Error) -> String {
    match error {
        Error::Auth(error) => of_credentials(error),
        Error::InferKubeconfig(error) => of_kubeconfig(error),
        Error::RustlsTls(RustlsTlsError::AddRootCertificate(_)) => {
            "certificate-authority holds a certificate that cannot be used".to_owned()
        }
        Error::RustlsTls(RustlsTlsError::InvalidServerName(_)) => "tls-server-name is not a name".to_owned(),
        Error::RustlsTls(_) => {
            "client-certificate and client-key of its user must be PEM, and belong together".to_owned()
        }
        _ => UNUSABLE.to_owned(),
    }
}

/// Why there is no token.
pub fn of_credentials(error: &AuthError) -> String {
    match error {
        AuthError::InvalidBearerToken(_) => TOKEN.to_owned(),
        AuthError::ReadTokenFile(error, file) => format!("the tokenFile {}: {error}", file.display()),
        AuthError::AuthExecStart(error) => format!("the credential plugin of its user cannot be started: {error}"),
        AuthError::AuthExecRun { out, .. } => format!(
            "the credential plugin of its user failed ({}). What it printed is not shown, since that may be a token",
            out.status
        ),
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed | AuthError::MalformedTokenExpirationDate(_) => {
            "the credential plugin of its user gave no ExecCredential that can be used".to_owned()
        }
        AuthError::MissingCommand => "exec of its user names no command".to_owned(),
        AuthError::UnrefreshableTokenResponse => {
            "the credential plugin of its user gave a token without an end after one with an end".to_owned()
        }
        _ => "the credentials of its user cannot be used".to_owned(),
    }
}
